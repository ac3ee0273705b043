"""The report of a run of `temporal`, in Markdown."""

from collections.abc import Mapping
from typing import Any

from train.measure.tables import spanned, table

AVERAGE, RULE, MODEL, SHUFFLED = "average of frames", "worst run of frames", "temporal", "temporal, frames shuffled"
SHIPPED = "temporal, worst run of frames"
"""As the product would judge: the rule for persons, on frames raised by what the head adds."""


def in_words(figures: Mapping[str, Any], model: str, network: str, folds: int, unfrozen: bool) -> str:
    """The report.

    Args:
        figures: as the recipe `temporal` gathers them.
        model, network: backbone and head.
        folds: of the cross-validation.
        unfrozen: whether the backbone was trained along.
    """
    compared = (MODEL, AVERAGE, RULE, SHUFFLED)
    clips, everyone, strangers, across = (figures[k] for k in ("clips", "everyone", "strangers", "across_slices"))
    lines = [
        f"# {model} with a temporal head ({network})",
        "",
        f"{clips['used']} training and validation clips of {clips['persons']} persons, {clips['manipulated']} of them "
        f"manipulated ({clips['without_a_person']} more without a person that could be judged), and {clips['made']} "
        f"made tracks of frames for training. {folds} folds that share no person; test clips were not read.",
        f"Persons of {clips['in_training_pictures']} of the clips are in pictures that trained the backbone: it knows "
        f"them, so that the average of frames does better here than on strangers, and a gain is harder to show.",
        "",
        *table(
            ["fold", "clips", "persons", *compared],
            [
                [row["fold"], row["clips"], len(row["persons"]), *(_auc(row["auc"][name]) for name in compared)]
                for row in figures["folds"]
            ],
        ),
    ]
    lines += ["", "AUC of a fold is over all its clips; what follows is the mean over slices with both classes.", ""]
    if everyone is None:
        lines.append("No slice has persons enough of both classes: no gain can be shown.")
    else:
        lines += table(
            ["held-out clips", "AUC (95 % interval)", *everyone["slices"][MODEL]],
            [
                [name, _interval(interval), *(_auc(v) for v in everyone["slices"][name].values())]
                for name, interval in everyone["auc"].items()
            ],
        )
        lines += ["", *(f"Gain over {name}: {_interval(gain)}." for name, gain in everyone["gain"].items())]
        if figures["shipped"] is not None:
            lines.append(f"Gain of {SHIPPED} over {RULE}: {_interval(figures['shipped']['gain'][RULE])}.")
    if across is not None:
        lines.append(
            f"Across slices, which decides nothing since a head may know the slices: AUC "
            f"{_interval(across['auc'][MODEL])}, "
            f"average of frames {_interval(across['auc'][AVERAGE])}, gain {_interval(across['gain'][AVERAGE])}."
        )
    if strangers is None:
        lines.append("Persons in no training picture are too few in every slice to be compared by themselves.")
    else:
        lines += [
            f"Of persons in no training picture, gain over {name}: {_interval(gain)}."
            for name, gain in strangers["gain"].items()
        ]
    calibration = figures["calibration"]
    if calibration["scale"] is None:
        lines.append("No calibration: scores do not rise with manipulation.")
    else:
        lines.append(
            f"Calibrated on held-out scores: scale {calibration['scale']:.3f}, offset {calibration['offset']:.3f}; "
            f"Brier score {calibration['brier']:.3f} and calibration error {calibration['ece']:.3f} of persons that "
            f"took no part in it."
        )
    lines += ["", f"**{_verdict(figures['helps'], unfrozen)}**", ""]
    if "test" in figures:
        names = (AVERAGE, MODEL, RULE) if unfrozen else (AVERAGE, MODEL, RULE, SHIPPED)
        number = figures["test"]["looks"]
        lines += [f"Test clips, evaluation number {number} (AUC of clips, 95 % interval over persons):", ""]
        lines += table(
            ["slice", "genuine", "manipulated", *names],
            [
                [source, row["genuine"], row["manipulated"],
                 *(_interval(row["auc"][name]) if "auc" in row else "one class only" for name in names)]
                for source, row in figures["test"]["slices"].items()
            ],
        )  # fmt: skip
        lines.append("")
    return "\n".join(lines)


def _verdict(better: bool, unfrozen: bool) -> str:
    if not better:
        return (
            "It is not shipped: the paired interval of the gain over the average of frames or over the product's rule "
            "reaches zero or below."
        )
    said = (
        "It helps: both paired intervals of the gain, over the average of frames and over the product's rule, lie "
        "above zero. "
    )
    if unfrozen:
        return said + "Its backbone is no longer the published network, so that it cannot be added to that."
    return said + "The product has no place for it yet: this is the result that would give it one."


def _interval(figure: Mapping[str, Any]) -> str:
    return spanned(figure, without="")


def _auc(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
