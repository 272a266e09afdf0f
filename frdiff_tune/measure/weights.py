"""Weights of metrics that are not embedded: looked for on the disk, else downloaded, else asked for by name."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from frdiff_tune.errors import MeasureError


@dataclass(frozen=True, slots=True)
class WeightsFile:
    """A file of weights as its publisher names it.

    Arguments:
        name: Of the file.
        url: Where its own library downloads it from.
    """

    name: str
    url: str


def find_weights(metric: str, file: WeightsFile, folder: Path | None = None) -> Path:
    """Returns where a file of weights is: in the folder, in the torch hub cache, or downloaded there.

    Arguments:
        metric: What needs it.
        file: The file.
        folder: Where to look first.

    Raises:
        MeasureError: If it is in neither place and cannot be downloaded.
    """
    hub = Path(torch.hub.get_dir()) / "checkpoints"
    for place in (folder, hub):
        if place is not None and (place / file.name).is_file():
            return place / file.name
    try:
        hub.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(file.url, str(hub / file.name), _prefix(file.name), progress=False)
    except (OSError, RuntimeError) as error:  # an unreachable host is an OSError, a broken download a RuntimeError
        raise MeasureError(
            f"`metrics` must find their weights but {metric} got no {file.name}: it is not in {folder or hub}, and "
            f"{file.url} cannot be reached ({error}). Put the file into a folder and name it with --weights DIR, "
            f"or leave {metric} out of [measure] metrics."
        ) from error
    return hub / file.name


def load_weights(metric: str, file: WeightsFile, folder: Path | None = None) -> dict[str, Any]:
    """Returns the tensors of a file of weights by name.

    Raises:
        MeasureError: If the file is not to be had, or cannot be read.
    """
    path = find_weights(metric, file, folder)
    try:
        loaded: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a broken file fails in many ways
        raise MeasureError(
            f"`metrics` must find readable weights but {path} is not ({error}). Remove it, or download {file.url} anew."
        ) from error
    return loaded


def _prefix(name: str) -> str | None:
    """Returns the first digits of the file's SHA-256 that a publisher puts into its name."""
    end = Path(name).stem.rpartition("-")[2]
    return end if len(end) == 8 and all(digit in "0123456789abcdef" for digit in end) else None
