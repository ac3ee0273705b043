"""Plots as PNG files, drawn without a screen."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from sklearn.metrics import roc_curve

from train.measure.metrics import auc, reliability

_INK, _ACCENT, _WARM = "#16213A", "#0B6E69", "#D2691E"


def confusion_matrix(labels: np.ndarray, flagged: np.ndarray, path: Path, title: str) -> None:
    """Counts of genuine and manipulated faces, flagged or not."""
    counts = np.array([[np.sum((labels == c) & (flagged == f)) for f in (False, True)] for c in (0, 1)])
    figure, axes = _figure(title)
    axes.imshow(counts / np.maximum(1, counts.sum(1, keepdims=True)), cmap="Blues", vmin=0, vmax=1)
    for row in range(2):
        for column in range(2):
            share = counts[row, column] / max(1, counts[row].sum())
            axes.text(
                column, row, f"{counts[row, column]}\n{share:.0%}", ha="center", va="center",
                color="white" if share > 0.6 else _INK,
            )  # fmt: skip
    axes.set_xticks([0, 1], ["not flagged", "flagged"])
    axes.set_yticks([0, 1], ["genuine", "manipulated"])
    figure.savefig(path)


def roc(labels: np.ndarray, scores: np.ndarray, path: Path, title: str) -> None:
    """ROC curve with its area."""
    figure, axes = _figure(title)
    fpr, tpr, _ = roc_curve(labels, scores)
    axes.plot(fpr, tpr, color=_ACCENT, label=f"AUC {auc(labels, scores):.3f}")
    axes.plot([0, 1], [0, 1], color=_INK, linestyle=":", linewidth=1)
    axes.set(xlabel="false-positive rate", ylabel="true-positive rate")
    axes.legend(loc="lower right")
    figure.savefig(path)


def reliability_diagram(labels: np.ndarray, probs: np.ndarray, weights: np.ndarray, path: Path, title: str) -> None:
    """Mean probability against the observed share, equal-mass bins."""
    figure, axes = _figure(title)
    means, shares, _ = zip(*reliability(labels, probs, weights), strict=True)
    axes.plot([0, 1], [0, 1], color=_INK, linestyle=":", linewidth=1)
    axes.plot(means, shares, color=_ACCENT, marker="o")
    axes.set(xlabel="mean probability", ylabel="share manipulated", xlim=(0, 1), ylim=(0, 1))
    figure.savefig(path)


def learning_curves(epochs: Sequence[dict[str, Any]], path: Path, title: str) -> None:
    """Loss, accuracy and the validation score of each epoch."""
    figure, axes = _figure(title)
    numbers = [row["epoch"] for row in epochs]
    axes.plot(numbers, [row["loss"] for row in epochs], color=_INK, marker="o", label="training loss")
    axes.plot(numbers, [row["accuracy"] for row in epochs], color=_ACCENT, marker="o", label="training accuracy")
    axes.plot(numbers, [row["score"] for row in epochs], color=_WARM, marker="o", label="validation score")
    axes.set(xlabel="epoch")
    axes.legend()
    figure.savefig(path)


def trace_response(rows: Sequence[dict[str, Any]], path: Path, title: str) -> None:
    """AUC of traced against untraced faces over JPEG quality, a line for each scale (`studies/trace_response.py`)."""
    figure, axes = _figure(title)
    scales = sorted({row["scale"] for row in rows}, reverse=True)
    for shade, scale in zip(np.linspace(1, 0.3, len(scales)), scales, strict=True):
        line = sorted((row for row in rows if row["scale"] == scale), key=lambda row: row["jpeg_quality"])
        qualities = [row["jpeg_quality"] for row in line]
        axes.plot(
            qualities, [row["value"] for row in line], color=_ACCENT, alpha=shade, marker="o", label=f"scale {scale:g}"
        )
        if all(row["low"] is not None for row in line):
            low, high = [row["low"] for row in line], [row["high"] for row in line]
            axes.fill_between(qualities, low, high, color=_ACCENT, alpha=0.08 * shade)
    axes.axhline(0.5, color=_INK, linestyle=":", linewidth=1)
    axes.set(xlabel="JPEG quality (100 = not encoded again)", ylabel="AUC", ylim=(0.4, 1.02))
    axes.legend(loc="lower right")
    figure.savefig(path)


def gan_curves(epochs: Sequence[dict[str, Any]], path: Path, title: str) -> None:
    """A game's losses, what the discriminator makes of both kinds, and FID where it was measured."""
    panels: tuple[tuple[str, dict[str, str]], ...] = (
        ("loss", {"d_loss": "discriminator", "g_loss": "generator"}),
        ("logit", {"d_genuine": "of genuine faces", "d_generated": "of generated faces"}),
        (
            "share",
            {"accuracy": "discriminator right", "p": "augmentation p", "r_t": "r_t", "score": "validation score"},
        ),
        ("FID", {"fid": "FID"}),
    )
    figure = Figure(figsize=(10, 7), dpi=110, layout="constrained")
    figure.suptitle(title, fontsize=10)
    for axes, (name, lines) in zip(figure.subplots(2, 2).flat, panels, strict=True):
        for (key, label), colour in zip(lines.items(), (_INK, _WARM, _ACCENT, "#7A8194"), strict=False):
            rows = [row for row in epochs if key in row]
            # a run may have been gone on with on other features
            rows = [row for row in rows if key != "fid" or row.get("features") == rows[-1].get("features")]
            if rows:
                axes.plot([r["epoch"] for r in rows], [r[key] for r in rows], color=colour, marker=".", label=label)
        axes.set(xlabel="epoch", ylabel=name)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if axes.get_lines():
            # above the panel: within it, it would hide a line
            axes.legend(fontsize=8, loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False)
    figure.savefig(path)


def _figure(title: str) -> tuple[Figure, Any]:
    # no pyplot: it keeps global state and wants a screen
    figure = Figure(figsize=(5.2, 4.2), dpi=110, layout="constrained")
    axes = figure.subplots()
    axes.set_title(title, fontsize=10)
    return figure, axes
