"""The profile: what each group of sites costs per step, what reusing it saves, and what its cache holds."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from frdiff_tune.measure.bench import Bench, Contender
from frdiff_tune.measure.case import Case, call_arguments
from frdiff_tune.measure.hardware import pipe_device
from frdiff_tune.measure.interval import Interval, bootstrap
from frdiff_tune.measure.latency import Pair, time_interleaved, warm_up
from frdiff_tune.measure.picture import checked_call
from frdiff_tune.measure.walk import Walk
from frdiff_tune.policy import Policy
from frdiff_tune.runtime import default_groups, discover_sites, keyframe_policy

STEPS = 6  # that are walked at least: one computes, the others reuse
PAIRS = 4


@dataclass(frozen=True, slots=True)
class GroupProfile:
    """One group of sites.

    Arguments:
        group: Its name.
        kinds: What its sites keep.
        module_classes: Classes of its modules.
        sites: Number of sites.
        full_step_ms: A step that computes everything.
        reuse_step_ms: A step that reuses this group and computes the rest.
        cache_bytes: What a run stores for it.
    """

    group: str
    kinds: tuple[str, ...]
    module_classes: tuple[str, ...]
    sites: int
    full_step_ms: Interval
    reuse_step_ms: Interval
    cache_bytes: int


def profile(
    pipe: Any,  # noqa: ANN401
    cases: Sequence[Case],
    call: Mapping[str, Any] | None = None,
    batch: int = 1,
    pairs: int = PAIRS,
) -> Iterator[GroupProfile]:
    """Yields the groups that the model has of itself, each timed beside the full run (A B B A).

    Arguments:
        pipe: A diffusers pipeline without a policy; restored afterwards.
        cases: Cases of one kind to draw, in turn.
        call: Arguments that are the same for all cases.
        batch: Pictures per call.
        pairs: Timed pairs per group.
    """
    given, device = checked_call(call or {}), pipe_device(pipe)
    walk = Walk(pipe, cases, given)
    count = max(STEPS, walk.steps(STEPS))
    with Bench(pipe) as bench:
        full = Contender(bench, walk.full(count), count)
        policies = {
            name: keyframe_policy(pipe, count, keyframes=[0], mixing=1.0, groups=[name], T=walk.T(count))
            for name in default_groups(pipe)
        }

        def arguments(i: int) -> dict[str, Any]:
            return {**given, **call_arguments([cases[(i * batch + j) % len(cases)] for j in range(batch)])}

        warm_up(full, arguments, device)
        for name, policy in policies.items():
            reuse = Contender(bench, policy, count)
            yield _profiled(pipe, name, policy, list(time_interleaved(full, reuse, arguments, range(pairs), device)))


def _profiled(pipe: Any, name: str, policy: Policy, pairs: Sequence[Pair]) -> GroupProfile:  # noqa: ANN401
    names = set(default_groups(pipe)[name])
    sites = [site for site in discover_sites(pipe) if site.name in names]
    steps = policy.T
    saved = [(pair.first.loop_ms - pair.second.loop_ms) / (steps - 1) for pair in pairs]
    full = [pair.first.loop_ms / steps for pair in pairs]
    return GroupProfile(
        group=name,
        kinds=tuple(sorted({str(site.kind) for site in sites})),
        module_classes=tuple(sorted({site.module_class for site in sites})),
        sites=len(names),
        full_step_ms=bootstrap(full, "median"),
        reuse_step_ms=bootstrap([step - less for step, less in zip(full, saved, strict=True)], "median"),
        cache_bytes=max(pair.second.cache_bytes for pair in pairs),
    )
