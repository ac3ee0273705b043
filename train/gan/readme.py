"""The README of the published generators, made from their records: pictures, figures, what detectors make of them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from train.gan.milestone import RECORD
from train.measure.tables import folded, spanned, table
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
    head = ["generator", "side", "genuine faces shown", "hours", "images a second", "FID", "of", "genuine halves apart",
            "ratio", "KID", "precision", "recall"]  # fmt: skip
    rows = [
        [r["variant"], f"{r['size_px']} px", f"{r['images_seen']:,} of {r['images_seen_in_all']:,}",
         f"{r['hours']:.2f} of {r['hours_in_all']:.2f} ({r['device']})", f"{r['images_per_s']:.1f}", f"{r['fid']:.1f}",
         f"{r['n_generated']:,} made, {r['n_genuine']:,} genuine", f"{r['halves']['fid_genuine']:.1f}",
         f"{r['halves']['ratio']:.1f}", f"{r['kid']:.3f} ± {r['kid_deviation']:.3f}", f"{r['precision']:.2f}",
         f"{r['recall']:.2f}"]
        for r in records
    ]  # fmt: skip
    lines = table(head, rows)
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
    judged = [row for r in records for row in _detectors(r)]
    if judged:
        first = [(name, {s: slices[s] for s in (_SUCH, *_FIRST) if s in slices}) for name, slices in judged]
        lines += [
            "Test faces at even odds (`python -m train gan-judge RUN --split test`), 95 % intervals over groups. A "
            "star: against all genuine test faces, most of such a set, so its accuracy says little of the manipulated "
            "ones.",
            "",
            *_judged(first),
            "",
            *folded("Every test slice with manipulated faces", _judged(judged)),
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


def _judged(detectors: Sequence[tuple[str, Mapping[str, Any]]]) -> list[str]:
    """Slices of detectors as a Markdown table."""
    rows = []
    for name, slices in detectors:
        for source, f in slices.items():
            own = "" if f["against"] == "own" else " *"
            (tn, fp), (fn, tp) = f["confusion"]
            figures = (f"{f[k]:.3f}" for k in ("precision", "recall", "f1"))
            rows.append(
                [name, source, f"{f['genuine']:,}", f"{f['manipulated']:,}", f"{f['auc']:.3f}{own}",
                 spanned(f["accuracy"], ".1%", ""), *figures, f"{tn}, {fp}; {fn}, {tp}"]
            )  # fmt: skip
    head = ["detector", "slice", "genuine", "manipulated", "AUC", "accuracy", "precision", "recall", "F1",
            "confusion: genuine right, wrong; manipulated wrong, right"]  # fmt: skip
    return table(head, rows)
