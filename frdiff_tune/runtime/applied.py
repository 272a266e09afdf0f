"""A policy that is on a pipeline: what it has patched, what it runs, and how it is taken off."""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

from frdiff_tune.errors import MismatchError
from frdiff_tune.policy import Policy
from frdiff_tune.runtime.by_hand import by_hand
from frdiff_tune.runtime.clock import Clock, OnMismatch
from frdiff_tune.runtime.controlnet import ControlNetPatch
from frdiff_tune.runtime.entry import Entry, named_passes
from frdiff_tune.runtime.families import CONTROLNET, GUIDANCE
from frdiff_tune.runtime.features import Features
from frdiff_tune.runtime.fit import check_parts, check_places, check_policy
from frdiff_tune.runtime.holder import Holder, hold, release
from frdiff_tune.runtime.launch import Capture, Launch
from frdiff_tune.runtime.owner import calling_pipeline
from frdiff_tune.runtime.parking import Parking
from frdiff_tune.runtime.patch import Patch
from frdiff_tune.runtime.reuse import patch_site
from frdiff_tune.runtime.run import Run
from frdiff_tune.runtime.score import ScorePatch
from frdiff_tune.runtime.seat import SchedulerSeat
from frdiff_tune.runtime.site import COMPONENTS, discover_sites, find_denoisers
from frdiff_tune.runtime.storage import AS_IT_IS, Storage
from frdiff_tune.runtime.trace import Trace


