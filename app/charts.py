"""Results to Plotly figures and to places on a scale: pure functions, without Streamlit."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import plotly.graph_objects as go

from detector import Person, Thresholds

INK = {"light": "#16213A", "dark": "#EEF1F6"}
SOFT = {"light": "#5A657D", "dark": "#A7B0C2"}

_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
_SERIES = {
    "light": ("#0B6E69", "#D2691E", "#4F7CAC", "#96760A", "#9B2226"),
    "dark": ("#4FC3BA", "#EE8A43", "#7FA8D1", "#E0BE4F", "#E5656A"),
}
"""Colours of networks beside each other; with more than five, dashes and symbols tell them apart."""
_MIN_ZONE = 0.22
"""Smallest part of the scale that a band gets: strict edges lie so near to 100 % that nothing could be read there."""


@dataclass(frozen=True, slots=True)
class Scale:
    """The evidence scale: probability to a place between 0 and 1, stretched so that every band can be read.

    Attributes:
        probs: 0, the three band edges, 1.
        places: where those lie on the drawn scale, 0 to 1.
    """

    probs: tuple[float, ...]
    places: tuple[float, ...]

    def place(self, prob: float) -> float:
        """Place of a probability, linear inside each band; outside 0 to 1 it is clipped."""
        prob = min(max(prob, 0.0), 1.0)
        for (p0, p1), (x0, x1) in zip(pairwise(self.probs), pairwise(self.places), strict=True):
            if prob <= p1 and p1 > p0:
                return x0 + (x1 - x0) * (prob - p0) / (p1 - p0)
        return 1.0

    @property
    def widths(self) -> tuple[float, ...]:
        """Drawn width of each band, in order; they add up to 1."""
        return tuple(b - a for a, b in pairwise(self.places))


def scale_of(thresholds: Thresholds) -> Scale:
    """The scale for these band edges, no band narrower than 22 %."""
    probs = (0.0, thresholds.weak, thresholds.strong, thresholds.very_strong, 1.0)
    widths = [b - a for a, b in pairwise(probs)]
    narrow: set[int] = set()
    while True:
        free = 1.0 - _MIN_ZONE * len(narrow)
        total = sum(w for i, w in enumerate(widths) if i not in narrow)
        drawn = [_MIN_ZONE if i in narrow else w * free / total for i, w in enumerate(widths)]
        too_narrow = {i for i, w in enumerate(drawn) if w < _MIN_ZONE and i not in narrow}
        if not too_narrow:
            break
        narrow |= too_narrow
    places = [0.0]
    for width in drawn:
        places.append(places[-1] + width)
    places[-1] = 1.0
    return Scale(probs, tuple(places))


def seconds(time_s: float) -> str:
    """A time for a person: "7.2 s"."""
    return f"{time_s:.1f} s"


def key_times(person: Person, count: int = 5) -> tuple[float, ...]:
    """The times of the frames that matter most for one person, in order of time.

    The worst frame first, then the highest ones that are not its neighbours, so that the strip shows the clip and not
    one moment five times.
    """
    scored = [(p.time_s, p.prob_fake if p.smoothed is None else p.smoothed) for p in person.timeline]
    rated = [(t, v) for t, v in scored if v is not None]
    if not rated:
        return tuple(t for t, _ in scored[:: max(1, len(scored) // count)])[:count]
    ranked = [t for t, _ in sorted(rated, key=lambda tv: -tv[1])]
    if person.worst_time_s is not None:
        ranked.insert(0, min(ranked, key=lambda t: abs(t - person.worst_time_s)))  # type: ignore[operator]
    apart = (rated[-1][0] - rated[0][0]) / (2 * count)
    chosen: list[float] = []
    for time_s in ranked:
        if len(chosen) < count and all(abs(time_s - c) > apart for c in chosen):
            chosen.append(time_s)
    return tuple(sorted(chosen))


def _plain_layout(theme: str) -> dict[str, object]:
    """The layout that every figure is drawn on."""
    return {
        "dragmode": False,
        "hovermode": "closest",
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "Inter, sans-serif", "size": 14, "color": SOFT[theme]},
    }


def _title(text: str) -> dict[str, object]:
    """Of an axis, no larger than its figures."""
    return {"text": text, "font": {"size": 14}}


@dataclass(frozen=True, slots=True)
class Bar:
    """One measured figure with its interval, for `bars`."""

    name: str
    value: float
    low: float | None
    high: float | None


def bars(groups: Sequence[tuple[str, Sequence[Bar]]], axis_title: str, start: float, theme: str = "light") -> go.Figure:
    """Measured figures of several networks on several test sets, as points with their 95 % intervals.

    Args:
        groups: (network, its figures, one a test set). Points, not filled bars, since the axis does not start at 0.
        axis_title: what is measured.
        start: left end of the axis.
        theme: "light" or "dark".
    """
    symbols = ("circle", "diamond", "square", "triangle-up", "x")
    colours = _SERIES[theme]
    names = list(dict.fromkeys(bar.name for _, group in groups for bar in group))
    plot_px = max(1, len(names)) * (22 + 14 * len(groups))
    figure = go.Figure()
    for index, (group_name, group) in enumerate(groups):
        # networks side by side in a row instead of on top of each other
        offset = (index - (len(groups) - 1) / 2) * 0.7 / max(1, len(groups))
        figure.add_scatter(
            x=[bar.value for bar in group],
            y=[names.index(bar.name) + offset for bar in group],
            mode="markers",
            name=group_name,
            marker={
                "size": 11,
                # every second round of colours is hollow
                "symbol": symbols[index % len(symbols)] + ("-open" if index // len(symbols) % 2 else ""),
                "line": {"width": 2.5} if index // len(symbols) % 2 else {},
                "color": colours[index % len(colours)],
            },
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [0.0 if bar.high is None else max(0.0, bar.high - bar.value) for bar in group],
                "arrayminus": [0.0 if bar.low is None else max(0.0, bar.value - bar.low) for bar in group],
                "thickness": 2,
                "width": 5,
            },
            customdata=[bar.name for bar in group],
            hovertemplate="%{fullData.name}, %{customdata}: %{x:.3f}<extra></extra>",
        )
    figure.update_layout(
        **_plain_layout(theme),
        height=120 + plot_px,
        margin={"l": 8, "r": 12, "t": 8, "b": 8},
        # above the axis, which stands at the top: the chart is longer than a screen
        legend={
            "orientation": "h", "y": 1 + 64 / plot_px, "yanchor": "bottom", "x": 0,
            "font": {"size": 14, "color": INK[theme]},
        },
        showlegend=len(groups) > 1,
    )  # fmt: skip
    figure.update_xaxes(
        title=_title(axis_title), side="top", range=[start, 1.005], fixedrange=True, gridcolor="rgba(128,138,160,0.25)"
    )
    figure.update_yaxes(
        tickvals=list(range(len(names))),
        ticktext=names,
        range=[len(names) - 0.5, -0.5],
        showgrid=False,
        zeroline=False,
        fixedrange=True,
        automargin=True,
    )
    return figure


def lines(
    groups: Sequence[tuple[str, Sequence[tuple[float, float]]]],
    x_title: str,
    y_title: str,
    theme: str = "light",
    markers: bool = False,
) -> go.Figure:
    """Curves of several networks between 0 and 1 over the diagonal, for ROC and reliability.

    Args:
        groups: (network, its points in order of x).
        x_title, y_title: of the axes.
        theme: "light" or "dark".
        markers: draw the points too, where there are few.
    """
    figure = go.Figure()
    figure.add_scatter(
        x=[0, 1],
        y=[0, 1],
        mode="lines",
        line={"color": SOFT[theme], "width": 1, "dash": "dot"},
        hoverinfo="skip",
        showlegend=False,
    )
    colours = _SERIES[theme]
    for index, (name, points) in enumerate(groups):
        figure.add_scatter(
            x=[x for x, _ in points],
            y=[y for _, y in points],
            mode="lines+markers" if markers else "lines",
            name=name,
            # every second round of colours gets another dash
            line={"color": colours[index % len(colours)], "width": 2.5, "dash": _DASHES[index // len(colours)]},
            marker={"size": 7},
            hovertemplate="%{fullData.name}: %{y:.3f} at %{x:.3f}<extra></extra>",
        )
    figure.update_layout(
        **_plain_layout(theme),
        height=420,
        margin={"l": 8, "r": 12, "t": 8, "b": 56},
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0, "font": {"size": 14, "color": INK[theme]}},
    )
    grid = {"range": [-0.01, 1.01], "fixedrange": True, "gridcolor": "rgba(128,138,160,0.25)", "zeroline": False}
    figure.update_xaxes(title=_title(x_title), **grid)
    figure.update_yaxes(title=_title(y_title), automargin=True, **grid)
    return figure
