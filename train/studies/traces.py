"""`python -m train traces RUN`: at which JPEG quality and scale a network still tells traces of up-sampling.

Networks that live by such traces (npr) are worth nothing beyond that gate. Written into the run's own report.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from train.console import Bar, say
from train.learn.options import Data
from train.measure.tables import spanned
from train.options import Flat
from train.run import device
from train.studies.sweep import members_of
from train.studies.trace_response import ENOUGH, QUALITIES, SCALES, gate, measure_response, write_response


@dataclass(frozen=True)
class Traces:
    """Measure a finished run's response to traces of up-sampling after JPEG and rescaling, on validation."""

    run: Annotated[Path, tyro.conf.Positional]
    """Run folder of `cnn`, usually one that was trained with --traces."""
    data: Flat[Data] = Data()


def run(options: Traces) -> Path:
    """Prints a table and the gate, and writes both into the run's report; returns the run folder."""
    (finished,), data = members_of([options.run], options.data)
    where = device()
    with Bar("Traces") as bar:
        rows = measure_response(finished.network(), data.val, data.faces, finished.options["size_px"], where, bar.at)
    write_response(finished, rows, title=f"{finished.options['model']}, traces of up-sampling on validation")
    _show(rows)
    return finished.folder


def _show(rows: list[dict[str, Any]]) -> None:
    say(f"AUC of faces with a trace against the same faces without, n = {rows[0]['n']}; JPEG quality across")
    say(f"{'scale':>5} " + " ".join(f"{quality:>22}" for quality in QUALITIES))
    for scale in SCALES:
        say(f"{scale:5g} " + " ".join(f"{spanned(row):>22}" for row in rows if row["scale"] == scale))
    limits = gate(rows)
    if limits is None:
        say(f"no gate: traces are not told (AUC of at least {ENOUGH}) even where nothing was done to the picture")
    else:
        say(
            f"gate: JPEG quality {limits['min_jpeg_quality']:g} at full scale, scale {limits['min_scale']:g} without "
            f"JPEG (lower bound of AUC at least {ENOUGH})"
        )
