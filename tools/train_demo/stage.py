"""A stage of the training, and the loop that runs one to its end or to a deadline."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from time import monotonic
from typing import Any, ClassVar

import torch
from torch import Tensor

from frdiff_tune.errors import ModelError
from tools.train_demo.checkpoint import Checkpoint
from tools.train_demo.recipe import Recipe

SAVE_SECONDS = 120.0
REPORT_SECONDS = 10.0


class Stage(ABC):
    """One stage: a number of equal steps, whose state between two of them can be written down.

    Arguments:
        recipe: What to do.
        out: The folder that all stages share.
        device: Where to compute.
    """

    name: ClassVar[str]
    reads: ClassVar[tuple[str, ...]]  # fields of the recipe that the result depends on

    def __init__(self, recipe: Recipe, out: Path, device: torch.device) -> None:
        self.recipe = recipe
        self.out = out
        self.device = device
        self.generator = torch.Generator(device).manual_seed(recipe.seed)

    @property
    @abstractmethod
    def total(self) -> int:
        """How many steps there are."""

    @abstractmethod
    def advance(self, step: int) -> Mapping[str, Tensor]:
        """Does one step; returns figures to report, each a scalar that is read only when it is shown."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """Returns what the next step needs, random numbers apart."""

    @abstractmethod
    def restore(self, state: dict[str, Any]) -> None:
        """Takes back what `state` returned."""

    @abstractmethod
    def finish(self) -> Path:
        """Writes the stage's result after the last step, unless the checkpoint is the result; returns where it is."""

    @classmethod
    def checkpoint(cls, out: Path) -> Path:
        """Returns where the stage's checkpoint is."""
        return out / f"{cls.name}.pt"

    def result(self, other: type["Stage"]) -> dict[str, Any]:
        """Returns the final state of a stage that this one builds upon.

        Raises:
            ModelError: If that stage is not done.
        """
        path, reads = other.checkpoint(self.out), self.recipe.record(other.reads)
        found = Checkpoint.load(path, reads) if path.exists() else None
        if found is None or not found.state["done"]:
            stands = "has not begun" if found is None else f"stands at step {found.step}"
            raise ModelError(
                f"`--stages` must finish {other.name} before {self.name}, but in `{self.out}` {other.name} {stands}. "
                f"Leave `--stages` out: what is done is not done again."
            )
        state: dict[str, Any] = found.state
        return state


def run(stage: Stage, deadline: float) -> bool:
    """Runs a stage from where it stands, at least one step; returns whether it is done.

    Arguments:
        stage: The stage.
        deadline: When to stop at the latest, on the monotonic clock in seconds.
    """
    path, began = stage.checkpoint(stage.out), monotonic()
    saved = reported = began
    first = _restore(stage, path)
    for step in range(first, stage.total):
        figures, now = stage.advance(step), monotonic()
        last = step + 1 == stage.total
        if last or now - reported > REPORT_SECONDS:
            _report(stage, step + 1, figures, (now - began) / (step + 1 - first))
            reported = now
        if last or now > deadline or now - saved > SAVE_SECONDS:
            _save(stage, path, step + 1)
            saved = now
        if now > deadline and not last:
            return False
    print(f"{stage.name}: {stage.finish()}", flush=True)
    return True


def _restore(stage: Stage, path: Path) -> int:
    if not path.exists():
        return 0
    found = Checkpoint.load(path, stage.recipe.record(stage.reads))
    stage.generator.set_state(found.state["generator"])
    stage.restore(found.state)
    return found.step


def _save(stage: Stage, path: Path, step: int) -> None:
    own = {"generator": stage.generator.get_state(), "done": step == stage.total}
    Checkpoint(step, stage.recipe.record(stage.reads), stage.state() | own).save(path)


def _report(stage: Stage, done: int, figures: Mapping[str, Tensor], step_s: float) -> None:
    shown = "".join(f"  {name} {float(value):.4f}" for name, value in figures.items())
    left = (stage.total - done) * step_s / 60
    print(f"{stage.name}: step {done} of {stage.total}{shown}  {left:.1f} min left", flush=True)
