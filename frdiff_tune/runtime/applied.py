"""A policy that is on a pipeline: what it has patched, what it runs, and how it is taken off."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

from frdiff_tune.errors import MismatchError
from frdiff_tune.policy import Policy
from frdiff_tune.runtime.clock import Clock, OnMismatch
from frdiff_tune.runtime.controlnet import ControlNetPatch
from frdiff_tune.runtime.entry import Entry
from frdiff_tune.runtime.families import CONTROLNET, GUIDANCE
from frdiff_tune.runtime.fit import check_places, check_policy
from frdiff_tune.runtime.holder import Holder, hold, release
from frdiff_tune.runtime.patch import Patch
from frdiff_tune.runtime.reuse import patch_site
from frdiff_tune.runtime.run import Run
from frdiff_tune.runtime.score import ScorePatch
from frdiff_tune.runtime.site import COMPONENTS, discover_sites, find_denoisers
from frdiff_tune.runtime.solver import build_scheduler, check_scheduler, scheduler_info
from frdiff_tune.runtime.trace import Trace


class Applied:
    """A policy that is on a pipeline.

    Arguments:
        pipe: The pipeline.
        policy: The policy.
        on_mismatch: What to do with a call that the policy does not fit.

    Raises:
        MismatchError: See ``apply_policy``.
    """

    def __init__(self, pipe: Any, policy: Policy, on_mismatch: OnMismatch = "error") -> None:  # noqa: ANN401
        self._pipe, self._on_mismatch = pipe, on_mismatch
        self._denoisers = {denoiser.component: denoiser for denoiser in find_denoisers(pipe)}
        self._sites = {site.name: site for site in discover_sites(pipe)}
        self._scheduler_before = pipe.scheduler
        self._patches: list[Patch] = []
        self._entries: list[Entry] = []
        self._site_patches: dict[str, dict[str, Patch]] = {}
        self._schedulers: dict[str, Any] = {}
        self._removed = self._by_hand = False
        hold([denoiser.module for denoiser in self._denoisers.values()], Holder(type(pipe).__name__, pipe.scheduler))
        try:
            check_policy(policy, self._denoisers, self._sites, self._scheduler_before)
            scheduler = self._scheduler_of(policy)
        except BaseException:
            self._release()
            raise
        self._run = Run(policy)
        self._clock: Clock | None = None
        for denoiser in self._denoisers.values():
            self._entries.append(Entry(pipe, denoiser, ScorePatch(self._run, denoiser, self._guard, self._enter)))
            if hasattr(denoiser.module, "cache_context"):
                self._patches.append(Patch(denoiser.module, "cache_context", self._patch_context))
        if getattr(pipe, CONTROLNET, None) is not None:
            self._patches.append(Patch(pipe.controlnet, "forward", lambda forward: ControlNetPatch(self._run, forward)))
        self._patches.append(Patch(pipe, "save_pretrained", self._patch_save))
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
    def cache_bytes(self) -> int:
        """Bytes that the last whole run stored at its most."""
        return self._run.held_bytes

    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """Runs the pipeline with the policy's step count; arguments and result are the pipeline's.

        Raises:
            MismatchError: If the policy was taken off, or does not fit the call.
        """
        if self._removed:
            raise MismatchError("`applied` must be on but was removed. Call the pipeline itself, or `apply_policy` again.")
        kwargs.setdefault("num_inference_steps", self.policy.sampling.num_inference_steps)
        try:
            return self._pipe(*args, **kwargs)
        finally:
            self._run.reset()

    @contextmanager
    def run(self, T: int | None = None) -> Iterator[Self]:
        """Follows the policy in a denoising loop written by hand: from ``scheduler.set_timesteps`` to its last step.

        Arguments:
            T: Steps that the loop walks; None: the policy's.

        Raises:
            MismatchError: If the policy is for another number, or was taken off.
        """
        if self._removed:
            raise MismatchError("`applied` must be on but was removed. Call `apply_policy` again.")
        if T not in (None, self.policy.T):
            raise MismatchError(
                f"`T` must be the policy's {self.policy.T} but the loop walks {T}. `policy.resample({T})` stretches it, "
                f"unmeasured; or tune one for that many steps."
            )
        self._by_hand = True
        try:
            yield self
        finally:
            self._by_hand = False
            self._run.reset()

    def use(self, policy: Policy) -> Self:
        """Switches to another policy without patching anew; stored tensors are dropped.

        Raises:
            MismatchError: If the policy does not fit; the present one then stays on.
        """
        if self._removed:
            raise MismatchError("`applied` must be on but was removed. Call `apply_policy` again.")
        check_policy(policy, self._denoisers, self._sites, self._scheduler_before)
        self._switch(policy, self._scheduler_of(policy))
        return self

    def remove(self) -> None:
        """Takes the policy off: the pipeline is as it was, and stored tensors are freed."""
        if self._removed:
            return
        self._removed = True
        self._run.reset()
        if self._clock is not None:
            self._clock.remove()
        for entry in self._entries:
            entry.remove()
        for patch in [*self._patches, *(patch for parts in self._site_patches.values() for patch in parts.values())]:
            patch.remove()
        if self._clock is not None and self._pipe.scheduler is self._clock.scheduler:
            _install(self._pipe, self._scheduler_before)
        self._release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.remove()

    def _scheduler_of(self, policy: Policy) -> Any:  # noqa: ANN401
        """Returns the scheduler that a policy walks: the user's own object where it is the same."""
        info = policy.sampling.scheduler
        if info == scheduler_info(self._scheduler_before):
            return self._scheduler_before
        key = info.model_dump_json()
        if key not in self._schedulers:
            scheduler = build_scheduler(info)
            check_scheduler(self._pipe, scheduler)
            self._schedulers[key] = scheduler
        return self._schedulers[key]

    def _switch(self, policy: Policy, scheduler: Any) -> None:  # noqa: ANN401
        """Puts a checked policy on."""
        self._run.load(policy)
        if self._clock is None or self._clock.scheduler is not scheduler:
            if self._clock is not None:
                self._clock.remove()
            self._clock = Clock(self._run, scheduler, self._serves, self._on_mismatch)
        if self._pipe.scheduler is not scheduler:
            _install(self._pipe, scheduler)
        for entry in self._entries:
            entry.settle()
            entry.score.prediction = scheduler.config.get("prediction_type", "flow_prediction")
        for name in self._modules(policy):
            if name not in self._site_patches:
                denoiser = self._denoisers[name.partition(".")[0]]
                self._site_patches[name] = patch_site(self._run.features.states[name], self._sites[name], denoiser.module)

    def _modules(self, policy: Policy) -> list[str]:
        """Returns a policy's sites that are modules of a denoiser."""
        return [site for sites in policy.groups.values() for site in sites if site not in (GUIDANCE, CONTROLNET)]

    def _patch_context(self, cache_context: Callable[..., Any]) -> Callable[..., Any]:
        """Makes the pipeline's name of a pass known to the run."""

        @contextmanager
        def patched(name: str, *args: Any, **kwargs: Any) -> Iterator[None]:  # noqa: ANN401
            before, self._run.context = self._run.context, name
            try:
                with cache_context(name, *args, **kwargs):
                    yield
            finally:
                self._run.context = before

        return patched

    def _serves(self, pipe: Any) -> bool:  # noqa: ANN401
        """Whether a pipeline, perhaps another than ours, holds a denoiser that the policy is on; stands where it calls it."""
        for entry in self._entries:
            entry.settle()
        theirs = [getattr(pipe, component, None) for component in COMPONENTS]
        theirs = [getattr(module, "_orig_mod", module) for module in theirs]
        return any(denoiser.module is module for denoiser in self._denoisers.values() for module in theirs)

    def _release(self) -> None:
        release([denoiser.module for denoiser in self._denoisers.values()])

    def _guard(self) -> bool:
        """Tells whether a network call belongs to the run.

        Raises:
            MismatchError: If the pipeline's scheduler was swapped: the clock would stand still.
        """
        if self._removed or self._clock is None or self._pipe.scheduler is self._clock.scheduler:
            return self._run.owns()
        ours, theirs = type(self._clock.scheduler).__name__, type(self._pipe.scheduler).__name__
        raise MismatchError(
            f"`pipe.scheduler` must stay while a policy is on: the policy walks {ours} but the pipeline now has a {theirs} of "
            f"its own. `.remove()` first, then swap and build or tune a policy for {theirs} (`scheduler=` of the builders)."
        )

    def _enter(self, timestep: Any) -> None:  # noqa: ANN401
        assert self._clock is not None
        check_places(self._denoisers, {name: self._site_patches[name] for name in self._modules(self.policy)})
        walked = self._run.policy.T if self._by_hand else getattr(self._pipe, "_num_timesteps", None)
        self._clock.enter(timestep, walked)

    def _patch_save(self, save: Callable[..., Any]) -> Callable[..., Any]:
        """Makes ``save_pretrained`` write the user's own scheduler."""

        def patched(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            present = self._pipe.scheduler
            _install(self._pipe, self._scheduler_before)
            try:
                return save(*args, **kwargs)
            finally:
                _install(self._pipe, present)

        return patched


def _install(pipe: Any, scheduler: Any) -> None:  # noqa: ANN401
    """Gives a pipeline another scheduler; its configuration follows."""
    pipe.register_modules(scheduler=scheduler)
