"""The walk: how many of a scheduler's timesteps a pipeline's call goes through.

    T = len(timesteps)                       text to image, ControlNet, super-resolution, video
    T = int(num_inference_steps * strength)  img2img, inpainting, to the pipeline's own rounding
    T = timesteps above the cut              ``denoising_end``, ``denoising_start``

A pipeline's own ``get_timesteps`` says how long it is wherever it takes a ``strength`` as most do. Where it is called in
another way, one call is begun and broken off at its first network call.
"""

import inspect
import json
from collections.abc import Mapping, Sequence
from typing import Any

from frdiff_tune.errors import MeasureError
from frdiff_tune.measure.case import Case, call_arguments
from frdiff_tune.policy import Policy
from frdiff_tune.runtime import full_policy
from frdiff_tune.runtime.holder import own_scheduler
from frdiff_tune.runtime.patch import Patch
from frdiff_tune.runtime.seat import SchedulerSeat
from frdiff_tune.runtime.site import Denoiser, find_denoisers
from frdiff_tune.runtime.solver import build_scheduler, make_scheduler, scheduler_info, walk, walker_of
from frdiff_tune.runtime.times import stretch

SHORTENING = ("strength", "denoising_start", "denoising_end", "denoise_strength", "inpaint_strength")
"""Arguments by which a call walks fewer steps."""
MOST = 1000
"""Step counts end here."""


