"""The pictures: 360 Fluent 3D emoji, found by their English labels in two npm packages."""

import json
import subprocess
import tarfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from frdiff_tune.errors import ModelError
from tools.train_demo.recipe import Recipe
from tools.train_demo.stage import Stage

PICTURES = ("@lobehub/fluent-emoji-3d@1.1.0", "lobehub-fluent-emoji-3d-1.1.0.tgz")
LABELS = ("emojibase-data@17.0.0", "emojibase-data-17.0.0.tgz")
SIZE = 256


class DataStage(Stage):
    """Decodes the pictures, one per step, into `rgba`: uint8, (N, 4, 256, 256), not premultiplied."""

    name = "data"
    reads: ClassVar[tuple[str, ...]] = ("names",)

    def __init__(self, recipe: Recipe, out: Path, device: torch.device, packages: Path | None = None) -> None:
        super().__init__(recipe, out, device)
        self.packages = packages or out / "packages"
        self.rgba = torch.zeros(len(recipe.names), 4, SIZE, SIZE, dtype=torch.uint8)
        self.files: tuple[bytes, ...] = ()

    @property
    def total(self) -> int:
        """One step per picture."""
        return len(self.recipe.names)

    def advance(self, step: int) -> Mapping[str, Tensor]:
        """Decodes one picture; the first call reads the packages."""
        self.files = self.files or read_pictures(self.packages, self.recipe.names)
        self.rgba[step] = decode(self.files[step])
        return {}

    def state(self) -> dict[str, Any]:
        """Returns the pictures so far."""
        return {"rgba": self.rgba}

    def restore(self, state: dict[str, Any]) -> None:
        """Takes back the pictures so far."""
        self.rgba = state["rgba"]

    def finish(self) -> Path:
        """Returns the checkpoint, which is the result."""
        return self.checkpoint(self.out)


def read_pictures(packages: Path, names: tuple[str, ...]) -> tuple[bytes, ...]:
    """Returns each name's picture file (WebP), from the two packages in a folder, downloaded where they are missing.

    Raises:
        ModelError: If a package is not to be had, or a name has no picture.
    """
    codes = {entry["label"]: entry["hexcode"].lower() for entry in json.loads(_labels(packages))}
    if unknown := [name for name in names if name not in codes]:
        raise ModelError(f"`names` must be labels of {LABELS[0]} but got {unknown}. Correct them.")
    # A character that is also a text symbol (U+2600, the sun) is filed with its emoji variation selector.
    paths = {f"package/assets/{codes[name]}{ending}.webp": name for name in names for ending in ("-fe0f", "")}
    found: dict[str, bytes] = {}
    with tarfile.open(_package(packages, *PICTURES)) as archive:
        for member in archive:  # in the archive's order: to go back would unpack it from its beginning again
            if member.name in paths:
                found[paths[member.name]] = _read(archive, member)
    if missing := [name for name in names if name not in found]:
        raise ModelError(f"`names` must have pictures in {PICTURES[0]} but {missing} have none. Leave them out.")
    return tuple(found[name] for name in names)


def decode(file: bytes) -> Tensor:
    """Returns a picture, uint8 (4, 256, 256); one of another shape (the ringed planet) is fitted in."""
    from PIL import Image, ImageOps

    with Image.open(BytesIO(file)) as picture:
        rgba = ImageOps.pad(picture.convert("RGBA"), (SIZE, SIZE), color=(0, 0, 0, 0))
    return torch.frombuffer(bytearray(rgba.tobytes()), dtype=torch.uint8).view(SIZE, SIZE, 4).permute(2, 0, 1)


def _labels(packages: Path) -> bytes:
    with tarfile.open(_package(packages, *LABELS)) as archive:
        return _read(archive, archive.getmember("package/en/data.json"))


def _read(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    assert file is not None, member.name
    return file.read()


def _package(packages: Path, specifier: str, file: str) -> Path:
    path = packages / file
    if path.exists():
        return path
    packages.mkdir(parents=True, exist_ok=True)
    try:
        subprocess.run(["npm", "pack", specifier], cwd=packages, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", "") or str(error)
        raise ModelError(
            f"`--packages` must hold {file}, and `npm pack {specifier}` could not fetch it: {said.strip()[-300:]}. "
            f"Fetch it where there is a network, and give its folder."
        ) from error
    return path
