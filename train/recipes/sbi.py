"""`python -m train sbi`: one network taught mostly or only by self-blended twins; genuine faces alone will do.

The same run as `cnn` (`train/recipes/cnn.py`) with other shares. Where the data have manipulated faces, they fill what
twins leave of their half of a batch, and validation judges by them; where there are none, validation judges by twins of
its own genuine faces, and the run says so.
"""

from dataclasses import dataclass
from typing import ClassVar

from train.recipes.cnn import Cnn


@dataclass(frozen=True)
class Sbi(Cnn):
    """Train one network mostly on self-blended twins of genuine faces."""

    recipe: ClassVar[str] = "sbi"
    needs_fakes: ClassVar[bool] = False

    twins: float = 0.75
    """Share of the manipulated half of a batch that are self-blended twins of its genuine faces; 1 = manipulated
    faces of the data are not used, and all of it where the data have none."""
    cross: float = 0.25
    """Share of the twins that get the inner face of another person of the same source."""
