"""The profile of a pipeline: what its steps cost, what reuse saves, and what changes from step to step."""

from collections.abc import Generator, Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any

from frdiff_tune.errors import MeasureError
from frdiff_tune.measure.bench import Bench, Contender
from frdiff_tune.measure.case import Case
from frdiff_tune.measure.hardware import machine_info, pipe_device
from frdiff_tune.measure.latency import Arguments, warm_up
from frdiff_tune.measure.picture import checked_call, picture_size
from frdiff_tune.measure.profile_courses import Courses, Sites
from frdiff_tune.measure.profile_file import Changes, Combination, GroupProfile, Operations, Profile, ProfiledCall
from frdiff_tune.measure.profile_sites import site_times
from frdiff_tune.measure.profile_steps import operations
from frdiff_tune.measure.profile_times import Plan, Times, figure, times
from frdiff_tune.measure.similarity import ENTRIES, Similarity, similarity
from frdiff_tune.measure.timing import arguments_of
from frdiff_tune.measure.walk import Walk
from frdiff_tune.policy import Figure
from frdiff_tune.runtime import (
    Capture,
    default_groups,
    describe_model,
    discover_sites,
    keyframe_policy,
    match_groups,
)
from frdiff_tune.runtime.families import GUIDANCE

ROUNDS = 5
SITE_RUNS = 2
SOLVERS = (
    "DDIMScheduler",
    "DPMSolverMultistepScheduler",
    "UniPCMultistepScheduler",
    "DEISMultistepScheduler",
    "EulerDiscreteScheduler",
    "FlowMatchEulerDiscreteScheduler",
)
"""Solvers whose jumps are timed, as far as a pipeline can run them: those of the shipped search spaces."""


def profile(
    pipe: Any,  # noqa: ANN401
    cases: Sequence[Case],
    call: Mapping[str, Any] | None = None,
    batch: int = 1,
    *,
    steps: int,
    groups: Mapping[str, Sequence[str]] | None = None,
    solvers: Iterable[str] = SOLVERS,
    rounds: int = ROUNDS,
    similar: int | None = None,
    entries: int = ENTRIES,
    capture: Capture = "eager",
) -> Generator[tuple[int, int], None, Profile]:
    """Profiles a pipeline; yields what is done and what there is to do.

    Operations are counted first, then times are taken, then what changes from step to step is recorded, each apart: counting
    and recording would disturb the times. Where a pipeline has two networks that take turns, times are those of the first
    steps'.

    Arguments:
        pipe: A diffusers pipeline without a policy; restored afterwards.
        cases: Cases of one kind to draw, in turn.
        call: Arguments that are the same for all cases.
        batch: Pictures per call.
        steps: ``num_inference_steps`` of the full run that speed-ups refer to, and that is recorded.
        groups: Group -> site names; None: those that the model has of itself.
        solvers: Class names of other solvers whose jumps are timed; those that the pipeline cannot run are left out.
        rounds: How often everything is timed.
        similar: Cases that are recorded, the first ones; 0: none; None: all.
        entries: Entries that are recorded per site and sample of the network's batch, at most.
        capture: How the network is launched under a policy.

    Raises:
        MeasureError: If there is no round, or the cases do not walk alike.
        MismatchError: If a site is unknown, or a policy is on.
    """
    if rounds < 1:
        raise MeasureError(f"`rounds` must be 1 or more but got {rounds}. Use {ROUNDS}.")
    given, walk = checked_call(call or {}), Walk(pipe, cases, checked_call(call or {}))
    walk.check(steps)
    chosen = _groups(pipe, groups)
    drawn = cases[:similar]
    total = len(chosen) + rounds + len(drawn)
    with Bench(pipe) as bench:
        worth = Worth(bench, chosen, walk, arguments_of(cases, given, batch), capture)
        for done in worth.count():
            yield done, total
        for done in worth.time(rounds, tuple(solvers)):
            yield len(chosen) + done, total
    changes = None
    if drawn:
        recording = similarity(pipe, drawn, chosen, steps=steps, call=given, entries=entries)
        while True:
            try:
                yield len(chosen) + rounds + next(recording), total
            except StopIteration as end:
                changes = _changes(end.value)
                break
    height, width = picture_size(pipe, given)
    return Profile(
        model=describe_model(pipe),
        machine=machine_info(pipe, batch, height, width, capture),
        call=ProfiledCall(
            num_inference_steps=steps,
            T=walk.T(steps),
            scheduler=type(pipe.scheduler).__name__,
            batch=batch,
            arguments={name: value if isinstance(value, _PLAIN) else repr(value) for name, value in given.items()},
            capture=capture,
        ),
        rounds=rounds,
        similarity=changes,
        **worth.fields(walk.T(steps)),
    )


_PLAIN = (bool, int, float, str, list, dict, type(None))


class Worth:
    """What the reuse of groups is worth, and what a call takes beside it.

    Arguments:
        bench: The pipeline.
        groups: Group -> site names.
        walk: How many steps its calls walk.
        arguments: Call arguments of run i.
        capture: How the network is launched under a policy.
    """

    def __init__(
        self, bench: Bench, groups: Mapping[str, Sites], walk: Walk, arguments: Arguments, capture: Capture
    ) -> None:
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


def _groups(pipe: Any, groups: Mapping[str, Sequence[str]] | None) -> dict[str, Sites]:  # noqa: ANN401
    """Returns what is profiled, of sites that lie inside each other the outermost; the guidance pair stands alone."""
    found = match_groups(pipe, groups or default_groups(pipe))
    return {
        name: tuple(site for site in sites if site != GUIDANCE) or (GUIDANCE,)
        for name, sites in found.items()
    }


def _changes(found: Similarity) -> Changes:
    """Returns recorded changes as a file holds them, with five decimals."""
    rows = {
        name: tuple(tuple(round(float(value), 5) for value in row[:t]) for t, row in enumerate(change))
        for name, change in found.change.items()
    }
    return Changes(cases=found.cases, entries=found.entries, bound_bytes=found.bound_bytes, change=rows)
