"""The step clock: a run begins with ``scheduler.set_timesteps`` and advances when ``scheduler.step`` returns."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

from frdiff_tune.errors import MismatchError
from frdiff_tune.runtime.patch import Patch
from frdiff_tune.runtime.run import Run
from frdiff_tune.runtime.variable import noise_levels


class Clock:
    """Ties a run to a scheduler until ``remove``.

    Arguments:
        run: The state that is moved.
        scheduler: The scheduler that the pipeline walks; only this instance is patched.
    """

    def __init__(self, run: Run, scheduler: Any) -> None:  # noqa: ANN401
        self.run = run
        self.scheduler = scheduler
        self._patches = [
            Patch(scheduler, "set_timesteps", self._begin),
            Patch(scheduler, "step", self._tick),
        ]

    def remove(self) -> None:
        """Gives the scheduler its own methods back."""
        for patch in self._patches:
            patch.remove()

    def enter(self, timestep: Any) -> None:  # noqa: ANN401
        """Checks, at a run's first network call, that the walk has the policy's length.

        Raises:
            MismatchError: If it has another, as with another img2img strength.
        """
        times = [float(time) for time in self.scheduler.timesteps]
        first = float(timestep if not hasattr(timestep, "flatten") else timestep.flatten()[0])
        walked = len(times) - min(range(len(times)), key=lambda i: abs(times[i] - first))
        T = self.run.policy.T
        if walked != T:
            raise MismatchError(
                f"`T` must be the number of steps that the call walks: the policy has {T} but the call walks {walked}. "
                f"Build a policy with T={walked}, or call with the strength that it was made for."
            )

    def _begin(self, set_timesteps: Callable[..., Any]) -> Callable[..., Any]:
        signature = inspect.signature(set_timesteps)

        @functools.wraps(set_timesteps)
        def patched(*args: Any, **kwargs: Any) -> None:  # noqa: ANN401
            asked = signature.bind(*args, **kwargs).arguments
            self._check_steps(asked.get("num_inference_steps"))
            sampling = self.run.policy.sampling
            if sampling.timesteps is not None:
                kept = {key: value for key, value in asked.items() if key in ("device", "mu")}
                set_timesteps(timesteps=list(sampling.timesteps), **kept)
            else:
                set_timesteps(*args, **kwargs)
            times = [float(time) for time in self.scheduler.timesteps]
            self._check_length(len(times))
            T = self.run.policy.T
            self.run.begin(noise_levels(self.scheduler, times)[len(times) - T :])

        return patched

    def _check_steps(self, asked: int | None) -> None:
        steps = self.run.policy.sampling.num_inference_steps
        if asked is not None and asked != steps:
            self.run.reset()
            raise MismatchError(
                f"`num_inference_steps` must be the policy's {steps} but the call asks for {asked}. Call "
                f"`applied(...)`, which passes it, or pipe(..., num_inference_steps={steps}); for another step count "
                f"tune or build another policy, and `.remove()` takes this one off."
            )

    def _check_length(self, length: int) -> None:
        T = self.run.policy.T
        if length < T:
            self.run.reset()
            raise MismatchError(
                f"`T` must be at most the scheduler's number of timesteps, {length}, but the policy has {T}. "
                f"Build a policy for this scheduler and step count."
            )

    def _tick(self, step: Callable[..., Any]) -> Callable[..., Any]:
        signature = inspect.signature(step)

        @functools.wraps(step)
        def patched(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            result = step(*args, **kwargs)
            self.run.tick(signature.bind(*args, **kwargs).arguments["sample"].shape[0])
            return result

        return patched
