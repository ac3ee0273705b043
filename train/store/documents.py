"""Everything for people beside published weights, by templates: model cards, `README.md` with every figure, `DATA.md`.

Nothing in these files is typed by hand.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from detector.calibration import BAND_RATES, VIDEO_BAND_RATES
from detector.manifest import Entry, Manifest, TrainedEnsemble, TrainedNetwork
from detector.resaved import CLASSES, WITH_EVIDENCE
from detector.results import Choice, Figure, Measured, Results, Shrunk, SourceAlarms, read_results
from detector.types import CHANGES, Band, FalseAlarms, Share
from train.data.mirrors.catalogue import read_sources
from train.measure.slices import POOLED
from train.measure.tables import amount, between, spanned, table, times_as_fast
from train.run import write_text
from train.store.goals import goals
from train.store.product import read_product

_RATE = ".1%"


def write_documents(manifest: Manifest) -> None:
    """Writes `cards/<name>.md` for every network and ensemble, `README.md` and `DATA.md` beside the manifest."""
    folder = manifest.folder / "cards"
    folder.mkdir(exist_ok=True)
    for path in folder.glob("*.md"):
        if path.stem not in manifest.names():
            path.unlink()
    measured = read_results(manifest)
    for name in manifest.names():
        write_text(folder / f"{name}.md", card(manifest, measured, name))
    write_text(manifest.folder / "README.md", weights_readme(manifest, measured, read_product(manifest)))
    write_text(manifest.folder / "DATA.md", data_page(manifest, measured))


def card(manifest: Manifest, measured: Results | None, name: str) -> str:
    """The model card of a network or ensemble."""
    entry = manifest.entry(name)
    choice = measured.choices.get(name) if measured else None
    published = entry.published
    slices = choice.slices if choice else {}
    by_source = measured.curves.by_source.get(name) if measured else None
    # a figure without an interval is of too few persons or videos to stand here
    with_interval = {t: m for t, m in slices.items() if "auc" in m.figures and m.figures["auc"].low is not None}
    return _render(
        "card.md.jinja",
        name=name,
        manifest=manifest,
        network=published if isinstance(published, TrainedNetwork) else None,
        combination=_combination(published) if isinstance(published, TrainedEnsemble) else "",
        choice=choice,
        alarms=_alarms(entry.false_alarms, entry.clip_false_alarms, by_source),
        by_source=by_source,
        strongest=_strongest(entry),
        slices=_slices(with_interval),
        changed=_changed(choice),
        fragile=_fragile(choice),
        resaved_faces=measured.curves.resaved_faces if measured else None,
    )


def weights_readme(manifest: Manifest, measured: Results | None, product: Mapping[str, Any]) -> str:
    """Every measured figure of a published set."""
    default = measured.choices.get(manifest.default) if measured else None
    entry = manifest.entry("default")
    curves = measured.curves if measured else None
    evaluation = product.get("evaluation")
    limits = curves.limits if curves else None
    return _render(
        "weights.md.jinja",
        manifest=manifest,
        default=default,
        slices=_slices(default.slices if default else {}),
        goals="\n".join(goals(manifest, measured)) if measured and default and default.slices else "",
        alarms=_alarms(entry.false_alarms),
        by_faces=_in_made_files("genuine faces in a made file", default.by_faces if default else {}),
        choices=_choices(measured),
        changed=_changed(default),
        resaved=_resaved(default),
        resaved_faces=curves.resaved_faces if curves else None,
        labels=_labels(default),
        labels_used=_labels_used(measured),
        videos=_videos(entry, measured),
        product=evaluation,
        product_pictures=_product_pictures(evaluation),
        product_clips=_product_clips(evaluation),
        clip_bands=clip_bands_text(evaluation["clip_bands"]) if evaluation and evaluation.get("clip_bands") else "",
        speed=_speed(product.get("speed")),
        limits=limits,
        by_size=_shrunk("longer side of the face box", limits.by_size if limits else ()),
        by_blur=_shrunk("blur, of a face of 128 px", limits.by_blur if limits else ()),
    )


def data_page(manifest: Manifest, measured: Results | None) -> str:
    """Every source that these networks were trained, chosen or tested on, with what `train/data/sources.csv` says."""
    slices = measured.choices[manifest.default].slices if measured else {}
    tested = {name: (m.genuine, m.manipulated) for name, m in slices.items()}
    splits = (*(manifest.data.sources.get(split, {}) for split in ("train", "val")), tested)
    known = {s.slice: s for s in read_sources()}
    rows = []
    for name in sorted({name for split in splits for name in split if name not in POOLED}):
        source = known.get(name)
        counts = (" / ".join(map(str, split[name])) if name in split else "" for split in splits)
        methods = ", ".join(s.method for s in read_sources() if s.slice == name and s.label)
        rows.append([name, methods, *counts, source.licence if source else "", source.repository if source else ""])
    head = ["source", "manipulations", "training", "validation", "test", "licence or terms", "from"]
    return _render("data.md.jinja", manifest=manifest, sources="\n".join(table(head, rows)))


def label_rows(labels: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """False alarms by label, as a Markdown table."""
    rows = [
        [f"{title} {label}", figure["n"] if isinstance(figure, Mapping) else figure.n, spanned(figure, _RATE)]
        for title, inside in labels.items()
        for label, figure in inside.items()
    ]
    return table(["label", "n", "false alarms"], rows)


def choices_table(choices: Mapping[str, Choice]) -> list[str]:
    """Every network and ensemble on all test faces, as a Markdown table."""
    head = ["choice", "parameters", "MB", "CPU ms a face", "validation score", "AUC on 140k", "AUC, all test faces",
            "AUC minus the default's", "ECE", "Brier"]  # fmt: skip
    rows = []
    for name, c in choices.items():
        pooled, gain = c.pooled, c.against_default.get("all")
        on_140k = c.slices["140k"].figures.get("auc") if "140k" in c.slices else None
        score = "" if c.validation_score is None else f"{c.validation_score:.3f}"
        measured = (
            [spanned(pooled.auc), spanned(gain, "+.3f") if gain else "the default", f"{pooled.ece:.3f}",
             f"{pooled.brier:.3f}"]
            if pooled
            else [""] * 4
        )  # fmt: skip
        rows.append(
            [name, f"{c.parameters / 1e6:.1f} M", f"{c.megabytes:.1f}", f"{c.cpu_ms_a_face:.0f}", score,
             f"{on_140k.value:.3f}" if on_140k else "", *measured]
        )  # fmt: skip
    return table(head, rows)


def slices_table(slices: Mapping[str, Measured]) -> list[str]:
    """Test slices as a Markdown table."""
    head = ["slice", "genuine", "manipulated", "AUC", "accuracy", "false alarms", "caught"]
    rows = []
    for title, m in slices.items():
        auc = spanned(m.figures.get("auc")) + (" *" if m.manipulated and not m.genuine else "")
        rates = (spanned(m.figures.get(k), _RATE) for k in ("accuracy", "fpr", "tpr"))
        rows.append([title, m.genuine, m.manipulated, auc, *rates])
    return table(head, rows)


def clip_bands_text(section: Mapping[str, Any]) -> str:
    """`train.measure.slices.clip_figures` in a few sentences."""
    text = f"{section['genuine']} genuine clips of {section['genuine_persons']} persons, "
    text += f"{section['manipulated']} manipulated"
    if section["left_out"]:
        text += f"; {section['left_out']} show persons whose other clips set the edges and are left out"
    if "auc" in section:
        text += f". AUC {spanned(section['auc'])}"
    for title, label, of in (
        ("false_alarms", "False alarms, that band or a stronger one", "genuine"),
        ("caught", "Caught", "manipulated"),
    ):
        if title in section:
            rows = ", ".join(
                f"{_word(band)} {row['k']} of {section[of]} ({between(row['low'], row['high'])})"
                for band, row in section[title].items()
            )
            text += f". {label}: {rows}"
    if section["cap"]:
        text += f". No video can get more than {_word(section['cap']['band'])} ({section['cap']['reason']})"
    return f"{text}."


@cache
def _templates() -> Environment:
    return Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )


def _render(template: str, **values: Any) -> str:
    text = _templates().get_template(template).render(spanned=spanned, **values)
    # what an empty condition leaves behind
    while "\n\n\n" in text:
        text = text.replace("\n\n\n", "\n\n")
    return text.rstrip() + "\n"


def _word(band: str) -> str:
    return band.replace("_", " ")


def _combination(ensemble: TrainedEnsemble) -> str:
    members = ", ".join(ensemble.members)
    settings = ", ".join(f"{k} {v:g}" if isinstance(v, float) else f"{k} {v}" for k, v in ensemble.settings.items())
    chosen = f" Chosen by grouped cross-validation inside validation: {settings}." if settings else ""
    weights = ", ".join(f"{m} {w:.2f}" for m, w in zip(ensemble.members, ensemble.weights, strict=False))
    return {
        "average": f"The mean of the calibrated probabilities of {members}, calibrated again on validation.",
        "majority": f"A vote of {members}: each votes above its own threshold; the count is calibrated on validation.",
        "weighted_majority": f"A weighted vote of {members}: each votes above its own threshold, with the weights "
        f"{weights}.{chosen} Calibrated on cross-validated scores.",
        "stacking": f"A support vector classifier on the principal components of the calibrated logits of {members}, "
        f"fitted on validation.{chosen} Calibrated on cross-validated scores.",
        "network": f"{members} alone.",
    }[ensemble.kind]


def _alarms(
    faces: FalseAlarms, persons: FalseAlarms | None = None, sources: Mapping[Band, SourceAlarms] | None = None
) -> str:
    """False alarms of each band on faces, and on persons of videos and on single sources where these are given."""
    head = ["band", "promised", "measured" if persons is None else "faces", "interval", "n"]
    head += [] if persons is None else ["videos", "interval", "n"]
    head += ["sources", "nine of ten", "worst"] if sources else []
    rows = []
    for band, share in faces.items():
        cells: list[object] = [f"{_word(band)} or stronger", _promised(band, persons is not None), *_share(share)]
        cells += [] if persons is None else _share(persons.get(band))
        if sources:
            s = sources[band]
            cells += [len(s.sources), f"{s.high:.1%}", f"{s.worst:.1%} ({s.worst_source})"]
        rows.append(cells)
    return "\n".join(table(head, rows)) if rows else ""


def _promised(band: Band, videos: bool) -> str:
    faces, persons = (f"{100 * rates[band]:g} %" for rates in (BAND_RATES, VIDEO_BAND_RATES))
    return f"{faces}, videos {persons}" if videos and persons != faces else faces


def _share(share: Share | None) -> list[object]:
    return ["", "", ""] if share is None else [f"{share.rate:.1%}", between(share.low, share.high), share.n]


def _in_made_files(title: str, by_persons: Mapping[str, Mapping[Any, Figure]]) -> str:
    rows = [[number, *(f"{f.value:.1%}" for f in row.values())] for number, row in by_persons.items()]
    return "\n".join(table([title, "weak or stronger", "strong or stronger", "very strong"], rows)) if rows else ""


def _slices(slices: Mapping[str, Measured]) -> str:
    return "\n".join(slices_table(slices)) if slices else ""


def _choices(measured: Results | None) -> str:
    return "\n".join(choices_table(measured.choices)) if measured else ""


def _changed(choice: Choice | None) -> str:
    if choice is None or not choice.changed:
        return ""
    rows = [
        [change, m.genuine + m.manipulated, spanned(m.figures.get("auc")), spanned(m.figures.get("auc_lost"), "+.3f"),
         spanned(m.figures.get("fpr"), _RATE), spanned(m.figures.get("tpr"), _RATE)]
        for change, m in choice.changed.items()
    ]  # fmt: skip
    return "\n".join(table(["pictures", "n", "AUC", "AUC lost", "false alarms", "caught"], rows))


def resaved_table(rows: Mapping[str, Mapping[str, Figure]]) -> list[str]:
    """How often bands change in copies that are saved anew, as a Markdown table."""
    titles = {f"{name}, {change}": f"{name}, {phrase}" for name in CLASSES for change, phrase in CHANGES.items()}
    head = ["faces", "n", "band falls", "no verdict", "rises"]
    return table(
        head,
        [
            [titles.get(row, row), figures["fell"].n, *(spanned(figures[k], _RATE) for k in ("fell", "lost", "rose"))]
            for row, figures in rows.items()
        ],
    )


def _resaved(choice: Choice | None) -> str:
    return "\n".join(resaved_table(choice.resaved)) if choice and choice.resaved else ""


def _fragile(choice: Choice | None) -> str:
    """How often evidence falls in a copy, as the end of a sentence: one part for each class."""
    rows = {name: choice.resaved.get(f"{name}, {WITH_EVIDENCE}") for name in CLASSES} if choice else {}
    fell = {name: row["fell"] for name, row in rows.items() if row}
    return " and ".join(f"{spanned(share, _RATE)} of {share.n} {name}" for name, share in fell.items())


def _labels(choice: Choice | None) -> str:
    return "\n".join(label_rows(choice.labels)) if choice and choice.labels else ""


def _labels_used(measured: Results | None) -> str:
    about = measured.curves.labelled if measured else None
    if about is None:
        return ""
    if about.trained_on:
        used = f"{about.source} was in training, so these are its {about.faces} test faces only"
    else:
        used = f"all {about.faces} faces of {about.source}, which trained nothing"
        used += " but helped to set the band edges" if about.set_edges else ""
    return f"False alarms at the threshold by labels: {used}. {about.worth}"


def _videos(entry: Entry, measured: Results | None) -> str:
    if entry.published.clips is None:
        return _strongest(entry)
    alarms = entry.clip_false_alarms
    fit = measured.curves.clips.get(entry.name) if measured else None
    lines = []
    if fit:
        persons = fit.persons
        moved = ", ".join(
            f"{kind} from {m.known:.2f} to {m.unknown:.2f}, {m.spread:.2f} times as far apart"
            for kind, m in fit.known_moved.items()
        )
        lines.append(
            f"Training and validation clips: {persons.genuine} genuine persons, {persons.genuine_unknown} of them in "
            f"no training picture, and {persons.manipulated} manipulated. Scores of persons that were in training are "
            f"moved to where the others are: {moved}. Edges are those of faces or the clips' tolerance limit, "
            "whichever is higher."
        )
    lines.append(
        f"{_strongest(entry)} Genuine persons judged by edges that they took no part in (95 % interval by Wilson), and "
        "made files of them:"
    )
    by_persons = measured.choices[entry.name].by_persons if measured and entry.name in measured.choices else {}
    head = ["band", "one person", "interval", "n", *(f"{n} persons" for n in by_persons)]
    rows = [
        [f"{_word(band)} or stronger", f"{s.rate:.1%}", between(s.low, s.high), s.n,
         *(f"{row[band].value:.1%}" for row in by_persons.values())]
        for band, s in alarms.items()
    ]  # fmt: skip
    return "\n".join([" ".join(lines), "", *table(head, rows)])


def _strongest(entry: Entry) -> str:
    """The strongest band that a video can get, and why no stronger one."""
    if entry.published.clips is None:
        return "Not measured on clips: no video gets more than weak."
    cap = entry.clips.cap
    if cap is None:
        return "Every band was shown for videos."
    if cap.needed:
        return f"No video gets more than {_word(cap.band)}: to show the next takes {cap.needed} genuine persons."
    return f"No video gets more than {_word(cap.band)}: beyond it there were more false alarms than promised."


def _product_pictures(evaluation: Mapping[str, Any] | None) -> str:
    if not evaluation:
        return ""
    rows = [
        [r["slice"], r["faces"], f"{r['verdict_share']:.1%}", f"{r['loader']:.3f}", f"{r['product']:.3f}"]
        for r in evaluation["product_against_loader"]
    ]
    head = ["slice", "pictures", "got a verdict", "AUC by the training loader", "AUC by the product"]
    return "\n".join(table(head, rows))


def _product_clips(evaluation: Mapping[str, Any] | None) -> str:
    if not evaluation or not evaluation["clips"]:
        return ""
    head = ["clips of", "clips", "with verdict", "AUC of clips", "AUC of their frames", "the same frames by the loader",
            "difference (95 % interval over persons)", "AUC of stored faces, loader",
            "genuine clips at the threshold"]  # fmt: skip
    rows = []
    for r in evaluation["clips"]:
        same = r["same_frames"]
        rows.append(
            [r["slice"], r["clips"], r["with_verdict"], _auc(r["auc_clips"]), _auc(same["product"]),
             _auc(same["loader"]), spanned(same["difference"], "+.3f", " (too few persons)"),
             _auc(r["auc_faces_loader"]), f"{r['genuine_at_threshold']} of {r['genuine']}"]
        )  # fmt: skip
    return "\n".join(table(head, rows))


def _auc(value: float | None) -> str:
    return "one class only" if value is None else f"{value:.3f}"


def _speed(data: Mapping[str, Any] | None) -> str:
    if not data:
        return ""
    machine = data["machine"]
    hour = any("one hour" in row["work"] for row in data["rows"])
    rows: list[list[object]] = [
        [row["work"], amount(row["median"], row["unit"]), amount(max(row["runs"]), row["unit"]),
         _amount(row["goal"], row["unit"]), _amount(row["usual_median"], row["unit"]), times_as_fast(row)]
        for row in data["rows"]
    ]  # fmt: skip
    rows.append(["load the networks", amount(data["load_s"], "s"), "", "", "", ""])
    peaks = f"{data['peak_mib_after_photo']:.0f} / {data['peak_mib']:.0f} MiB"
    rows.append(["most memory, photo / clip", peaks, "", "", "", ""])
    about = (
        f"`{'python -m tests.bench --hour' if hour else 'make bench'}`; {machine['processor']}, {machine['cores']} "
        f"cores, {data['models']}, {data['backends']['faces']}, {data['clip_mbit_s']:.1f} Mbit/s clip:"
    )
    return "\n".join([about, "", *table(["work, warm", "median", "slowest", "goal", "usual way", "ratio"], rows)])


def _amount(value: float | None, unit: str) -> str:
    return "" if value is None else amount(value, unit)


def _shrunk(title: str, rows: Sequence[Shrunk]) -> str:
    if not rows:
        return ""
    return "\n".join(
        table(
            [title, "AUC", "false alarms", "median sharpness"],
            [
                [f"{r.face_px if r.face_px is not None else r.blur_px:g} px", f"{r.auc:.3f}", f"{r.false_alarms:.1%}",
                 f"{r.median_sharpness:g}"]
                for r in rows
            ],
        )
    )  # fmt: skip
