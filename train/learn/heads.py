"""Linear heads on frozen features: fitted in seconds, so that choices can be measured on many left-out sources.

Features of each layer are brought to length one (Yermakov et al., 2025), centred, and scaled by one number a layer; a
logistic regression weighs them. What separates genuine sources from each other (studios, codecs, cameras) is what
makes false alarms on the next one: directions in which the means of genuine sources differ can be held back by
shrinking them, which is a penalty on the variance of the logit between genuine sources.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.linalg import eigh
from sklearn.linear_model import LogisticRegression

from train.data.batches import source_weights
from train.data.cached_faces import CachedFaces
from train.data.samples import Sample

LAYERS = 26
"""Class tokens of 12 blocks and of the last norm, then the means of the patches of the same."""


@dataclass(frozen=True, slots=True)
class HeadOptions:
    """How a head is fitted.

    Attributes:
        layers: which features it reads: 0 to 11 class tokens of the blocks, 12 of the last norm, 13 to 25 patches.
        c: inverse strength of the penalty, as scikit-learn counts it, for weights that add up to the number of rows.
        spread: strength of the penalty on the variance between genuine sources; 0 is none.
        history: strength of the same penalty on what a picture's history (JPEG, scaling, blur) changes.
    """

    layers: tuple[int, ...] = (3, 5, 7, 8, 9, 10, 11, 12, 20, 22, 25)
    c: float = 0.3
    spread: float = 0.0
    history: float = 0.0


@dataclass(frozen=True)
class Choice:
    """The data that a head is fitted to, and how.

    Attributes:
        head: of the fit.
        views: of training faces, each with its self-blended twins where they are cached.
        twins: share of the manipulated half that are self-blended twins.
        one_class: weight of sources that hold one class only, which teach the source as well as the class.
    """

    head: HeadOptions = field(default_factory=HeadOptions)
    views: tuple[str, ...] = ("plain", "augmented-0")
    twins: float = 0.0
    one_class: float = 1.0


@dataclass(frozen=True, slots=True)
class LinearHead:
    """weight (26, 768) on features of length one, zero for layers it does not read, and bias."""

    weight: np.ndarray
    bias: float

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Logits (N,) of features (N, 26, 768) of any float type."""
        logits = np.full(len(features), self.bias)
        for layer in np.flatnonzero(np.abs(self.weight).sum(axis=1)):
            logits += unit(features[:, layer]) @ self.weight[layer]
        return logits


def unit(features: np.ndarray) -> np.ndarray:
    """The vectors along the last axis at length one, float32."""
    values = features.astype(np.float32)
    return np.asarray(values / np.maximum(np.linalg.norm(values, axis=-1, keepdims=True), 1e-6))


def fit_choice(cached: CachedFaces, train: Sequence[Sample], choice: Choice) -> LinearHead:
    """The head of a choice, fitted to training faces."""
    features: list[np.ndarray] = []
    labels: list[np.ndarray] = []
    weights: list[np.ndarray] = []
    sources: list[str] = []

    def add(samples: Sequence[Sample], view: str, label: int, share: float) -> None:
        if samples and share > 0:
            features.append(cached.of(samples, view))
            labels.append(np.full(len(samples), label))
            weights.append(share * _weights(samples, mixed, choice.one_class))
            sources.extend(s.source for s in samples)

    by_source: dict[str, set[int]] = {}
    for s in train:
        by_source.setdefault(s.source, set()).add(s.label)
    mixed = {source for source, labels_of in by_source.items() if len(labels_of) == 2}
    for view in choice.views:
        some = cached.having(train, view)
        genuine, fake = ([s for s in some if s.label == label] for label in (0, 1))
        twin_view = view.replace("augmented", "twin")
        blended = cached.having(genuine, twin_view) if twin_view != view else []
        twins = choice.twins if blended else 0.0
        add(genuine, view, 0, 0.5)
        add(fake, view, 1, 0.5 * (1 - twins))
        add(blended, twin_view, 1, 0.5 * twins)
    histories = None
    if choice.head.history:
        pairs = cached.having([s for s in train if s.label == 0], "augmented-0")
        histories = unit(cached.of(pairs, "augmented-0")) - unit(cached.of(pairs, "plain"))
    return fit_head(
        np.concatenate(features), np.concatenate(labels), np.concatenate(weights), sources, choice.head, histories
    )


