"""ControlNet: not called where the denoiser is not, and its residuals reused as a group of their own."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from frdiff_tune.runtime.run import Run
from frdiff_tune.runtime.tree import map_tensors


@dataclass(slots=True)
class ControlNetPatch:
    """Stands in for the ControlNet's forward, which pipelines call before the denoiser's.

    Arguments:
        run: The state that it follows.
        forward: The ControlNet's own forward.
    """

    run: Run
    forward: Callable[..., Any]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """Returns residuals: new ones, stored ones, or at a jump, where nobody reads them, zeros of their shapes."""
        run = self.run
        if run.t is None or not run.owns():
            return self.forward(*args, **kwargs)
        known = run.seen_by_controlnet(self._signature(args, kwargs))
        stored = run.features.residuals(run.key) if known else None
        if stored is not None and run.will_jump():
            run.idle_controlnet = True
            return map_tensors(lambda tensor: tensor.new_zeros(()).expand(tensor.shape), stored)
        if stored is not None and run.reuses_controlnet():
            return stored
        if run.reuses_controlnet():
            run.note_forced()
        residuals = self.forward(*args, **kwargs)
        run.features.keep_residuals(run.key, residuals)
        run.note_controlnet()
        return residuals

    def _signature(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        """Returns what must be as at the step before for its residuals to hold."""
        named = inspect.signature(self.forward).bind_partial(*args, **kwargs).arguments
        x = next(iter(named.values()))
        return tuple(x.shape), x.dtype, x.device, str(named.get("conditioning_scale")), kwargs.get("return_dict")