class Applied:
    """A policy that is on a pipeline.

    Arguments:
        pipe: The pipeline.
        policy: The policy.
        on_mismatch: What to do with a call that the policy does not fit.
        storage: How features are kept.
        capture: How the network is launched.
        run: The state of its runs; None: a new one.

    Raises:
        MismatchError: See ``apply_policy``.
    """

    def __init__(
        self,
        pipe: Any,  # noqa: ANN401
        policy: Policy,
        on_mismatch: OnMismatch = "error",
        storage: Storage = AS_IT_IS,
        capture: Capture = "eager",
        run: Run | None = None,
    ) -> None:
        self._pipe, self._on_mismatch = pipe, on_mismatch
        self._removed = self._suspended = False
        self._denoisers = {denoiser.component: denoiser for denoiser in find_denoisers(pipe)}
        self._sites = {site.name: site for site in discover_sites(pipe)}
        self._seat = SchedulerSeat(pipe)
        self._patches: list[Patch] = []
        self._entries: list[Entry] = []
        self._site_patches: dict[str, dict[str, Patch]] = {}
        self._parts = {denoiser.component: denoiser.module for denoiser in self._denoisers.values()}
        self._parts |= {CONTROLNET: pipe.controlnet} if getattr(pipe, CONTROLNET, None) is not None else {}
        hold([denoiser.module for denoiser in self._denoisers.values()], Holder(type(pipe).__name__, pipe.scheduler))
        try:
            check_policy(policy, self._denoisers, self._sites, self._seat.own)
            scheduler = self._seat.scheduler_of(policy)
            self._launch = Launch(pipe, list(self._denoisers.values()))
            self._launch.switch(capture)
        except BaseException:
            release([denoiser.module for denoiser in self._denoisers.values()])
            raise
        self._run = run or Run(policy, Features(storage))
        self._clock: Clock | None = None
        for denoiser in self._denoisers.values():
            self._entries.append(Entry(pipe, denoiser, ScorePatch(self._run, denoiser, self._guard, self._enter)))
            if hasattr(denoiser.module, "cache_context"):
                self._patches.append(Patch(denoiser.module, "cache_context", named_passes(self._run)))
        if CONTROLNET in self._parts:
            self._patches.append(Patch(pipe.controlnet, "forward", lambda forward: ControlNetPatch(self._run, forward)))
        self._patches.append(self._seat.patch_save())
        self._switch(policy, scheduler)

    @property
    def policy(self) -> Policy:
        """The policy that is on."""
        return self._run.policy

    @property
    def trace(self) -> Trace:
        """What the last run did."""
        return self._run.trace

    @property
    def step(self) -> int | None:
        """The step under way; None outside a run."""
        return self._run.t

    @property
    def stored_bytes(self) -> int:
        """Bytes of the tensors that are stored now; 0 outside a run, unless they are kept alive."""
        return self._run.stored_bytes

    @property
    def cache_bytes(self) -> int:
        """Bytes that the last whole run stored at its most."""
        return self._run.held_bytes

    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """Runs the pipeline with the policy's step count; arguments and result are the pipeline's.

        Raises:
            MismatchError: If the policy was taken off, or does not fit the call.
        """
        self._check_on()
        given = inspect.signature(type(self._pipe).__call__).bind_partial(self._pipe, *args, **kwargs).arguments
        if given.get("num_inference_steps") is None:
            kwargs["num_inference_steps"] = self.policy.sampling.num_inference_steps
        try:
            return self._pipe(*args, **kwargs)
        finally:
            if not self._run.busy:  # else this call was refused, and the run is another's
                self._run.finish()

    @contextmanager
    def run(self, T: int | None = None) -> Iterator[Self]:
        """Follows the policy in a denoising loop written by hand: from ``scheduler.set_timesteps`` to its last step.

        Arguments:
            T: Steps that the loop walks; None: the policy's.

        Raises:
            MismatchError: If the policy is for another number, or was taken off, or the loop has walked fewer.
        """
        self._check_on()
        with by_hand(self._run, T):
            yield self

    def use(self, policy: Policy, capture: Capture | None = None) -> Self:
        """Switches to another policy without patching, recording or compiling anew; stored tensors are dropped.

        Arguments:
            policy: The policy.
            capture: How the network is launched from now on; None: as before.

        Raises:
            MismatchError: If the policy does not fit; the present one then stays on.
        """
        self._check_on(suspended=True)
        self._check_idle("`.use(policy)`")
        check_policy(policy, self._denoisers, self._sites, self._seat.own)
        scheduler = self._seat.scheduler_of(policy)
        self._launch.switch(capture or self._launch.capture)
        for patch in self._all_patches():
            patch.put()
        self._suspended = False
        self._switch(policy, scheduler)
        return self

    def suspend(self) -> None:
        """Takes the policy off until ``.use``: the pipeline is as it was, but graphs and compiled code are kept for then.

        Raises:
            MismatchError: In the middle of a run.
        """
        self._check_on(suspended=True)
        self._check_idle("`.suspend()`")
        self._take_off()
        self._launch.rest()

    def remove(self) -> None:
        """Takes the policy off: the pipeline is as it was, and stored tensors are freed.

        Raises:
            MismatchError: In the middle of a run.
        """
        if self._removed:
            return
        self._check_idle("`.remove()`")
        self._removed = True
        self._take_off()
        self._launch.remove()
        release([denoiser.module for denoiser in self._denoisers.values()])

    def parking(self) -> Parking:
        """Returns a place where one of several calls waits while others run; none may run yet."""
        return Parking(self._pipe, self._run)

    def skip_network(self, skips: bool) -> None:
        """Lets network calls give zeros or their own results again, for a caller that sets the states itself."""
        for entry in self._entries:
            entry.score.skips = skips

    def _take_off(self) -> None:
        """Gives the pipeline its own methods and scheduler back."""
        self._suspended = True
        self._run.reset()
        if self._clock is not None:
            self._clock.remove()
        for entry in self._entries:
            entry.remove()
        for patch in self._all_patches():
            patch.remove()
        if self._clock is not None and self._pipe.scheduler is self._clock.scheduler:
            self._seat.install(self._seat.own)
        self._clock = None

    def _all_patches(self) -> list[Patch]:
        return [*self._patches, *(patch for parts in self._site_patches.values() for patch in parts.values())]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.remove()

    def _check_on(self, suspended: bool = False) -> None:
        """Refuses what needs the policy to be on, or at least only suspended."""
        if self._removed:
            raise MismatchError("`applied` must be on but was removed. Call the pipeline itself, or `apply_policy` again.")
        if self._suspended and not suspended:
            raise MismatchError("`applied` must be on but is suspended. Call `.use(policy)` first.")

    def _check_idle(self, what: str) -> None:
        """Refuses a change of solver and rows under a loop that walks them."""
        if self._run.busy:
            raise MismatchError(
                f"{what} must wait for the end of the run, but a call is at step {self._run.t} of {self.policy.T}. "
                f"Interrupt the call first."
            )

    def _switch(self, policy: Policy, scheduler: Any) -> None:  # noqa: ANN401
        """Puts a checked policy on."""
        self._run.load(policy)
        if self._clock is None or self._clock.scheduler is not scheduler:
            if self._clock is not None:
                self._clock.remove()
            self._clock = Clock(self._run, scheduler, self._serves, self._on_mismatch)
        self._seat.install(scheduler)
        for entry in self._entries:
            entry.settle()
            entry.score.graphs = self._launch.graphs(entry.component)
            entry.score.prediction = scheduler.config.get("prediction_type", "flow_prediction")
        for name in self._modules(policy):
            if name not in self._site_patches:
                denoiser = self._denoisers[name.partition(".")[0]]
                self._site_patches[name] = patch_site(self._run.features.states[name], self._sites[name], denoiser.module)

    def _modules(self, policy: Policy) -> list[str]:
        """Returns a policy's sites that are modules of a denoiser."""
        return [site for sites in policy.groups.values() for site in sites if site not in (GUIDANCE, CONTROLNET)]

    def _serves(self, pipe: Any) -> bool:  # noqa: ANN401
        """Whether a pipeline, perhaps another than ours, holds a denoiser that the policy is on.

        Raises:
            MismatchError: If ours holds another network than the one that the policy was put on.
        """
        if pipe is None or pipe is self._pipe:
            check_parts(self._pipe, self._parts)
            for entry in self._entries:
                entry.settle()
            return True
        theirs = [getattr(pipe, component, None) for component in COMPONENTS]
        theirs = [getattr(module, "_orig_mod", module) for module in theirs]
        return any(denoiser.module is module for denoiser in self._denoisers.values() for module in theirs)

    def _guard(self, timestep: Any) -> bool:  # noqa: ANN401
        """Tells whether a network call at a timestep, None if unknown, belongs to the present step of the run.

        Raises:
            MismatchError: If the pipeline's scheduler was swapped: the clock would stand still.
        """
        assert self._clock is not None
        if self._pipe.scheduler is self._clock.scheduler:
            return self._run.owns() and (timestep is None or self._clock.walks(timestep))
        if self._removed or not (self._run.by_hand or calling_pipeline() is self._pipe):
            return False
        ours, theirs = type(self._clock.scheduler).__name__, type(self._pipe.scheduler).__name__
        raise MismatchError(
            f"`pipe.scheduler` must stay while a policy is on: the policy walks {ours} but the pipeline now has a {theirs} of "
            f"its own. `.remove()` first, then swap and build or tune a policy for {theirs} (`scheduler=` of the builders)."
        )

    def _enter(self, timestep: Any) -> None:  # noqa: ANN401
        assert self._clock is not None
        self._launch.begin()
        check_places(self._denoisers, {name: self._site_patches[name] for name in self._modules(self.policy)})
        pipe = calling_pipeline()
        walked = self.policy.T if pipe is None and self._run.by_hand else getattr(pipe, "_num_timesteps", None)
        self._clock.enter(timestep, walked)
