"""Goals for the figures of a published set, and whether they were met."""

from detector.manifest import Manifest
from detector.results import Results
from train.measure.tables import spanned

AUC_GOALS = {
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


def goals(manifest: Manifest, measured: Results) -> list[str]:
    """A line for each goal that could be measured."""
    return [*_auc_goals(manifest, measured), *_accuracy_goals(manifest, measured)]


def _auc_goals(manifest: Manifest, measured: Results) -> list[str]:
    slices = measured.choices[manifest.default].slices
    lines = []
    for name, goal in AUC_GOALS.items():
        figure = slices[name].figures.get("auc") if name in slices else None
        if figure:
            lines.append(f"- {name}: AUC {figure.value:.3f}, goal {goal:.2f}: {_met(figure.value, goal)}.")
    alarms = {name: m.figures["fpr"] for name, m in slices.items() if "fpr" in m.figures}
    above = [name for name, fpr in alarms.items() if fpr.low is not None and fpr.low > GOAL_FALSE_ALARMS]
    lines.append(
        f"- False alarms not above {GOAL_FALSE_ALARMS:.0%} on any genuine slice (the lower bound decides): "
        + ("met." if not above else f"missed on {', '.join(above)}.")
    )
    return lines


def _accuracy_goals(manifest: Manifest, measured: Results) -> list[str]:
    """Goals at even odds, as others report accuracy; the threshold gives up accuracy for few false alarms."""
    among = {
        "the default": (manifest.default,),
        "highest of the single networks": tuple(manifest.models),
        "highest of the ensembles": tuple(manifest.ensembles),
    }
    lines = []
    for source, which, goal in ACCURACY_GOALS:
        known = {n: measured.choices[n].even_odds.get(source) for n in among[which] if n in measured.choices}
        by_choice = {name: accuracy for name, accuracy in known.items() if accuracy}
        if by_choice:
            best = max(by_choice, key=lambda name: by_choice[name].value)
            lines.append(
                f"- {source}: accuracy at even odds {spanned(by_choice[best], '.1%')}, {which} ({best}), goal "
                f"{goal:.0%}: {_met(by_choice[best].value, goal)}."
            )
    return lines


def _met(value: float, goal: float) -> str:
    return "met" if value >= goal else "missed"
