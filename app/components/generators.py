"""The generators whose faces the detectors can learn from: what they make, and who tells it."""

import html
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import streamlit as st

from app.components.page import small
from app.components.tables import short_name, table

_NAMES = {"resnet32": "DCGAN against ResNet-32", "stylegan2-ada": "StyleGAN2-ADA"}


def generators(folder: Path) -> None:
    """What generators were trained, where any were published by `train.gan.publish`, a folder each."""
    records = sorted(folder.glob("*/record.json"))
    if not records:
        return
    st.html('<div class="um"><h2 class="um-h2">Generators of faces to learn from</h2></div>')
    small("Networks that make faces, trained with this version. None of the people below exists.")
    for path in records:
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            lines, rows = _lines(record), _rows(record)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            small(f"weights/gan/{path.parent.name} is damaged: fetch weights/ again.")
            continue
        with st.container(border=True, key=f"um-generator-{path.parent.name}"):
            st.html(f'<div class="um">{lines}</div>')
            shown = {"grid": "Faces that it made", "curves": "Its losses and measurements over the training"}
            for column, (kind, alt) in zip(st.columns(2), shown.items(), strict=True):
                picture = path.with_name(f"{kind}.webp")
                if picture.is_file():
                    column.image(picture.read_bytes(), width="stretch", alt=alt, caption=alt)
            if rows:
                table(rows, rows[0], key=f"generator_{path.parent.name}")
                small(
                    "Test faces that trained nothing, judged at even odds: flagged where the probability is above one "
                    "half. A test set without genuine faces is set against all genuine test faces, which are many "
                    "more, so accuracy and precision say little of it."
                )


def _lines(record: Mapping[str, Any]) -> str:
    """What is known of one generator, as HTML.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: the record is not complete.
    """
    where = "a processor" if record["device"] == "cpu" else "a graphics card"
    size = int(record["size_px"])
    title = f"{_NAMES.get(record['variant'], record['variant'])}, {size} × {size} px"
    half = record["halves"]
    lines = [
        f"Learned from {record['images_seen']:,} showings of genuine faces in {record['hours']:.1f} hours on {where}.",
        f"Its faces are {half['ratio']:.1f} times as far from genuine ones as two halves of the genuine ones are from "
        f"each other (FID {half['fid_generated']:.1f} against {half['fid_genuine']:.1f}, {half['n']:,} faces each).",
        f"All {record['n_generated']:,} made against {record['n_genuine']:,} genuine faces: FID {record['fid']:.1f}, "
        f"on features of {record['extractor']['name']}. FID on other features or of other numbers of faces cannot be "
        f"compared with it.",
    ]
    for detector in record["detectors"]:
        made = detector["generated"]
        lines.append(
            f"{short_name(detector['model'])}, {'' if detector['learned_generated'] else 'not '}trained on such faces: "
            f"of {made['manipulated']} of them and {made['genuine']} genuine ones that it had not seen, it judged "
            f"{100 * made['accuracy']['value']:.0f} % rightly."
        )
    text = "".join(f'<p class="um-small">{html.escape(line)}</p>' for line in lines)
    return f"<h3>{html.escape(title)}</h3>{text}"


def _rows(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What its discriminator and the detectors judged on its faces make of every test set.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: the record is not complete.
    """
    alone = record["discriminator"]
    judged = [("Its discriminator alone", alone["slices"])] if alone else []
    judged += [
        (short_name(d["model"]), {"faces that it made": d["generated"], **d["slices"]}) for d in record["detectors"]
    ]
    rows = []
    for name, slices in judged:
        for test_set, f in slices.items():
            (passed, alarmed), (missed, found) = f["confusion"]
            rows.append(
                {
                    "Detector": name,
                    "Test set": test_set,
                    "AUC": f["auc"],
                    "Accuracy": f["accuracy"]["value"],
                    "from": f["accuracy"]["low"],
                    "to": f["accuracy"]["high"],
                    "Precision": f["precision"],
                    "Recall": f["recall"],
                    "F1": f["f1"],
                    "Genuine, passed": passed,
                    "Genuine, flagged": alarmed,
                    "Manipulated, missed": missed,
                    "Manipulated, flagged": found,
                }
            )
    return rows
