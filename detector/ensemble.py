"""Several networks to one score: an average, votes, or a stacked classifier; plain NumPy on plain arrays.

Every combination takes the members' calibrated logits (N, M), in the order of the manifest's `members`. What it gives
is no probability yet: `Ensemble` calibrates it again. `detector.weights.load_ensemble` makes one from the manifest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Literal, get_args

import numpy as np

from detector.calibration import Calibration, sigmoid

Kind = Literal["network", "average", "majority", "weighted_majority", "stacking"]
"""How members are combined. "network" is one alone."""
KINDS: tuple[Kind, ...] = get_args(Kind)
VOTES: tuple[Kind, ...] = ("majority", "weighted_majority")

_LEAST_PROB = 1e-7


def average(probs: np.ndarray) -> np.ndarray:
    """Mean over networks of calibrated probabilities: (N, M) -> (N,)."""
    return np.asarray(np.asarray(probs, np.float64).mean(axis=1))


def majority(votes: np.ndarray) -> np.ndarray:
    """Share of networks that vote for manipulation: (N, M) bool -> (N,); above 0.5 is a majority."""
    return weighted_majority(votes, np.ones(np.shape(votes)[1]))


def weighted_majority(votes: np.ndarray, weights: np.ndarray | Sequence[float]) -> np.ndarray:
    """Share of the networks' weight that votes for manipulation: (N, M) bool and (M,) -> (N,)."""
    given = np.asarray(weights, np.float64)
    return np.asarray(np.asarray(votes, np.float64) @ given / given.sum())


@dataclass(frozen=True, slots=True)
class Stacker:
    """Logits standardised, turned by a principal component analysis, and judged by a support vector classifier.

    The arrays are those of scikit-learn's StandardScaler, PCA and SVC, whose decision function this repeats (Wolpert,
    "Stacked generalization", 1992; Cortes and Vapnik, "Support-vector networks", 1995).

    Attributes:
        low, high: (M,) range of the logits that it was fitted on, to which inputs are clipped: outside of it a radial
            kernel falls back to a constant, so that the clearest cases would count as undecided.
        mean, scale: (M,) of the standardisation.
        centre: (M,) that the analysis subtracts.
        components: (K, M), K <= M.
        vectors: (V, K) support vectors; for a linear kernel the one normal of the plane.
        coefficients: (V,) their weights.
        intercept: (1,).
        gamma: (1,) of the radial kernel exp(-gamma d^2); 0 = a linear kernel.
    """

    low: np.ndarray
    high: np.ndarray
    mean: np.ndarray
    scale: np.ndarray
    centre: np.ndarray
    components: np.ndarray
    vectors: np.ndarray
    coefficients: np.ndarray
    intercept: np.ndarray
    gamma: np.ndarray

    def __post_init__(self) -> None:
        members, vectors = self.mean.size, self.coefficients.size
        shapes = {name: (members,) for name in ("low", "high", "mean", "scale", "centre")}
        shapes |= {"coefficients": (vectors,), "intercept": (1,), "gamma": (1,)}
        wrong = [name for name, shape in shapes.items() if getattr(self, name).shape != shape]
        if wrong or self.components.shape[1:] != (members,) or self.vectors.shape != (vectors, len(self.components)):
            raise ValueError("the arrays of the stacked classifier do not fit each other")
        if not all(np.isfinite(a).all() for a in self.arrays().values()) or (self.scale <= 0).any() or self.gamma < 0:
            raise ValueError("the arrays of the stacked classifier hold impossible values")

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "Stacker":
        """The reverse of `arrays`.

        Raises:
            ValueError: an array is missing, unknown, or does not fit the others.
        """
        names = {f.name for f in fields(cls)}
        if set(arrays) != names:
            raise ValueError(f"a stacked classifier has the arrays {', '.join(sorted(names))}")
        return cls(**{name: np.asarray(array, np.float64) for name, array in arrays.items()})

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything that it is, by name, for a file."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    def __call__(self, logits: np.ndarray) -> np.ndarray:
        """Calibrated logits (N, M) to the decision function (N,), positive = manipulated."""
        standard = (np.clip(np.asarray(logits, np.float64), self.low, self.high) - self.mean) / self.scale
        turned = (standard - self.centre) @ self.components.T
        products = turned @ self.vectors.T
        if self.gamma[0] == 0:
            return np.asarray(products @ self.coefficients + self.intercept)
        squares = (turned**2).sum(axis=1)[:, None] + (self.vectors**2).sum(axis=1)[None] - 2 * products
        # rounding can take the distance of equal points below zero
        return np.asarray(np.exp(-self.gamma * np.maximum(squares, 0)) @ self.coefficients + self.intercept)


