"""How far a call may be from what a policy's weights were fitted on, before it is warned of.

Weights are fitted at one guidance scale and one size, and hold near them, better below the scale than above: ten steps of the
embedded class model are several times closer than ten plain ones at half the scale, and no closer at double
(``benchmarks.validity``).
"""

import inspect
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

from frdiff_tune.policy import Policy

RANGE = (0.5, 1.25)
"""Guidance scales that are not warned of, as multiples of the fitted one."""


class FitRange:
    """Warns of calls beyond it, once of each kind.

    Arguments:
        policy: Whose weights were fitted; of others nothing is warned.
    """

    def __init__(self, policy: Policy) -> None:
        self._fit = policy.fit
        self._warned = set[str]()

    def check(self, pipe: Any, shape: Sequence[int], depth: int) -> None:  # noqa: ANN401
        """Warns of a call that is far from the fit.

        Arguments:
            pipe: The pipeline that is called; None for a loop written by hand. Its guidance scale is known where it keeps the
                call's, as pipelines of diffusers with a property ``guidance_scale`` do.
            shape: Of one sample, without the batch.
            depth: Frames up to the caller who is to be told.
        """
        distilled = pipe is not None and "true_cfg_scale" in inspect.signature(pipe.__call__).parameters
        guidance_scale = None if distilled else getattr(pipe, "_guidance_scale", None)  # there it is an input of the network
        for kind, message in self._beyond(guidance_scale, tuple(shape)):
            if kind not in self._warned:
                self._warned.add(kind)
                warnings.warn(message, stacklevel=depth + 1)

    def _beyond(self, guidance_scale: Any, shape: tuple[int, ...]) -> Iterator[tuple[str, str]]:  # noqa: ANN401
        """Yields what is beyond the range, each kind with its message."""
        if self._fit is None:
            return
        fitted, size = self._fit.guidance_scale, self._fit.sample_shape
        if fitted is not None and isinstance(guidance_scale, (int, float)):
            low, high = (factor * fitted for factor in RANGE)
            if not low <= guidance_scale <= high:
                yield (
                    "guidance",
                    f"`guidance_scale` should lie in [{low:g}, {high:g}], as the policy's weights were fitted at {fitted:g}, "
                    f"but the call has {guidance_scale:g}: its images may be far from the full run's. Tune a policy at this "
                    f"scale, or measure how far with `frdiff-tune check --validity`.",
                )
        if size is not None and shape != size:
            yield (
                "shape",
                f"Samples should have shape {size}, at which the policy's weights were fitted, but the call's have {shape}: "
                f"its images may be far from the full run's. Tune a policy at this size, or measure how far with "
                f"`frdiff-tune check --validity`.",
            )
