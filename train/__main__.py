"""`python -m train`: a dict of recipes; without an argument, the reference run."""

import sys
from collections.abc import Callable
from typing import Any

import tyro

from detector.console import print_anything
from detector.errors import DetectorError
from train.errors import DataError
from train.gan import judge as gan_judge
from train.gan import measure_fid
from train.gan import play as gan
from train.gan import publish as gan_publish
from train.gan import samples as gan_samples
from train.processes import is_main, processes
from train.recipes import clips, cnn, convert, evaluate, faces, features, head, publish, reference, sbi, sources
from train.studies import attack, compare, confounds, heads, labels, leave_out, small_set, traces
from train.temporal import learn as temporal

RECIPES: dict[str, tuple[type, Callable[[Any], object]]] = {
    "reference": (reference.Reference, reference.run),
    "cnn": (cnn.Cnn, cnn.run),
    "sbi": (sbi.Sbi, cnn.run),
    "compare": (compare.Compare, compare.run),
    "attack": (attack.AttackRuns, attack.run),
    "traces": (traces.Traces, traces.run),
    "small-set": (small_set.SmallSet, small_set.run),
    "labels": (labels.Labels, labels.run),
    "faces": (faces.Faces, faces.run),
    "features": (features.Features, features.run),
    "head": (head.Head, head.run),
    "heads": (heads.Heads, heads.run),
    "sources": (sources.Sources, sources.run),
    "confounds": (confounds.Confounds, confounds.run),
    "leave-out": (leave_out.LeaveOut, leave_out.run),
    "gan": (gan.Gan, gan.run),
    "gan-samples": (gan_samples.GanSamples, gan_samples.run),
    "gan-judge": (gan_judge.GanJudge, gan_judge.run),
    "gan-publish": (gan_publish.GanPublish, gan_publish.run),
    "fid": (measure_fid.Fid, measure_fid.run),
    "publish": (publish.Publish, publish.run),
    "clips": (clips.Clips, clips.run),
    "temporal": (temporal.Temporal, temporal.run),
    "evaluate": (evaluate.Evaluate, evaluate.run),
    "convert": (convert.Convert, convert.run),
}
"""Name on the command line -> options (their fields are the command line) and what runs them."""

SHARED = ("cnn", "sbi")
"""Recipes that several processes of torchrun may run together."""


STOPPED = """\
Stopped. The reference run, `cnn`, `sbi`, `labels`, `gan`, `compare`, `small-set`, `leave-out` and `temporal` go on
after the last epoch with the same options and `--resume RUN`, `faces` with the same options after the last video."""


def asked(argv: list[str]) -> tuple[str, Any]:
    """Name and options of the recipe that a command line asks for.

    Raises:
        ValueError: an option's value makes no sense.
        SystemExit: no such recipe or option, or help was asked for; what there is has been printed.
    """
    # options may follow the bare command too: `python -m train --data_root DIR`
    if not argv or (argv[0].startswith("-") and argv[0] not in ("-h", "--help")):
        argv = ["reference", *argv]
    options = tyro.extras.subcommand_cli_from_dict(
        {name: options_class for name, (options_class, _) in RECIPES.items()}, args=argv, prog="python -m train"
    )
    return next(name for name, (options_class, _) in RECIPES.items() if type(options) is options_class), options


def main(argv: list[str] | None = None) -> int:
    """Runs a recipe; 0 on success, 1 when the data, options or weights are not as needed, 130 when interrupted."""
    print_anything()
    try:
        name, options = asked(sys.argv[1:] if argv is None else argv)
        if processes() > 1 and name not in SHARED:
            raise ValueError(f"{name} runs in one process: start it without torchrun, which is for {', '.join(SHARED)}")
        RECIPES[name][1](options)
    except (DataError, DetectorError, ValueError, FileNotFoundError, FloatingPointError) as error:
        print(f"{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        if is_main():
            print(STOPPED, file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
