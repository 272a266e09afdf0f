"""Applying a policy to a pipeline, and taking it off again."""

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from frdiff_tune.errors import MismatchError
from frdiff_tune.policy import Policy
from frdiff_tune.runtime.clock import Clock
from frdiff_tune.runtime.families import GUIDANCE
from frdiff_tune.runtime.holder import Holder, hold, release
from frdiff_tune.runtime.patch import Patch
from frdiff_tune.runtime.pipeline import model_digest
from frdiff_tune.runtime.reuse import patch_site
from frdiff_tune.runtime.run import Run
from frdiff_tune.runtime.score import ScorePatch
from frdiff_tune.runtime.site import find_denoiser
from frdiff_tune.runtime.solver import build_scheduler, check_noise, check_scheduler, scheduler_info
from frdiff_tune.runtime.trace import Trace


def apply_policy(
    pipe: Any,  # noqa: ANN401
    policy: Policy | str | Path,
    *,
    capture: Literal["eager"] = "eager",
    on_mismatch: Literal["error"] = "error",
) -> "Applied":
    """Puts a policy on a pipeline: from then on its runs compute, reuse, mix and jump as the policy says.

    Nothing of the user's classes is changed, and nothing of ours stays after ``.remove()``. The result is a context
    manager; calling it runs the pipeline with the policy's step count.

    Arguments:
        pipe: A diffusers pipeline, on any device and in any dtype.
        policy: A policy or the path of its file.
        capture: How the network is launched; only ``"eager"`` as yet.
        on_mismatch: What to do with a call that the policy does not fit; only ``"error"`` as yet.

    Returns:
        The applied policy.

    Raises:
        MismatchError: If the policy is for another denoiser, noise schedule or prediction type, names sites that the model
            does not have, or the denoiser has a policy on already.
        PolicyError: If a file cannot be read.
    """
    if capture != "eager":
        raise MismatchError(f"`capture` must be 'eager' but got {capture!r}. Other launch modes are not supported yet.")
    if on_mismatch != "error":
        raise MismatchError(f"`on_mismatch` must be 'error' but got {on_mismatch!r}. No other answer is supported yet.")
    return Applied(pipe, policy if isinstance(policy, Policy) else Policy.load(policy))


class Applied:
    """A policy that is on a pipeline.

    Arguments:
        pipe: The pipeline.
        policy: The policy.

    Raises:
        MismatchError: See ``apply_policy``.
    """

    def __init__(self, pipe: Any, policy: Policy) -> None:  # noqa: ANN401
        self._pipe = pipe
        self._family, self._denoiser = find_denoiser(pipe)
        self._sites = {site.name: site for site in self._family.sites(self._denoiser)}
        self._scheduler_before = pipe.scheduler
        self._patches: dict[str, list[Patch]] = {}
        self._schedulers: dict[str, Any] = {}
        self._removed = False
        hold(self._denoiser, Holder(type(pipe).__name__, pipe.scheduler))
        try:
            self._check(policy)
            scheduler = self._scheduler_of(policy)
        except BaseException:
            release(self._denoiser)
            raise
        self._run = Run(policy)
        self._clock: Clock | None = None
        self._score: ScorePatch | None = None
        self._patches[""] = [
            Patch(self._denoiser, "forward", self._patch_score),
            Patch(pipe, "save_pretrained", self._patch_save),
        ]
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

    def use(self, policy: Policy) -> Self:
        """Switches to another policy without patching anew; stored tensors are dropped.

        Raises:
            MismatchError: If the policy does not fit; the present one then stays on.
        """
        if self._removed:
            raise MismatchError("`applied` must be on but was removed. Call `apply_policy` again.")
        self._check(policy)
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
        for patches in self._patches.values():
            for patch in reversed(patches):
                patch.remove()
        if self._clock is not None and self._pipe.scheduler is self._clock.scheduler:
            _install(self._pipe, self._scheduler_before)
        release(self._denoiser)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.remove()

    def _check(self, policy: Policy) -> None:
        """Checks that a policy belongs to this pipeline, before anything is changed."""
        digest = model_digest(self._denoiser)
        if policy.model.digest != digest:
            raise MismatchError(
                f"`policy.model` must be the pipeline's denoiser: the policy is for {policy.model.denoiser} "
                f"({policy.model.digest[:12]}) but the pipeline has {type(self._denoiser).__name__} ({digest[:12]}). "
                f"Load {policy.model.source or 'the model that the policy was tuned for'}, or tune a policy for this one."
            )
        check_noise(policy.sampling.scheduler, self._scheduler_before)
        missing = [site for sites in policy.groups.values() for site in sites if site not in self._sites]
        if missing:
            raise MismatchError(
                f"`policy.groups` must name sites that the model has but {missing[0]!r} is none of its {len(self._sites)} "
                f"(missing: {len(missing)}). `discover_sites(pipe)` lists them; tune a policy for this model."
            )
        grouped = sorted(set(policy.forecast) - {"score"})
        if grouped:
            raise MismatchError(
                f"`policy.forecast` must name only 'score' as yet but got weights for the groups {grouped}. "
                f"Take them out, or upgrade frdiff-tune."
            )

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
            self._clock = Clock(self._run, scheduler)
        if self._pipe.scheduler is not scheduler:
            _install(self._pipe, scheduler)
        assert self._score is not None
        self._score.prediction = scheduler.config.get("prediction_type", "flow_prediction")
        for name in (site for sites in policy.groups.values() for site in sites):
            if name not in self._patches and name != GUIDANCE:
                module = self._denoiser.get_submodule(name.partition(".")[2])
                self._patches[name] = patch_site(self._run, name, self._sites[name].kind, module)

    def _patch_score(self, forward: Callable[..., Any]) -> Callable[..., Any]:
        self._score = ScorePatch(self._run, self._family, forward, self._guard, self._enter)
        return self._score

    def _guard(self) -> None:
        """Refuses a network call of a pipeline whose scheduler was swapped: the clock would stand still."""
        if self._removed or self._clock is None or self._pipe.scheduler is self._clock.scheduler:
            return
        ours, theirs = type(self._clock.scheduler).__name__, type(self._pipe.scheduler).__name__
        raise MismatchError(
            f"`pipe.scheduler` must stay while a policy is on: the policy walks {ours} but the pipeline now has a {theirs} of "
            f"its own. `.remove()` first, then swap and build or tune a policy for {theirs} (`scheduler=` of the builders)."
        )

    def _enter(self, timestep: Any) -> None:  # noqa: ANN401
        assert self._clock is not None
        self._clock.enter(timestep)

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
