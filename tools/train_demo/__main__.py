"""Trains the embedded models from the pictures up: `python -m tools.train_demo --out runs/train_demo`."""

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from time import monotonic

import torch

from frdiff_tune.errors import FrdiffError, ModelError
from tools.train_demo.autoencoder import AutoencoderStage
from tools.train_demo.classes import ClassStage
from tools.train_demo.latents import LatentsStage
from tools.train_demo.pictures import DataStage
from tools.train_demo.recipe import Recipe
from tools.train_demo.stage import Stage, run
from tools.train_demo.text import TextStage

STAGES: dict[str, type[Stage]] = {
    "data": DataStage,
    "autoencoder": AutoencoderStage,
    "latents": LatentsStage,
    "text": TextStage,
    "class": ClassStage,
}


def main(arguments: Sequence[str] | None = None, recipe: Recipe | None = None) -> int:
    """Runs the stages that are asked for, in order; returns the exit code.

    Arguments:
        arguments: The command line; None takes the process's own.
        recipe: None takes the embedded models' own.
    """
    options = _parser().parse_args(arguments)
    try:
        return _train(options, recipe or Recipe())
    except FrdiffError as error:
        print(error, file=sys.stderr)
        return error.exit_code


def _train(options: argparse.Namespace, recipe: Recipe) -> int:
    recipe = recipe if options.steps is None else recipe.shortened(options.steps)
    device = _device(options.device)
    deadline = monotonic() + 60 * options.minutes
    for name in [name for name in STAGES if name in options.stages]:
        make = partial(DataStage, packages=options.packages) if name == "data" else STAGES[name]
        if not run(make(recipe, options.out, device), deadline):
            print(f"{name}: {options.minutes:g} minutes are over; the same command goes on from here.")
            return 0
    return 0


def _device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise ModelError(f"`--device` must be a device of this machine but got {name}, and CUDA is not here. Give cpu.")
    return torch.device(name)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools.train_demo", description=__doc__)
    add = parser.add_argument
    add("--out", type=Path, default=Path("runs/train_demo"), help="folder for checkpoints and models (%(default)s)")
    add("--packages", type=Path, help="folder with the two npm packages (.tgz); fetched by `npm pack` where missing")
    add("--stages", nargs="+", choices=STAGES, default=list(STAGES), metavar="STAGE", help=f"of {', '.join(STAGES)}")
    add("--steps", type=int, help="optimiser steps per network; the recipe's own if not given")
    add("--minutes", type=float, default=float("inf"), help="stop after so many; the same command goes on (no limit)")
    add("--device", default="auto", help="auto, cpu, cuda, cuda:1 ... (%(default)s)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
