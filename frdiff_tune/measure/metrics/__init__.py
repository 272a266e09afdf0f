"""Metrics: of pictures against their references, name -> class; and between sets of pictures, name -> class."""

from collections.abc import Sequence
from pathlib import Path

import torch

from frdiff_tune.errors import MeasureError
from frdiff_tune.measure.metrics._base import Better, Paired
from frdiff_tune.measure.metrics._set import SetMetric
from frdiff_tune.measure.metrics.clip_score import ClipScoreChange
from frdiff_tune.measure.metrics.fd_alex import FdAlex
from frdiff_tune.measure.metrics.fid import Fid
from frdiff_tune.measure.metrics.kid import Kid
from frdiff_tune.measure.metrics.latent_l2 import LatentL2
from frdiff_tune.measure.metrics.lpips import Lpips
from frdiff_tune.measure.metrics.lpips_others import LpipsSqueeze, LpipsVgg
from frdiff_tune.measure.metrics.ms_ssim import MsSsim
from frdiff_tune.measure.metrics.psnr import Psnr
from frdiff_tune.measure.metrics.ssim import Ssim

PAIRED: dict[str, type[Paired]] = {
    "lpips": Lpips,
    "lpips_vgg": LpipsVgg,
    "lpips_squeeze": LpipsSqueeze,
    "psnr": Psnr,
    "ssim": Ssim,
    "ms_ssim": MsSsim,
    "latent_l2": LatentL2,
    "clip_score_change": ClipScoreChange,
}
SETS: dict[str, type[SetMetric]] = {"fid": Fid, "kid": Kid, "fd_alex": FdAlex}

__all__ = ["PAIRED", "SETS", "Better", "Lpips", "Paired", "SetMetric", "load_paired", "load_sets"]


def load_paired(
    names: Sequence[str], device: torch.device | str = "cpu", weights: Path | None = None
) -> tuple[Paired, ...]:
    """Returns the paired metrics among some names, in their order.

    Arguments:
        names: Of ``PAIRED`` and ``SETS``.
        device: Where they are computed.
        weights: Folder in which weights are looked for first.

    Raises:
        MeasureError: If a name is unknown, or weights are not to be had.
    """
    _check(names)
    return tuple(PAIRED[name](device, weights) for name in names if name in PAIRED)


def load_sets(
    names: Sequence[str], device: torch.device | str = "cpu", weights: Path | None = None
) -> tuple[SetMetric, ...]:
    """Returns the metrics between sets among some names, in their order, without any pictures.

    Raises:
        MeasureError: As ``load_paired``.
    """
    _check(names)
    return tuple(SETS[name](device, weights) for name in names if name in SETS)


def _check(names: Sequence[str]) -> None:
    for name in names:
        if name not in PAIRED and name not in SETS:
            raise MeasureError(
                f"`metrics` must be among {', '.join((*PAIRED, *SETS))} but got {name!r}. Correct its spelling."
            )
