"""A stage's checkpoint: one file, whole or not there, that goes on only under the recipe that it began with."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any

import torch

from frdiff_tune.errors import ModelError


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where a stage stands.

    Arguments:
        step: Steps done.
        recipe: The recipe's record.
        state: What the stage needs to go on: weights, optimiser, average, random numbers, or the table so far.
    """

    step: int
    recipe: dict[str, Any]
    state: dict[str, Any]

    def save(self, path: Path) -> None:
        """Writes the file; what was there before stays until the new one is complete on disk."""
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(path.name + ".partial")
        try:
            with partial.open("wb") as file:
                torch.save({"step": self.step, "recipe": self.recipe, "state": self.state}, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: Path, recipe: dict[str, Any]) -> "Checkpoint":
        """Reads the file, on the CPU.

        Raises:
            ModelError: If it cannot be read, or was begun under another recipe.
        """
        try:
            found = cls(**torch.load(path, map_location="cpu", weights_only=True))
        except (OSError, RuntimeError, TypeError, EOFError, ValueError) as error:
            raise ModelError(f"`{path}` must be a checkpoint but reading it gave: {error}. Delete it.") from error
        for key, value in recipe.items():
            if (begun := found.recipe.get(key)) != value:
                raise ModelError(
                    f"`{key}` must stay {_short(begun)}, with which `{path}` was begun, but got {_short(value)}. "
                    f"Give the same options as before, or another `--out`."
                )
        return found


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Gives a folder to write into, which takes the place of `folder` once the block ends without an error."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        written = partial / folder.name
        written.mkdir()
        yield written
        if folder.exists():
            folder.rename(partial / "before")
        written.rename(folder)
    finally:
        rmtree(partial)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 120 else text[:117] + "..."
