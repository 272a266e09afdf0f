"""What the reuse of groups is worth: operations and bytes of each, and the times of all."""

from collections.abc import Generator, Mapping, Sequence
from statistics import fmean
from typing import Any

from frdiff_tune.measure.bench import Bench, Contender
from frdiff_tune.measure.hardware import pipe_device
from frdiff_tune.measure.latency import Arguments, warm_up
from frdiff_tune.measure.profile_courses import Courses, Sites
from frdiff_tune.measure.profile_file import Combination, GroupProfile, Operations
from frdiff_tune.measure.profile_sites import site_times
from frdiff_tune.measure.profile_steps import operations
from frdiff_tune.measure.profile_times import Plan, Times, times
from frdiff_tune.measure.walk import Walk
from frdiff_tune.policy import Figure
from frdiff_tune.runtime import Capture, discover_sites, keyframe_policy
from frdiff_tune.runtime.families import GUIDANCE

SITE_RUNS = 2


class Worth:
    """What the reuse of groups is worth, and what a call takes beside it.

    Arguments:
        bench: The pipeline.
        groups: Group -> site names.
        walk: How many steps its calls walk.
        arguments: Call arguments of run i.
        capture: How the network is launched under a policy.
    """

    def __init__(self, bench: Bench, groups: Mapping[str, Sites], walk: Walk, arguments: Arguments, capture: Capture) -> None:
        self._bench, self._groups, self._walk = bench, groups, walk
        self._arguments, self._capture = arguments, capture
        self._flops: dict[str, int] = {}
        self._bytes: dict[str, int] = {}
        self._full = self._outside = 0.0
        self._times: Times | None = None
        self._site_ms: dict[str, float] = {}

    def count(self) -> Generator[int, None, None]:
        """Counts operations and bytes, group by group, in runs of two steps; yields how many groups are done."""
        pipe, steps = self._bench.pipe, self._walk.steps(2)
        T = self._walk.T(steps)
        for done, (name, sites) in enumerate(self._groups.items(), start=1):
            policy = keyframe_policy(pipe, steps, [0], mixing=1.0, groups={name: sites}, T=T)
            contender = Contender(self._bench, policy, steps)
            counted = operations(contender, self._arguments(0))
            self._full, self._outside = counted.steps[0], counted.total - sum(counted.steps)
            self._flops[name] = int(counted.steps[0] - counted.steps[1])
            self._bytes[name] = contender.cache_bytes()
            yield done

    def time(self, rounds: int, solvers: Sequence[str]) -> Generator[int, None, None]:
        """Times rounds; yields how many are done."""
        pipe, device = self._bench.pipe, pipe_device(self._bench.pipe)
        plan = Plan.of(Courses(pipe, self._walk), self._groups, solvers)
        bare = Contender(self._bench, None, plan.bare)
        warm_up(bare, self._arguments, device)
        if self._capture != "eager":  # graphs and compiled code are made before anything counts
            for course in plan.courses:
                Contender(self._bench, course.policy, 0, self._capture)(**self._arguments(0))
        self._times = yield from times(self._bench, plan, self._arguments, device, rounds, self._capture)
        runs = [site_times(pipe, bare, self._arguments(i), device) for i in range(SITE_RUNS)]
        self._site_ms = {site: fmean(run[site] for run in runs) for site in runs[0]}

    def fields(self, T: int) -> dict[str, Any]:
        """Returns the arguments of ``Profile`` that concern cost.

        Arguments:
            T: Steps of the full run that speed-ups refer to.
        """
        assert self._times is not None, "nothing was timed"
        costs, guidance = self._times.costs(), self._times.guidance_share()
        reused = self._times.reused()
        alone = {found.groups[0]: found for found in reused if len(found.groups) == 1}
        if guidance is not None:
            alone |= {
                name: Combination(groups=(name,), saved_share=guidance)
                for name, sites in self._groups.items()
                if sites == (GUIDANCE,)
            }
        return {
            "costs": costs,
            "groups": {name: self._group(name, alone[name], costs.call_ms.value) for name in self._groups},
            "combinations": tuple(found for found in reused if len(found.groups) > 1),
            "guidance_share": guidance,
            "site_ms": self._site_ms,
            "operations": Operations(step=int(self._full), call=int(self._outside + T * self._full)),
        }

    def _group(self, name: str, found: Combination, call_ms: float) -> GroupProfile:
        sites = [site for site in discover_sites(self._bench.pipe) if site.name in set(self._groups[name])]
        share = found.saved_share
        return GroupProfile(
            sites=tuple(self._groups[name]),
            kinds=tuple(sorted({str(site.kind) for site in sites})),
            module_classes=tuple(sorted({site.module_class for site in sites})),
            saved_ms=Figure(value=share.value * call_ms, low=share.low * call_ms, high=share.high * call_ms),
            saved_share=share,
            guided_share=found.guided_share,
            flops=self._flops[name],
            cache_bytes=self._bytes[name],
        )