def _weights(samples: Sequence[Sample], mixed: set[str], one_class: float) -> np.ndarray:
    weights = source_weights(samples, range(len(samples)))
    weights = weights * np.array([1.0 if s.source in mixed else one_class for s in samples])
    return np.asarray(weights / weights.sum())


def fit_head(
    features: np.ndarray,
    labels: np.ndarray,
    weights: np.ndarray,
    sources: Sequence[str],
    options: HeadOptions,
    histories: np.ndarray | None = None,
) -> LinearHead:
    """A linear head, fitted to rows of features by weighted logistic regression.

    Args:
        features: (N, 26, 768).
        labels: (N,), 1 = manipulated.
        weights: (N,) of the rows, any scale.
        sources: of the rows; only those of genuine rows count, for `spread`.
        options: see there.
        histories: (M, 26, 768) differences of unit features of the same picture with another history, for `history`.
    """
    layers = list(options.layers)
    rows = unit(features[:, layers])
    share = weights / weights.sum()
    mean = np.einsum("n,nlc->lc", share, rows)
    rows -= mean
    scale = np.sqrt(np.einsum("n,nlc->l", share, rows**2) / rows.shape[2])
    flat = (rows / scale[:, None]).reshape(len(rows), -1)
    parts = []
    if options.spread:
        parts.append(options.spread * _source_means(flat, labels, share, sources))
    if options.history and histories is not None:
        moved = (histories[:, layers] / scale[:, None]).reshape(len(histories), -1).astype(np.float32)
        parts.append(options.history * moved / np.sqrt(len(moved)))
    basis, factors = _shrunk_directions(np.concatenate(parts), flat.shape[1]) if parts else (None, None)
    if basis is not None and factors is not None:
        flat = flat - ((flat @ basis.T) * (1 - factors)) @ basis
    fitted = LogisticRegression(C=options.c, max_iter=300, tol=1e-4).fit(flat, labels, sample_weight=share * len(share))
    coefficients = fitted.coef_[0]
    if basis is not None and factors is not None:
        coefficients = coefficients - (basis @ coefficients * (1 - factors)) @ basis
    per_layer = coefficients.reshape(len(layers), -1) / scale[:, None]
    weight = np.zeros((LAYERS, features.shape[2]), np.float32)
    weight[layers] = per_layer
    return LinearHead(weight, float(fitted.intercept_[0] - (per_layer * mean).sum()))


def _source_means(flat: np.ndarray, labels: np.ndarray, share: np.ndarray, sources: Sequence[str]) -> np.ndarray:
    """Means of genuine sources about their common mean, (sources, D), scaled so that their products are a variance."""
    names = np.array(sources)
    means = []
    for name in sorted(set(names[labels == 0])):
        rows = (labels == 0) & (names == name)
        means.append(np.average(flat[rows], axis=0, weights=share[rows]))
    centred = np.stack(means) - np.mean(means, axis=0)
    return np.asarray(centred / np.sqrt(len(means)), np.float32)


def _shrunk_directions(moved: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Unit directions (K, D) and factors (K,) in (0, 1]: (1 + eigenvalue)^-1/2 of the covariance moved' moved."""
    values, vectors = eigh(moved @ moved.T)
    keep = values > 1e-6 * values.max()
    basis = (vectors[:, keep] / np.sqrt(values[keep])).T @ moved
    return np.asarray(basis, np.float32), np.asarray(1 / np.sqrt(1 + values[keep]), np.float32)