@dataclass(frozen=True, slots=True)
class Ensemble:
    """One published way to combine networks, with its own calibration.

    Attributes:
        kind: see `Kind`.
        members: how many networks, M.
        calibration: of the combined score.
        edges: (M,) of a vote: a network votes for manipulation above its edge, as a calibrated logit.
        weights: (M,) of a weighted vote.
        stacker: of stacking.
    """

    kind: Kind
    members: int
    calibration: Calibration
    edges: tuple[float, ...] = ()
    weights: tuple[float, ...] = ()
    stacker: Stacker | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"there is no combination {self.kind!r}; known: {', '.join(KINDS)}")
        if self.members < 1 or (self.kind == "network" and self.members != 1):
            raise ValueError(f"{self.members} networks do not make a combination of kind {self.kind!r}")
        if self.kind in VOTES and len(self.edges) != self.members:
            raise ValueError("a vote needs an edge for each network")
        if self.kind == "weighted_majority" and (
            len(self.weights) != self.members or min(self.weights) < 0 or sum(self.weights) <= 0
        ):
            raise ValueError("a weighted vote needs a weight for each network, none negative and not all zero")
        if (self.kind == "stacking") != (self.stacker is not None):
            raise ValueError("stacking, and nothing else, has a stacked classifier")
        if self.stacker is not None and self.stacker.mean.size != self.members:
            raise ValueError("the stacked classifier was fitted on another number of networks")

    def __call__(self, logits: np.ndarray) -> np.ndarray:
        """The members' calibrated logits (N, M) to the ensemble's own calibrated logits (N,)."""
        return self.calibration(self.score(logits))

    def score(self, logits: np.ndarray) -> np.ndarray:
        """The members' calibrated logits (N, M) to what is calibrated then, (N,)."""
        logits = np.asarray(logits, np.float64)
        if logits.ndim != 2 or logits.shape[1] != self.members:
            raise ValueError(f"logits of {self.members} networks are needed, not an array {logits.shape}")
        if self.stacker is not None:
            return self.stacker(logits)
        if self.kind == "majority":
            return majority(self.votes(logits))
        if self.kind == "weighted_majority":
            return weighted_majority(self.votes(logits), self.weights)
        if self.kind == "network":
            return np.asarray(logits[:, 0])
        # back on the scale of logits, where the calibration is a straight line
        probs = np.clip(average(sigmoid(logits)), _LEAST_PROB, 1 - _LEAST_PROB)
        return np.asarray(np.log(probs / (1 - probs)))

    def votes(self, logits: np.ndarray) -> np.ndarray:
        """Which networks vote for manipulation: (N, M) bool.

        Raises:
            ValueError: this is no vote.
        """
        if self.kind not in VOTES:
            raise ValueError(f"{self.kind} is no vote")
        return np.asarray(np.asarray(logits) > np.array(self.edges))


def golden_logits_of_members(members: int) -> np.ndarray:
    """Made logits (8, M) whose combination is stored with each ensemble to prove that it loads right."""
    rows, columns = np.mgrid[0:8, 0:members]
    return np.asarray((rows - 3.5) * 0.9 + 1.7 * np.sin(2.0 * rows + 3.0 * columns))
