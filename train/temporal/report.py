"""What a run of `temporal` found, in Markdown."""

from collections.abc import Mapping
from typing import Any

from train.measure.tables import spanned

AVERAGE, RULE, MODEL, SHUFFLED = "average of frames", "worst run of frames", "temporal", "temporal, frames shuffled"
SHIPPED = "temporal, worst run of frames"
"""As the product would judge: the rule for persons, on frames raised by what the head adds."""


def in_words(found: Mapping[str, Any], model: str, network: str, folds: int, unfrozen: bool) -> str:
    """The report.

    Args:
        found: figures as the recipe `temporal` gathers them.
        model, network: backbone and head.
        folds: of the cross-validation.
        unfrozen: whether the backbone was trained along.
    """
    clips, everyone, strangers, across = (found[k] for k in ("clips", "everyone", "strangers", "across_slices"))
    lines = [
        f"# {model} with a temporal head ({network})",
        "",
        f"{clips['used']} training and validation clips of {clips['persons']} persons, {clips['manipulated']} of them "
        f"manipulated ({clips['without_a_person']} more without a person that could be judged), and {clips['made']} "
        f"made strips of frames for training. {folds} folds that share no person; test clips were not read.",
        f"Persons of {clips['in_training_pictures']} of the clips are in pictures that trained the backbone: it knows "
        f"them, so that the average of frames does better here than on strangers, and a gain is harder to show.",
        "",
        "| fold | clips | persons | " + " | ".join((MODEL, AVERAGE, RULE, SHUFFLED)) + " |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in found["folds"]:
        cells = ["" if v is None else f"{v:.3f}" for v in (row["auc"][n] for n in (MODEL, AVERAGE, RULE, SHUFFLED))]
        lines.append(f"| {row['fold']} | {row['clips']} | {len(row['persons'])} | {' | '.join(cells)} |")
    lines += ["", "AUC of a fold is over all its clips; what follows is the mean over slices with both classes.", ""]
    if everyone is None:
        lines.append("No slice has persons enough of both classes: no gain can be shown.")
    else:
        lines += ["| held-out clips | AUC (95 % interval) | " + " | ".join(everyone["slices"][MODEL]) + " |"]
        lines += ["|---|---|" + "---|" * len(everyone["slices"][MODEL])]
        for name, interval in everyone["auc"].items():
            of_slices = " | ".join(f"{v:.3f}" for v in everyone["slices"][name].values())
            lines.append(f"| {name} | {_told(interval)} | {of_slices} |")
        lines += ["", *(f"Gain over {name}: {_told(gain)}." for name, gain in everyone["gain"].items())]
        if found["shipped"] is not None:
            lines.append(f"Gain of {SHIPPED} over {RULE}: {_told(found['shipped']['gain'][RULE])}.")
    if across is not None:
        lines.append(
            f"Across slices, which decides nothing since a head may know the slices: AUC "
            f"{_told(across['auc'][MODEL])}, "
            f"average of frames {_told(across['auc'][AVERAGE])}, gain {_told(across['gain'][AVERAGE])}."
        )
    if strangers is None:
        lines.append("Persons in no training picture are too few in every slice to be compared by themselves.")
    else:
        lines += [
            f"Of persons in no training picture, gain over {name}: {_told(gain)}."
            for name, gain in strangers["gain"].items()
        ]
    calibration = found["calibration"]
    if calibration["scale"] is None:
        lines.append("No calibration: scores do not rise with manipulation.")
    else:
        lines.append(
            f"Calibrated on held-out scores: scale {calibration['scale']:.3f}, offset {calibration['offset']:.3f}; "
            f"Brier score {calibration['brier']:.3f} and calibration error {calibration['ece']:.3f} of persons that "
            f"took no part in it."
        )
    lines += ["", f"**{_verdict(found['helps'], unfrozen)}**", ""]
    if "test" in found:
        names = (AVERAGE, MODEL, RULE) if unfrozen else (AVERAGE, MODEL, RULE, SHIPPED)
        lines += [f"Test clips, look number {found['test']['looks']} (AUC of clips, 95 % interval over persons):", ""]
        lines += ["| slice | genuine | manipulated | " + " | ".join(names) + " |", "|---" * (3 + len(names)) + "|"]
        for source, row in found["test"]["slices"].items():
            cells = [_told(row["auc"][name]) if "auc" in row else "one class only" for name in names]
            lines.append(f"| {source} | {row['genuine']} | {row['manipulated']} | {' | '.join(cells)} |")
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


def _told(found: Mapping[str, Any]) -> str:
    return spanned(found, without="")
