"""Manifest entry → model card: nothing in a card is typed by hand."""

from collections.abc import Mapping
from typing import Any

from detector.weights import Manifest
from train.measure.metrics import shown

_USE = """\
## Use

A lead for people who check photos and videos of persons: evidence of manipulation of a face, in four bands, never a
proof and never a statement that a picture is genuine. Not for identifying persons, for automatic decisions about
people, or as the only ground for a publication.

## Limits

- It knows the manipulations below and what resembles them. A new generator can pass as "little evidence".
- Photoshop work on small parts of a face is mostly missed (see yonsei below).
- Strong compression, small and blurred faces hide traces; below measured limits it gives no verdict.
- The probability assumes as many manipulated as genuine files. It is no chance for one particular file.
"""


def write_cards(manifest: Manifest) -> None:
    """Writes `cards/<name>.md` for every network and ensemble, and removes cards of others."""
    folder = manifest.folder / "cards"
    folder.mkdir(exist_ok=True)
    for path in folder.glob("*.md"):
        path.unlink()
    for name in manifest.names():
        (folder / f"{name}.md").write_text(card(manifest, name))


def card(manifest: Manifest, name: str) -> str:
    """The model card of a network or ensemble as Markdown."""
    record = manifest.entry(name).record
    lines = [f"# {name}", "", f"Unmask weights of {manifest.date}.", ""]
    lines += _ensemble(record) if "members" in record else _network(record)
    lines += [_USE, *_bands(record), *_clips(record), *_metrics(record)]
    found = manifest.leaderboard()
    if found is not None:
        lines += _more(found, name)
    lines += [*_limits(manifest), *_data(manifest, record)]
    return "\n".join(lines).rstrip() + "\n"


