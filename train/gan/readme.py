"""The README of the published generators, made from their records: pictures, figures, what detectors make of them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from train.gan.milestone import RECORD
from train.measure.tables import folded
from train.run import write_text

README = "README.md"
_SUCH = "such faces"
_FIRST = ("140k", "stylegan2-1024", "sd21")
"""Slices that a reader finds without opening the table of all."""
_INTRODUCTION = """\
# Generators

Two known games, played on genuine training faces by `python -m train gan`: a DCGAN-like generator against ResNet-32,
whose discriminator also sees manipulated faces and is judged as a detector, and a compact StyleGAN2 with adaptive
augmentation. `gan-samples` makes labelled faces of a generator for `cnn --extra`, with genuine faces that went through
the same scaling. No bundled network was trained on such faces: `train/LOG.md` says why. `python -m train gan-publish`
writes this file.
"""


def write_readme(folder: Path) -> None:
    """Writes `README.md` into a folder that holds a published generator in each of its own."""
    records = {
        path.parent.name: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob(f"*/{RECORD}"))
    }
    text = "\n".join([_INTRODUCTION, *_pictures(records), *_figures(list(records.values()))])
    write_text(folder / README, text.rstrip() + "\n")


def _pictures(records: Mapping[str, Mapping[str, Any]]) -> list[str]:
    lines = []
    for name, r in records.items():
        lines += [
            f"## {r['variant']}, {r['size_px']} px",
            "",
            f"![Faces that the generator made: no face of the data]({name}/grid.webp)",
            "",
            f"![Losses, scores and FID over the training]({name}/curves.webp)",
            "",
        ]
    return [*lines, "## Figures", ""]


def _figures(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """How near the faces of each generator are to genuine ones, and what detectors make of them."""
    lines = [
        "| generator | side | genuine faces shown | hours | images a second | FID | of | genuine halves apart | ratio "
        "| KID | precision | recall |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for r in records:
        half = r["halves"]
        lines.append(
            f"| {r['variant']} | {r['size_px']} px | {r['images_seen']:,} of {r['images_seen_in_all']:,} | "
            f"{r['hours']:.2f} of {r['hours_in_all']:.2f} ({r['device']}) | "
            f"{r['images_per_s']:.1f} | {r['fid']:.1f} | {r['n_generated']:,} made, {r['n_genuine']:,} genuine | "
            f"{half['fid_genuine']:.1f} | {half['ratio']:.1f} | {r['kid']:.3f} ± {r['kid_deviation']:.3f} | "
            f"{r['precision']:.2f} | {r['recall']:.2f} |"
        )
    features = sorted({r["extractor"]["name"] for r in records})
    lines += [
        "",
        "Faces and hours until the generator of the lowest FID, which is measured here, of those in all. FID, KID, "
        f"precision and recall are on features of {' and '.join(features)}: figures on other features or numbers of "
        "faces cannot be compared with them. The ratio is of sets of equal size: generated against genuine faces, over "
        "genuine ones against genuine.",
        *(
            f"{r['variant']} on {ours['extractor']['name']}: FID {ours['fid']:.1f}, ratio "
            f"{ours['halves']['ratio']:.1f}."
            for r in records
            if (ours := r["on_ours"])
        ),
        "",
    ]
    judged = [found for r in records for found in _detectors(r)]
    if judged:
        head = [
            "| detector | slice | genuine | manipulated | AUC | accuracy | precision | recall | F1 | confusion: "
            "genuine right, wrong; manipulated wrong, right |",
            "|---|---|---|---|---|---|---|---|---|---|",
        ]
        lines += [
            "Test faces at even odds (`python -m train gan-judge RUN --split test`), 95 % intervals over groups. A "
            "star: against all genuine test faces, most of such a set, so its accuracy says little of the manipulated "
            "ones.",
            "",
            *head,
            *(
                row
                for name, slices in judged
                for row in _judged(name, {s: slices[s] for s in (_SUCH, *_FIRST) if s in slices})
            ),
            "",
            *folded(
                "Every test slice with manipulated faces",
                [*head, *(row for name, slices in judged for row in _judged(name, slices))],
            ),
        ]
    return lines


def _detectors(record: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Detectors that a generator's record tells of: name, and slice -> figures."""
    if record["discriminator"]:
        yield f"ResNet-32 as discriminator of {record['variant']}", record["discriminator"]["slices"]
    for d in record["detectors"]:
        learned = "" if d["learned_generated"] else "not "
        yield (
            f"{d['model']}, {learned}trained on faces of {record['variant']}",
            {_SUCH: d["generated"], **d["slices"]},
        )


def _judged(name: str, slices: Mapping[str, Any]) -> list[str]:
    rows = []
    for source, f in slices.items():
        own = "" if f["against"] == "own" else " *"
        (tn, fp), (fn, tp) = f["confusion"]
        right = f["accuracy"]
        span = "" if right["low"] is None else f" ({right['low']:.1%} to {right['high']:.1%})"
        rows.append(
            f"| {name} | {source} | {f['genuine']:,} | {f['manipulated']:,} | {f['auc']:.3f}{own} | "
            f"{right['value']:.1%}{span} | {f['precision']:.3f} | {f['recall']:.3f} | {f['f1']:.3f} | {tn}, {fp}; "
            f"{fn}, {tp} |"
        )
    return rows
