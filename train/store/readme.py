"""The measured part of the README, made from the manifest and an evaluation, never typed by hand."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from detector.weights import Manifest
from train.measure.even_odds import EVEN_ODDS
from train.run import write_text
from train.store.cards import choices_table, labels_table, metrics_table, rate_cell, robustness_table
from train.store.tables import amount, folded, times_as_fast

START, END = "<!-- figures -->", "<!-- /figures -->"
GOALS = {
    "140k": 0.99,
    "yonsei": 0.75,
    "dfl": 0.92,
    "timit": 0.95,
    "ffpp": 0.85,
    "sd21": 0.85,
    "stylegan2-1024": 0.98,
    "unseen methods": 0.85,
}
"""Goals for the AUC of test slices; false alarms of every genuine slice should not be above `GOAL_FALSE_ALARMS`."""
GOAL_FALSE_ALARMS = 0.05
ACCURACY_GOALS = (
    ("140k", "the default", 0.96),
    ("yonsei", "highest of the single networks", 0.66),
    ("yonsei", "highest of the ensembles", 0.70),
)
"""Goals for the accuracy of slices at even odds: slice, of which choices, goal."""


def update_readme(path: Path, manifest: Manifest, evaluation: Mapping[str, Any], bench: Path | None = None) -> None:
    """Replaces what stands between the markers.

    Raises:
        ValueError: the file lacks the markers.
    """
    _replace(path, (START, END), [*figures(manifest), *_product(evaluation), *_speed(bench)])


def _replace(path: Path, markers: tuple[str, str], lines: list[str]) -> None:
    start, end = markers
    text = path.read_text()
    if start not in text or end not in text:
        raise ValueError(f"{path.name} needs the lines {start} and {end}")
    before, rest = text.split(start, 1)
    block = "\n".join(lines).rstrip()
    write_text(path, f"{before}{start}\n{block}\n{end}{rest.split(end, 1)[1]}")


def figures(manifest: Manifest) -> list[str]:
    """Test slices, false alarms; folded away, published networks and changed pictures."""
    record = manifest.entry("default").record
    looks = manifest.data["test_scored"]
    return [
        f"Weights of {manifest.date}, default `{manifest.default}`. Test slices were scored {looks} "
        f"time{'s' if looks > 1 else ''} for a set that was published here; no network, recipe or default was "
        "chosen by them.",
        "",
        "Test slices of the default (`python -m train publish` measures, `python -m train evaluate` repeats). AUC, and "
        "at the threshold accuracy, false alarms and share caught, with 95 % intervals over groups (persons, videos). "
        "A star: manipulated faces only, scored against all genuine test faces. Pooled and class-balanced over "
        f"{record['metrics']['pooled']['n']:,} faces: ECE {record['metrics']['pooled']['ece']:.3f}, Brier score "
        f"{record['metrics']['pooled']['brier']:.3f}.",
        "",
        *metrics_table(record),
        "",
        *_goals(record),
        *_accuracy_goals(manifest),
        "",
        "False alarms on genuine test faces of sources that neither trained nor tuned anything:",
        "",
        *_false_alarms(record),
        "",
        *folded(f"Networks and ensembles ({len(manifest.names())})", [*_choices(manifest), "", *_compared(manifest)]),
        *_changed(manifest),
    ]


def _compared(manifest: Manifest) -> list[str]:
    found = manifest.leaderboard()
    if found is None:
        return []
    return [
        f"The default, chosen on validation: {manifest.data['default_reason']}. On all test faces, with a paired "
        "bootstrap over groups (every figure of every slice: `weights/leaderboard.json`, the Models page):",
        "",
        *choices_table(found),
    ]


def _changed(manifest: Manifest) -> list[str]:
    found = manifest.leaderboard()
    if found is None or not found["choices"][manifest.default]["robustness"]:
        return []
    lines = [
        "The default on changed pictures of test faces, both classes alike (blur: 1.5 px of a face of 128 px; "
        "screenshot: resampled and saved twice as JPEG 75):",
        "",
        *robustness_table(found, manifest.default),
    ]
    return [
        *folded("JPEG, small faces, blur, screenshots", lines),
        *folded("False alarms by age and ethnicity label", labels_table(found, manifest.default)),
    ]


def _choices(manifest: Manifest) -> list[str]:
    lines = [
        "| choice | parameters | MB | trained | validation score | AUC on 140k | ECE | Brier |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name in manifest.names():
        record = manifest.entry(name).record
        members = [manifest.models[m] for m in manifest.entry(name).members]
        trained = " + ".join(f"{m['training']['hours']:.1f} h, {m['training']['images_seen']:,} faces" for m in members)
        slices = record["metrics"]["slices"]
        on_140k = f"{slices['140k']['auc']['value']:.3f}" if "140k" in slices else ""
        lines.append(
            f"| {name} | {sum(m['parameters'] for m in members) / 1e6:.1f} M | "
            f"{sum(m['bytes'] for m in members) / 1e6:.1f} | {trained} | "
            f"{manifest.data['validation_scores'][name]:.3f} | {on_140k} | {record['metrics']['pooled']['ece']:.3f} | "
            f"{record['metrics']['pooled']['brier']:.3f} |"
        )
    return lines


def _goals(record: Mapping[str, Any]) -> list[str]:
    slices = record["metrics"]["slices"]
    lines = []
    for name, goal in GOALS.items():
        if name in slices:
            value = slices[name]["auc"]["value"]
            lines.append(f"- {name}: AUC {value:.3f}, goal {goal:.2f}: {'met' if value >= goal else 'missed'}.")
    above = [
        name
        for name, row in slices.items()
        if "fpr" in row and row["fpr"]["low"] is not None and row["fpr"]["low"] > GOAL_FALSE_ALARMS
    ]
    lines.append(
        f"- False alarms not above {GOAL_FALSE_ALARMS:.0%} on any genuine slice (the lower bound decides): "
        + ("met." if not above else f"missed on {', '.join(above)}.")
    )
    return lines


def _accuracy_goals(manifest: Manifest) -> list[str]:
    """Goals at even odds, as others report accuracy; the threshold gives up accuracy for few false alarms."""
    choices = (manifest.leaderboard() or {"choices": {}})["choices"]
    among = {
        "the default": (manifest.default,),
        "highest of the single networks": manifest.models,
        "highest of the ensembles": manifest.ensembles,
    }
    lines = []
    for source, which, goal in ACCURACY_GOALS:
        known = {name: choices.get(name, {}).get(EVEN_ODDS, {}).get(source) for name in among[which]}
        found = {name: accuracy for name, accuracy in known.items() if accuracy}
        if found:
            best = max(found, key=lambda name: found[name]["value"])
            lines.append(
                f"- {source}: accuracy at even odds {rate_cell(found[best])}, {which} ({best}), goal {goal:.0%}: "
                f"{'met' if found[best]['value'] >= goal else 'missed'}."
            )
    return lines


def _false_alarms(record: Mapping[str, Any]) -> list[str]:
    lines = ["| band | faces | 95 % interval | n |", "|---|---|---|---|"]
    for band, row in record["false_alarms"].items():
        lines.append(
            f"| {band.replace('_', ' ')} or stronger | {row['rate']:.1%} | {row['low']:.1%} to {row['high']:.1%} | "
            f"{row['n']} |"
        )
    lines += ["", "| genuine faces in a made file | weak or stronger | strong or stronger | very strong |"]
    lines.append("|---|---|---|---|")
    for number, row in record["false_alarms_by_faces"].items():
        lines.append(f"| {number} | {row['weak']:.1%} | {row['strong']:.1%} | {row['very_strong']:.1%} |")
    return lines


def _product(evaluation: Mapping[str, Any]) -> list[str]:
    lines = [
        "The same pictures and clips through `Detector.file`, as a user's files go (`python -m train evaluate`):",
        "",
        "| slice | pictures | got a verdict | AUC by the training loader | AUC by the product |",
        "|---|---|---|---|---|",
    ]
    for row in evaluation["product_against_loader"]:
        lines.append(
            f"| {row['slice']} | {row['faces']} | {row['verdict_share']:.1%} | {row['loader']:.3f} | "
            f"{row['product']:.3f} |"
        )
    if evaluation["clips"]:
        lines += [
            "",
            "| clips of | clips | with verdict | AUC of clips | AUC of their frames | the same frames by the loader | "
            "difference (95 % interval over persons) | AUC of stored faces, loader | genuine clips at the threshold |",
            "|---|---|---|---|---|---|---|---|---|",
        ]
        for row in evaluation["clips"]:
            same = row["same_frames"]
            lines.append(
                f"| {row['slice']} | {row['clips']} | {row['with_verdict']} | {_figure(row['auc_clips'])} | "
                f"{_figure(same['product'])} | {_figure(same['loader'])} | {_difference(same['difference'])} | "
                f"{_figure(row['auc_faces_loader'])} | "
                f"{row['genuine_at_threshold']} of {row['genuine']} |"
            )
    if evaluation.get("clip_bands"):
        lines += ["", f"All of these clips together: {clip_bands_text(evaluation['clip_bands'])}"]
    return folded("Whole files through the product; videos", lines)


def clip_bands_text(found: Mapping[str, Any]) -> str:
    """What `train.measure.slices.clip_figures` found, in a few sentences."""
    text = f"{found['genuine']} genuine clips of {found['genuine_persons']} persons, {found['manipulated']} manipulated"
    text += f"; {found['left_out']} show persons whose other clips set the edges and are left out" * bool(
        found["left_out"]
    )
    if "auc" in found:
        value, low, high = (found["auc"][k] for k in ("value", "low", "high"))
        text += f". AUC {value:.3f}" + (f" ({low:.3f} to {high:.3f})" if low is not None else ", no interval")
    for title, label, of in (
        ("false_alarms", "False alarms, that band or a stronger one", "genuine"),
        ("caught", "Caught", "manipulated"),
    ):
        if title in found:
            rows = ", ".join(
                f"{band.replace('_', ' ')} {row['k']} of {found[of]} ({row['low']:.1%} to {row['high']:.1%})"
                for band, row in found[title].items()
            )
            text += f". {label}: {rows}"
    if found["cap"]:
        text += f". No video can get more than {found['cap']['band'].replace('_', ' ')} ({found['cap']['reason']})"
    return f"{text}."


def _figure(value: float | None) -> str:
    return "one class only" if value is None else f"{value:.3f}"


def _difference(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return ""
    if found["low"] is None:
        return f"{found['value']:+.3f} (too few persons)"
    return f"{found['value']:+.3f} ({found['low']:+.3f} to {found['high']:+.3f})"


def _speed(bench: Path | None) -> list[str]:
    if bench is None or not bench.is_file():
        return []
    data = json.loads(bench.read_text())
    machine = data["machine"]
    command = "python -m tests.bench --hour" if any("one hour" in row["work"] for row in data["rows"]) else "make bench"
    lines = [
        f"Speed (`{command}`; {machine['processor']}, {machine['cores']} cores, {data['models']}, "
        f"{data['backends']['faces']}, {data['clip_mbit_s']:.1f} Mbit/s clip):",
        "",
        "| work, warm | median | slowest | goal | usual way | ratio |",
        "|---|---|---|---|---|---|",
    ]
    for row in data["rows"]:
        unit = row["unit"]
        goal = "" if row["goal"] is None else amount(row["goal"], unit)
        usual = "" if row["usual_median"] is None else amount(row["usual_median"], unit)
        lines.append(
            f"| {row['work']} | {amount(row['median'], unit)} | {amount(max(row['runs']), unit)} | {goal} | {usual} | "
            f"{times_as_fast(row)} |"
        )
    lines.append(f"| load the networks | {amount(data['load_s'], 's')} | | | | |")
    peaks = f"{data['peak_mib_after_photo']:.0f} / {data['peak_mib']:.0f} MiB"
    lines.append(f"| most memory, photo / clip | {peaks} | | | | |")
    return folded("Speed and memory", lines)
