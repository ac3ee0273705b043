"""`python -m train sbi`: one network taught mostly or only by self-blended twins; genuine faces alone will do.

The same run as `cnn` (`train/recipes/cnn.py`) with other shares. Where the data have manipulated faces, they fill what
twins leave of their half of a batch, and validation judges by them; where there are none, twins are all of it,
validation judges by twins of its own genuine faces, and the run says so.
"""

from dataclasses import dataclass
from typing import ClassVar

from train.learn.options import Blending
from train.options import Flat
from train.recipes.cnn import Cnn


@dataclass(frozen=True)
class Sbi(Cnn):
    """Train one network mostly on self-blended twins of genuine faces."""

    recipe: ClassVar[str] = "sbi"
    needs_fakes: ClassVar[bool] = False

    blending: Flat[Blending] = Blending(twins=0.75, cross=0.25)