class Walk:
    """How many steps the calls of some cases walk, by step count and solver; 0 where they could not be drawn.

    Arguments:
        pipe: A diffusers pipeline; nothing of it is changed.
        cases: What it will be called with; none: with ``call`` alone.
        call: Arguments that are the same for all cases.
    """

    def __init__(self, pipe: Any, cases: Sequence[Case] = (), call: Mapping[str, Any] | None = None) -> None:  # noqa: ANN401
        self.pipe, self.call = pipe, dict(call or {})
        self._cases: dict[str, Case] = {}  # one of each kind of walk
        for case in cases or (Case({}),):
            given = self._given(case)
            self._cases.setdefault(json.dumps([given.get(name) for name in SHORTENING]), case)
        self._known: dict[tuple[str, str, int], int] = {}
        self._refusal = ""  # what the pipeline said of the last call that it did not begin

    def T(self, steps: int, scheduler: Any = None) -> int:  # noqa: ANN401
        """Returns the walked length; 0 where nothing would be walked, or some cases walk fewer steps than others.

        Arguments:
            steps: ``num_inference_steps``.
            scheduler: Another solver, or its class name; None: the pipeline's.
        """
        lengths = {self._length(key, steps, scheduler) for key in self._cases}
        return lengths.pop() if len(lengths) == 1 else 0

    def steps(self, T: int, scheduler: Any = None) -> int:  # noqa: ANN401
        """Returns the least step count that walks at least ``T`` steps.

        Raises:
            MeasureError: If no count does.
        """
        for count in range((T + 1) // 2, MOST + 1):  # solvers of second order walk 2 count - 1
            if self.T(count, scheduler) >= T:
                return count
        raise MeasureError(
            f"`strength` must leave steps to walk but no `num_inference_steps` up to {MOST} walks {T} with "
            f"{self._shown(next(iter(self._cases)))}. Raise it."
        )

    def full(self, steps: int, scheduler: Any = None) -> Policy:  # noqa: ANN401
        """Returns the policy under which every step computes, as long as the walk.

        Raises:
            MeasureError: If nothing would be walked, or some cases walk fewer steps than others.
            MismatchError: If the pipeline cannot run the solver.
        """
        self.check(steps, scheduler)
        return full_policy(self.pipe, steps, T=self.T(steps, scheduler), scheduler=scheduler)

    def check(self, steps: int, scheduler: Any = None) -> None:  # noqa: ANN401
        """Checks that all cases walk the same number of steps, at least one.

        Raises:
            MeasureError: If not, naming what shortens them.
        """
        lengths = {key: self._length(key, steps, scheduler) for key in self._cases}
        (first, T), *others = lengths.items()
        for key, other in others:
            if other != T:
                raise MeasureError(
                    f"`cases` must all walk the same number of steps but of num_inference_steps = {steps} a case with "
                    f"{self._shown(first)} walks {T} and one with {self._shown(key)} walks {other}. A policy is for one "
                    f"length: tune them as two studies."
                )
        if T < 1:
            raise MeasureError(
                f"`num_inference_steps` must leave steps to walk but with {self._shown(first)} none of {steps} is walked."
                f"{self._refusal} Ask for at least {self.steps(1, scheduler)} steps, or for more strength."
            )

    def _given(self, case: Case) -> dict[str, Any]:
        """Returns what shortens a case's call: as called, else the pipeline's own defaults."""
        own = inspect.signature(type(self.pipe).__call__).parameters
        merged = {**self.call, **case.arguments}
        found = {name: merged.get(name, own[name].default) for name in SHORTENING if name in own}
        return {name: value for name, value in found.items() if isinstance(value, (int, float))}

    def _shown(self, key: str) -> str:
        return ", ".join(f"{name} = {value}" for name, value in self._given(self._cases[key]).items()) or "its arguments"

    def _length(self, key: str, steps: int, scheduler: Any) -> int:  # noqa: ANN401
        if isinstance(scheduler, str):
            scheduler = make_scheduler(self.pipe, scheduler)
        scheduler = own_scheduler(self.pipe) if scheduler is None else scheduler
        place = key, scheduler_info(scheduler).model_dump_json(), steps
        if place not in self._known:
            case = self._cases[key]
            if steps >= 1 and _unusual(self.pipe):
                self._known[place] = self._measured(case, steps, build_scheduler(scheduler_info(scheduler)))
            else:
                self._known[place] = self._reckoned(case, steps, walker_of(scheduler))
        return self._known[place]

    def _reckoned(self, case: Case, steps: int, scheduler: Any) -> int:  # noqa: ANN401
        """Returns the length by the pipeline's own arithmetic."""
        given, times = self._given(case), walk(scheduler, steps)
        if hasattr(self.pipe, "get_timesteps"):
            options = {"num_inference_steps": steps, "device": "cpu", "timesteps": scheduler.timesteps, "strength": None}
            takes = inspect.signature(type(self.pipe).get_timesteps).parameters
            options = {name: value for name, value in {**options, **given}.items() if name in takes}
            times = list(type(self.pipe).get_timesteps(_Seated(self.pipe, scheduler), **options)[0])
        end = given.get("denoising_end")
        if end is None or not 0 < end < 1:
            return len(times)
        training = scheduler.config.num_train_timesteps
        return sum(float(time) >= round(training - end * training) for time in times)

    def _measured(self, case: Case, steps: int, scheduler: Any) -> int:  # noqa: ANN401
        """Returns the length that a call of one case begins to walk; it is broken off at its first network call."""
        from frdiff_tune.measure.picture import quiet

        seat = SchedulerSeat(self.pipe)
        patches: list[Patch] = []
        try:
            seat.install(scheduler)
            patches += [Patch(found.module, "forward", _Breaking(found)) for found in find_denoisers(self.pipe)]
            with quiet(self.pipe):
                self.pipe(**{**self.call, **call_arguments([case])}, num_inference_steps=steps)
        except _BrokenOffError as reached:
            return stretch(scheduler, reached.timestep, getattr(self.pipe, "_num_timesteps", None))[1]
        except (ValueError, IndexError, RuntimeError) as refusal:  # pipelines refuse an empty walk in their own ways
            self._refusal = f" The pipeline says: {refusal}."
            return 0
        finally:
            for patch in patches:
                patch.remove()
            seat.install(seat.own)
        return 0


class _BrokenOffError(Exception):
    """A call has reached its network; ``timestep`` is the scheduler's, or None where the network is told another number."""

    def __init__(self, timestep: Any) -> None:  # noqa: ANN401
        self.timestep = timestep


class _Breaking:
    """Stands in for a denoiser's forward and breaks the call off."""

    def __init__(self, denoiser: Denoiser) -> None:
        self._family = denoiser.family

    def __call__(self, forward: Any) -> Any:  # noqa: ANN401
        def broken(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            raise _BrokenOffError(self._family.timestep(args, kwargs) if self._family.raw_timestep else None)

        return broken


class _Seated:
    """A pipeline as its own methods see it, with another scheduler; the pipeline itself is not touched."""

    def __init__(self, pipe: Any, scheduler: Any) -> None:  # noqa: ANN401
        self._pipe, self.scheduler = pipe, scheduler

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self._pipe, name)


def _unusual(pipe: Any) -> bool:  # noqa: ANN401
    """Whether a pipeline shortens its walk in a way of its own."""
    called = inspect.signature(type(pipe).__call__).parameters
    if not hasattr(pipe, "get_timesteps"):
        return any(name in called for name in ("denoise_strength", "inpaint_strength"))
    asked = inspect.signature(type(pipe).get_timesteps).parameters
    return "strength" not in called or "strength" not in asked or "sigmas" in asked
