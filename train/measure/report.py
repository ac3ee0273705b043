"""A run's files for people: classification report, confusion matrix, ROC, reliability diagram, learning curves."""

from collections.abc import Sequence

import numpy as np
from sklearn.metrics import classification_report

from train.data.samples import Sample
from train.measure import plots
from train.measure.metrics import auc, brier, class_balanced_weights, ece, eer
from train.run import Run, write_json


def write_report(run: Run, samples: Sequence[Sample], logits: np.ndarray, title: str) -> None:
    """Writes the report of one set of scored samples into `run.report`, at logit 0 (uncalibrated)."""
    labels = np.array([s.label for s in samples])
    probs = 1 / (1 + np.exp(-logits))
    weights = class_balanced_weights(labels)
    text = classification_report(
        labels, logits > 0, labels=[0, 1], target_names=["genuine", "manipulated"], zero_division=0
    )
    (run.report / "classification_report.txt").write_text(f"{title}, decided at logit 0\n\n{text}", encoding="utf-8")
    write_json(
        run.report / "figures.json",
        {
            "title": title,
            "n": len(labels),
            "auc": auc(labels, logits),
            "eer": eer(labels, logits),
            "brier_balanced": brier(labels, probs, weights),
            "ece_balanced": ece(labels, probs, weights),
        },
    )
    plots.confusion_matrix(labels, logits > 0, run.report / "confusion_matrix.png", title)
    plots.roc(labels, logits, run.report / "roc.png", title)
    plots.reliability_diagram(labels, probs, weights, run.report / "reliability.png", title)
    plots.learning_curves(run.events("epoch"), run.report / "learning_curves.png", title)