def metrics_table(record: Mapping[str, Any]) -> list[str]:
    """Test slices as a Markdown table."""
    lines = [
        "| slice | genuine | manipulated | AUC | accuracy | false alarms | caught |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, row in record["metrics"]["slices"].items():
        lines.append(
            f"| {name} | {row['genuine']} | {row['manipulated']} | {_auc(row)} | {rate_cell(row.get('accuracy'))} "
            f"| {rate_cell(row.get('fpr'))} | {rate_cell(row.get('tpr'))} |"
        )
    return lines


def choices_table(found: Mapping[str, Any]) -> list[str]:
    """Every network and ensemble of a leaderboard on all test faces, as a Markdown table."""
    lines = [
        "| choice | parameters | MB | CPU ms a face | AUC, all test faces | AUC minus the default's | ECE | Brier |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, choice in found["choices"].items():
        pooled, gain = choice["pooled"], choice["auc_minus_default"].get("all")
        millions = choice["parameters"] / 1e6
        lines.append(
            f"| {name} | {millions:.1f} M | {choice['megabytes']:.1f} | {choice['cpu_ms_a_face']:.0f} "
            f"| {_figure(pooled['auc'])} | {_figure(gain, sign=True) if gain else 'the default'} "
            f"| {pooled['ece']:.3f} | {pooled['brier']:.3f} |"
        )
    return lines


def robustness_table(found: Mapping[str, Any], name: str) -> list[str]:
    """What changes of the pictures do to a choice, as a Markdown table."""
    lines = ["| pictures | n | AUC | AUC lost | false alarms | caught |", "|---|---|---|---|---|---|"]
    for change, row in found["choices"][name]["robustness"].items():
        lost = _figure(row["auc_lost"], sign=True) if "auc_lost" in row else ""
        lines.append(
            f"| {change} | {row['genuine'] + row['manipulated']} | {_figure(row.get('auc'))} | {lost} "
            f"| {rate_cell(row.get('fpr'))} | {rate_cell(row.get('tpr'))} |"
        )
    return lines


def labels_table(found: Mapping[str, Any], name: str) -> list[str]:
    """False alarms of a choice by the labels of age and ethnicity, as a Markdown table, and what they are worth."""
    about = found["labels"]
    if not about or not found["choices"][name]["labels"]:
        return []
    used = (
        f"{about['source']} was in training, so these are its {about['faces']} test faces only"
        if about["trained_on"]
        else f"all {about['faces']} faces of {about['source']}, which trained nothing"
        + (" but helped to set the band edges" if about["set_edges"] else "")
    )
    return [
        f"False alarms at the threshold by labels: {used}. {about['worth']}",
        "",
        *label_rows(found["choices"][name]["labels"]),
    ]


def label_rows(labels: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What `false_alarms_by_labels` found, as a Markdown table."""
    lines = ["| label | n | false alarms |", "|---|---|---|"]
    for title, rows in labels.items():
        lines += [f"| {title} {label} | {row['n']} | {rate_cell(row)} |" for label, row in rows.items()]
    return lines


def _more(found: Mapping[str, Any], name: str) -> list[str]:
    choice = found["choices"][name]
    lines = [
        "## Compared",
        "",
        *choices_table(found),
        "",
        "Processor time in torch, float32, in batches. Differences: paired bootstrap over groups.",
        "",
    ]
    if choice["robustness"]:
        lines += ["## Changed pictures", "", *robustness_table(found, name), ""]
    labels = labels_table(found, name)
    return [*lines, "## False alarms by age and ethnicity", "", *labels, ""] if labels else lines


def _ensemble(record: Mapping[str, Any]) -> list[str]:
    members = ", ".join(record["members"])
    kind = record["kind"]
    settings = ", ".join(
        f"{k} {v:g}" if isinstance(v, float) else f"{k} {v}" for k, v in record.get("settings", {}).items()
    )
    chosen = f" Chosen by grouped cross-validation inside validation: {settings}." if settings else ""
    weights = ", ".join(f"{m} {w:.2f}" for m, w in zip(record["members"], record.get("weights", ()), strict=False))
    what = {
        "average": f"The mean of the calibrated probabilities of {members}, calibrated again on validation.",
        "majority": f"A vote of {members}: each votes above its own threshold; the count is calibrated on validation.",
        "weighted_majority": f"A weighted vote of {members}: each votes above its own threshold, with the weights "
        f"{weights}.{chosen} Calibrated on cross-validated scores.",
        "stacking": f"A support vector classifier on the principal components of the calibrated logits of {members}, "
        f"fitted on validation.{chosen} Calibrated on cross-validated scores.",
    }[kind]
    return [what, ""]


def _figure(row: Mapping[str, Any] | None, sign: bool = False) -> str:
    return "" if row is None else shown(row, sign)


def _network(record: Mapping[str, Any]) -> list[str]:
    training = record["training"]
    return [
        f"{record['architecture']}: {record['parameters'] / 1e6:.1f} million parameters, "
        f"{_size(record)}, faces of {record['input_size_px']} px.",
        "",
        f"- Architecture: {record['paper']}; code {record['licence_of_code']}",
        f"- Starting weights: {training['start']}",
        f"- Trained {training['hours']:.2f} h on {training['environment']['device']}, "
        f"{training['images_seen']:,} faces seen, seed {training['seed']}, "
        f"commit {training['environment']['commit'][:12]}",
        f"- Command: `{training['command']}`",
        f"- SHA-256: `{record['sha256']}`",
        "",
    ]


def _size(record: Mapping[str, Any]) -> str:
    found = record.get("backbone")
    if found is None:
        return f"{record['bytes'] / 1e6:.1f} MB"
    return f"{found['bytes'] / 1e6:.1f} MB of a frozen backbone in 8-bit integers and {record['bytes'] / 1e6:.2f} MB"


def _bands(record: Mapping[str, Any]) -> list[str]:
    if not record.get("false_alarms"):
        return []
    lines = [
        "## How often it is wrong on genuine faces",
        "",
        "Genuine test faces of sources that neither trained nor tuned anything (95 % interval by Wilson):",
        "",
        "| band | promised | measured | interval | n |",
        "|---|---|---|---|---|",
    ]
    promised = {"weak": "10 %", "strong": "2 %", "very_strong": "0.5 %"}
    for band, row in record["false_alarms"].items():
        lines.append(
            f"| {band.replace('_', ' ')} or stronger | {promised[band]} | {row['rate']:.1%} "
            f"| {row['low']:.1%} to {row['high']:.1%} | {row['n']} |"
        )
    by_faces = record.get("false_alarms_by_faces") or {}
    if by_faces:
        lines += [
            "",
            "Files made of such faces, the maximum corrected for their number:",
            "",
            "| genuine faces in a file | weak or stronger | strong or stronger | very strong |",
            "|---|---|---|---|",
        ]
        for number, row in by_faces.items():
            lines.append(f"| {number} | {row['weak']:.1%} | {row['strong']:.1%} | {row['very_strong']:.1%} |")
    return [*lines, "", *_by_source(record)]


def _by_source(record: Mapping[str, Any]) -> list[str]:
    """What each genuine source shows at edges that the others set, of an entry that says it."""
    found = record.get("alarms_by_source") or {}
    if not found:
        return []
    lines = [
        "Source by source: each genuine source of validation that trained nothing, judged by edges that the other "
        "sources set. A source keeps the promise while at most twice the promised share of its faces alarms.",
        "",
        "| band | sources | mean | nine of ten have at most | worst | keep the promise |",
        "|---|---|---|---|---|---|",
    ]
    for band, row in found.items():
        lines.append(
            f"| {band.replace('_', ' ')} or stronger | {len(row['sources'])} | {row['mean']:.1%} | {row['high']:.1%} "
            f"| {row['worst']:.1%} ({row['worst_source']}) | {row['kept']:.0%} |"
        )
    return [*lines, ""]


def _clips(record: Mapping[str, Any]) -> list[str]:
    if "clips" not in record:
        return []
    found = record["clips"]
    persons, memory, cap = found["persons"], found["memory"], found["cap"]
    strongest = (
        "Every band was shown."
        if cap is None
        else f"No video gets more than {_word(cap['band'])}: "
        + (
            f"to show the next takes {cap['needed']} genuine persons."
            if cap["needed"]
            else "beyond it there were more false alarms than promised."
        )
    )
    lines = [
        "## Videos",
        "",
        f"Training and validation clips: {persons['genuine']} genuine persons, {persons['genuine_unknown']} of them in "
        f"no training picture, and {persons['manipulated']} manipulated. Scores of persons that were in training "
        f"are moved from {_move(memory['genuine'])} (genuine) and {_move(memory['manipulated'])} (manipulated), where "
        "the others are. Edges are those of faces or the clips' tolerance limit, whichever is higher. " + strongest,
        "",
        "Genuine persons judged by edges that they took no part in (95 % interval by Wilson), and files composed of "
        "them:",
        "",
        "| band | one person | interval | n |" + "".join(f" {n} persons |" for n in found["false_alarms_by_persons"]),
        "|---|---|---|---|" + "---|" * len(found["false_alarms_by_persons"]),
    ]
    for band, row in found["false_alarms"].items():
        files = "".join(f" {rates[band]:.1%} |" for rates in found["false_alarms_by_persons"].values())
        lines.append(
            f"| {_word(band)} or stronger | {row['rate']:.1%} | {row['low']:.1%} to {row['high']:.1%} "
            f"| {row['n']} |{files}"
        )
    return [*lines, ""]


def _move(found: Mapping[str, float]) -> str:
    return f"{found['known']:.2f} to {found['unknown']:.2f}, {found['spread']:.2f} times as far apart"


def _word(band: str) -> str:
    return band.replace("_", " ")


def _metrics(record: Mapping[str, Any]) -> list[str]:
    if "metrics" not in record:
        return []
    pooled = record["metrics"]["pooled"]
    return [
        "## Test slices",
        "",
        "At the threshold (the strong edge). 95 % intervals over groups; no interval where a class has fewer than five "
        "groups. A star marks slices of manipulated faces only: they are scored against all genuine test faces.",
        "",
        *metrics_table(record),
        "",
        f"Pooled and class-balanced, n = {pooled['n']}: ECE {pooled['ece']:.3f}, Brier score {pooled['brier']:.3f}.",
        "",
    ]


def _limits(manifest: Manifest) -> list[str]:
    limits = manifest.data["limits"]
    lines = [
        "## Smallest and most blurred face",
        "",
        f"No verdict below {limits['min_face_px']} px or a sharpness of {limits['min_sharpness']:g}, measured with the "
        f"default on {limits['faces']} validation faces (AUC {limits['as_they_came']['auc']:.3f} as they came):",
        "",
        "| longer side of the face box | AUC | false alarms |",
        "|---|---|---|",
        *(f"| {r['face_px']} px | {r['auc']:.3f} | {r['false_alarms']:.1%} |" for r in limits["by_size"]),
        "",
        "| blur, of a face of 128 px | AUC | false alarms | median sharpness |",
        "|---|---|---|---|",
        *(
            f"| {r['blur_px']:g} px | {r['auc']:.3f} | {r['false_alarms']:.1%} | {r['median_sharpness']:g} |"
            for r in limits["by_blur"]
        ),
        "",
    ]
    return lines


def _data(manifest: Manifest, record: Mapping[str, Any]) -> list[str]:
    members = record.get("members", (record.get("architecture"),))
    training = manifest.models[members[0]]["training"]
    counts = training["sources"]["train"]
    listed = ", ".join(f"{source} {g}/{m}" for source, (g, m) in counts.items())
    return [
        "## Training data",
        "",
        f"Genuine/manipulated faces per source: {listed}.",
        "",
        f"Genuine sources kept out of training for good, which set the band edges: "
        f"{', '.join(training['unseen_val_sources'])}.",
        "",
        f"Terms: {manifest.data['data']['terms']}.",
    ]


def rate_cell(row: Mapping[str, Any] | None) -> str:
    """As a cell of a table; empty for a figure that there is not."""
    if row is None:
        return ""
    if row["low"] is None:
        return f"{row['value']:.1%}, no interval"
    return f"{row['value']:.1%} ({row['low']:.1%} to {row['high']:.1%})"


def _auc(row: Mapping[str, Any]) -> str:
    found = row.get("auc")
    if found is None:
        return ""
    return _figure(found) + ("" if row["against"] == "own" else " *")
