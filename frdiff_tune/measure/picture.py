"""Pictures as they are compared: 8 bits per channel, as a PNG file holds them."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from frdiff_tune.errors import MeasureError
from frdiff_tune.measure.case import Case, call_arguments
from frdiff_tune.measure.case_file import OURS

Pictures = NDArray[np.uint8]
Run = Callable[..., Any]  # the pipeline, bare or under a policy, without its arguments


class PictureError(MeasureError):
    """A picture cannot be used.

    Arguments:
        message: What is wrong.
        reason: ``not_finite`` or ``black``.
    """

    def __init__(self, message: str, reason: Literal["not_finite", "black"]) -> None:
        super().__init__(message)
        self.reason = reason


def render(run: Run, cases: Sequence[Case], call: Mapping[str, Any]) -> Pictures:
    """Returns the pictures of one call, with shape (B, H, W, 3); of a video (B, F, H, W, 3).

    Arguments:
        run: The pipeline, its step count already given.
        cases: Cases of one kind, B of them.
        call: Arguments that are the same for all cases.

    Raises:
        PictureError: If a picture is not finite.
    """
    given = {**call, **call_arguments(cases), "output_type": "np", "return_dict": True}
    result = run(**given)
    pictures = np.asarray(result.images if hasattr(result, "images") else result.frames)
    if not np.isfinite(pictures).all():
        bad = next(case for case, picture in zip(cases, pictures, strict=True) if not np.isfinite(picture).all())
        raise PictureError(
            f"`pictures` must be finite but got NaN or infinity for case {bad.label!r}, seed {bad.seed}. "
            "Run the model in a wider dtype, or with a policy that changes less.",
            "not_finite",
        )
    return np.asarray((pictures * 255).round().clip(0, 255).astype(np.uint8))


def checked_call(call: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the fixed call arguments.

    Raises:
        MeasureError: If one of them is ours to give.
    """
    wrong = sorted(set(call) & (OURS - {"output_type"}))
    if wrong:
        raise MeasureError(
            f"`call` must hold arguments that are the same for every case but got {wrong[0]}. "
            "Steps and seeds are given apart (steps=, and in each case): remove it."
        )
    return dict(call)


def picture_size(pipe: Any, call: Mapping[str, Any]) -> tuple[int, int]:  # noqa: ANN401
    """Returns height and width of the pictures, in pixels: as called, else the model's own."""
    denoiser = getattr(pipe, "unet", None) or getattr(pipe, "transformer", None)
    sample = getattr(getattr(denoiser, "config", None), "sample_size", None) or 0
    sides = (sample, sample) if isinstance(sample, int) else tuple(sample)
    factor = _vae_factor(pipe)
    return int(call.get("height") or sides[0] * factor), int(call.get("width") or sides[1] * factor)


def latent_size(pipe: Any, call: Mapping[str, Any]) -> int:  # noqa: ANN401
    """Returns the entries of one image's latent, as far as the configuration of the denoiser tells."""
    denoiser = getattr(pipe, "unet", None) or getattr(pipe, "transformer", None)
    channels = int(getattr(getattr(denoiser, "config", None), "in_channels", None) or 1)
    height, width = picture_size(pipe, call)
    return channels * (height // _vae_factor(pipe)) * (width // _vae_factor(pipe))


def _vae_factor(pipe: Any) -> int:  # noqa: ANN401
    if hasattr(pipe, "vae_scale_factor"):
        return int(pipe.vae_scale_factor)
    config = getattr(getattr(pipe, "vae", None), "config", {})
    channels = config.get("block_out_channels") or config.get("decoder_block_out_channels") or (1,)
    return int(math.pow(2, len(channels) - 1))


@contextmanager
def quiet(pipe: Any) -> Iterator[None]:  # noqa: ANN401
    """Keeps the pipeline's own progress bar off, and gives it back as it was."""
    missing = object()
    before = getattr(pipe, "_progress_bar_config", missing)
    pipe.set_progress_bar_config(**(before if isinstance(before, dict) else {}) | {"disable": True})
    try:
        yield
    finally:
        if before is missing:
            del pipe._progress_bar_config
        else:
            pipe._progress_bar_config = before
