"""The step clock: a run begins with ``scheduler.set_timesteps`` and advances when ``scheduler.step`` returns."""

import functools
import inspect
import sys
import warnings
from collections.abc import Callable
from typing import Any, Literal

from frdiff_tune.errors import MismatchError
from frdiff_tune.policy.multistep import NAME
from frdiff_tune.runtime.fit_range import FitRange
from frdiff_tune.runtime.owner import calling_pipeline
from frdiff_tune.runtime.patch import Patch
from frdiff_tune.runtime.run import Run
from frdiff_tune.runtime.solver import timesteps_of
from frdiff_tune.runtime.times import nearest, number, place_of, stretch
from frdiff_tune.runtime.variable import is_flow

OnMismatch = Literal["error", "plain"]
OWN = ("frdiff_tune", "diffusers", "torch")
"""Packages between a user's call and the clock."""


class Clock:
    """Ties a run to a scheduler until ``remove``.

    Arguments:
        run: The state that is moved.
        scheduler: The scheduler that the pipeline walks; only this instance is patched.
        serves: Whether a pipeline, None for a loop written by hand, holds what the policy is on; others may walk the same
            scheduler.
        on_mismatch: Whether a call that the policy does not fit is refused, or goes on unaccelerated with one warning.
    """

    def __init__(
        self,
        run: Run,
        scheduler: Any,  # noqa: ANN401
        serves: Callable[[Any], bool],
        on_mismatch: OnMismatch = "error",
    ) -> None:
        self.run = run
        self._serves = serves
        self.scheduler = scheduler
        self.on_mismatch = on_mismatch
        self._fit_range = FitRange(run.policy)
        self._start = 0
        self._times: list[float] | None = None  # of the run under way, from its first network call on
        self._patches = [
            Patch(scheduler, "set_timesteps", self._begin),
            Patch(scheduler, "step", self._tick),
        ]

    def remove(self) -> None:
        """Gives the scheduler its own methods back."""
        for patch in self._patches:
            patch.remove()

    def enter(self, timestep: Any, walked: int | None) -> None:  # noqa: ANN401
        """Finds, at a run's first network call, which of the scheduler's timesteps the call walks.

        Arguments:
            timestep: The scheduler's timestep of the call; None where the network is told another number.
            walked: How many timesteps the pipeline says that it walks; None where it does not say.

        Raises:
            MismatchError: If they are not as many as the policy's, as with another img2img strength.
        """
        times, T = self.scheduler.timesteps.tolist(), self.run.policy.T
        begin, walked = stretch(self.scheduler, timestep, walked)
        if walked != T:
            steps = self.run.policy.sampling.num_inference_steps
            self._refuse(
                f"`T` must be the number of steps that the call walks: the policy has {T} but the call walks {walked}. "
                f"Call as it was made for (strength, `denoising_end`, timesteps); `policy.resample({steps}, {walked})` "
                f"stretches it to this walk, unmeasured; or tune one for it."
            )
            return
        self._start = begin
        self._times = times
        self.run.read_levels(self.scheduler, times, self._start)

    def walks(self, timestep: Any) -> bool:  # noqa: ANN401
        """Whether a timestep is that of the present step, as far as can be told without waiting for the device."""
        if self._times is None or self.run.t is None:
            return True
        found, here = place_of(timestep, self.scheduler.timesteps), self._start + self.run.t
        if found is not None:
            return found == here or self._times[found] == self._times[here]
        if hasattr(timestep, "device") and timestep.device.type != "cpu":
            return True
        value = number(timestep)
        return abs(value - self._times[here]) <= 0.01 * abs(self._times[here]) or nearest(self._times, value, here) == here

    def _begin(self, set_timesteps: Callable[..., Any]) -> Callable[..., Any]:
        signature = inspect.signature(set_timesteps)

        @functools.wraps(set_timesteps)
        def patched(*args: Any, **kwargs: Any) -> None:  # noqa: ANN401
            if not self._serves(calling_pipeline()):
                set_timesteps(*args, **kwargs)
                return
            self._check_owner()
            asked = signature.bind(*args, **kwargs).arguments
            timesteps, steps = self.run.policy.sampling.timesteps, self.run.policy.sampling.num_inference_steps
            wanted = _steps(asked)
            fits = wanted in (None, steps) and self._own_times(asked)
            if wanted not in (None, steps) and type(self.scheduler).__name__ == NAME:
                self._refuse_tables(wanted, steps)
            if fits and timesteps is not None:
                kept = {key: value for key, value in asked.items() if key in ("device", "mu")}
                set_timesteps(timesteps=list(timesteps), **kept)
            elif fits or self.on_mismatch == "plain":
                set_timesteps(*args, **kwargs)
            if wanted not in (None, steps):
                self._refuse_steps(wanted, steps)
            elif not fits:
                self._refuse_times()
            elif not (self.run.by_hand or calling_pipeline()):
                self._give_up("a denoising loop written by hand follows a policy only inside `with applied.run():`.")
            elif len(self.scheduler.timesteps) < self.run.policy.T:
                self._refuse_length(len(self.scheduler.timesteps))
            else:
                self._times = None
                self.run.begin()

        return patched

    def _check_owner(self) -> None:
        """Refuses a pipeline call that begins while another one of the same scheduler is under way."""
        run = self.run
        if run.busy and not run.owns():
            raise MismatchError(
                f"`pipe` must finish one call before the next begins while a policy is on, but another call is at step {run.t} "
                f"of {run.policy.T} on the same scheduler. Take turns (a lock around the call), or load a pipeline per thread."
            )

    def _own_times(self, asked: dict[str, Any]) -> bool:
        """Whether a call asks for the timesteps that the policy was made for, not for a list of the user's own.

        Pipelines of flow-matching models make such lists themselves, so there nothing can be told.
        """
        listed, own = asked.get("timesteps"), self.run.policy.sampling.timesteps
        if listed is not None and own is not None:
            return [float(time) for time in listed] == list(own)
        given = listed is not None or asked.get("sigmas") is not None
        return not given or not hasattr(self.scheduler, "alphas_cumprod") or is_flow(self.scheduler)

    def _refuse_times(self) -> None:
        self._refuse(
            "`timesteps` must be those that the policy was made for, but the call lists its own (`timesteps=` or `sigmas=`). "
            "Leave them out, or put them into the policy: policy.replace(sampling=policy.sampling.model_copy("
            "update={'timesteps': (...)}))."
        )

    def _refuse_steps(self, asked: int, steps: int) -> None:
        T = len(timesteps_of(self.scheduler, asked))
        stretch = f"{asked}" if T == asked else f"{asked}, {T}"
        self._refuse(
            f"`num_inference_steps` must be the policy's {steps} but the call asks for {asked}. Call "
            f"`applied(...)`, which passes it, or pipe(..., num_inference_steps={steps}); `policy.resample({stretch})` "
            f"stretches it to that count, unmeasured; or tune one for it. `.remove()` takes this one off."
        )

    def _refuse_tables(self, asked: int | None, steps: int) -> None:
        """Refuses another step count of a scheduler that can be set to no other, also where a mismatch is to run plainly."""
        self.run.reset()
        raise MismatchError(
            f"`num_inference_steps` must be the policy's {steps} but the call asks for {asked}, and the policy's scheduler "
            f"holds tables for {steps} only. Call `applied(...)`, which passes it, or pipe(..., num_inference_steps={steps}); "
            f"or fit a policy with {asked} steps. `.remove()` takes this one off."
        )

    def _refuse_length(self, length: int) -> None:
        self._refuse(
            f"`T` must be at most the scheduler's number of timesteps, {length}, but the policy has {self.run.policy.T}. "
            f"`policy.resample({self.run.policy.sampling.num_inference_steps}, {length})` stretches it, unmeasured; or build a "
            f"policy for this scheduler and step count."
        )

    def _refuse(self, message: str) -> None:
        """Ends the run: with an error, or so that the call goes on unaccelerated.

        Raises:
            MismatchError: Unless a mismatch is to run plainly.
        """
        if self.on_mismatch == "error":
            self.run.reset()
            raise MismatchError(message)
        self._give_up(message)

    def _give_up(self, why: str) -> None:
        """Lets the call go on unaccelerated, with a warning at whoever made it."""
        self.run.give_up(why)
        warnings.warn(f"This call runs unaccelerated: {why}", stacklevel=_depth())

    def _tick(self, step: Callable[..., Any]) -> Callable[..., Any]:
        names = list(inspect.signature(step).parameters)

        def given(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:  # noqa: ANN401
            return kwargs[name] if name in kwargs else args[names.index(name)]

        @functools.wraps(step)
        def patched(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            ours = self.run.t is not None and self.run.owns()
            if ours and not self.walks(given("timestep", args, kwargs)):
                self.run.reset()
                raise MismatchError(
                    "`scheduler.step` must be called once per step of the walk while a policy is on, but another timestep than "
                    "the present one was given, as by pipelines that draw a picture in several views. Take the policy off."
                )
            if ours and not self.run.calls_before:
                self.run.reset()
                raise MismatchError(
                    "`pipe` must call its network before each `scheduler.step` while a policy is on, but at a step it called "
                    "none, or one at another timestep. Take the policy off for such pipelines."
                )
            if ours and self.run.t == 0:
                self._fit_range.check(calling_pipeline(), given("sample", args, kwargs).shape[1:], _depth())
            result = step(*args, **kwargs)
            if ours:
                self.run.tick(given("sample", args, kwargs).shape[0])
            return result

        return patched


def _steps(asked: dict[str, Any]) -> int | None:
    """Returns how many steps a scheduler is asked for: a number, or the length of the list of timesteps or sigmas."""
    for name in ("num_inference_steps", "timesteps", "sigmas"):
        value = asked.get(name)
        if value is not None:
            return int(value) if name == "num_inference_steps" else len(value)
    return None


def _depth() -> int:
    """Returns how many frames up the first one is that is neither ours nor of diffusers or torch."""
    frame, depth = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] in OWN:
        frame, depth = frame.f_back, depth + 1
    return depth
