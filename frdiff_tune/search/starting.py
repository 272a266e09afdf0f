"""Starting points: what a study measures before its sampler proposes anything.

Keyframe sets that are dense at both ends and sparse between: the first steps of a run decide the composition, the last ones
the fine detail; and the known policies, which a tuner has to beat: every step computed, fewer steps by every solver, FRDiff's
uniform schedule, and jumps at a fixed interval.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from frdiff_tune.runtime import default_groups, find_denoiser
from frdiff_tune.search.dynamic import best_sets, segment_costs
from frdiff_tune.search.forecasts import HOLD
from frdiff_tune.search.intervals import every
from frdiff_tune.search.space import Space
from frdiff_tune.search.space_file import CAPTURE, FEATURES, STRENGTH

SHARE = 0.45
"""Of a study's trials at most so many are starting points."""
FEW = 0.2
"""As much, where the sampler finds by itself what our own starting points are."""
MOST = 40
"""Starting points of a study without a number of trials."""
DENSE_ENDS = (
    (14, 1.6, 0.25, (2, 1, 1)), (10, 4.0, -0.25, (3, 2, 2, 1)), (18, 1.6, 0.25, (2, 1, 1)), (14, 4.0, 0.0, (2, 2, 1)),
    (24, 1.6, 0.25, (2, 1, 1)), (8, 4.0, -0.25, (3, 2, 1, 1)), (12, 4.0, -0.25, (3, 2, 2, 1)), (14, 1.6, 0.25, ()),
    (16, 1.6, 0.25, (2, 1, 1)), (10, 4.0, 0.0, (2, 2, 1)), (12, 1.6, 0.25, (2, 1, 1)), (9, 4.0, -0.25, (3, 2, 2, 1)),
    (18, 1.6, 0.0, (2, 2, 1)), (12, 2.4, 0.0, (2, 2, 1)), (30, 1.6, 0.25, (2, 1, 1)), (16, 4.0, -0.25, (3, 2, 2, 1)),
    (20, 1.6, 0.25, (2, 2, 1)), (10, 4.0, -0.25, ()), (14, 4.0, 0.0, ()), (24, 1.6, 0.0, ()), (14, 1.3, 0.25, (2, 1, 1)),
    (18, 4.0, -0.25, (2, 2, 1)), (24, 1.6, 1.0, (2, 1, 1)), (10, 2.4, 0.0, (2, 1, 1)), (20, 4.0, 0.0, (2, 2, 1)),
    (7, 4.0, -0.25, (3, 2, 1, 1)), (8, 4.0, 0.0, (2, 2, 1)), (30, 1.6, 1.0, (2, 2, 1)),
)  # fmt: skip
"""Keyframes of 50 steps, growth of their gaps, strength of a linear forecast, last gaps; other runs in proportion.

Why these: ``python -m benchmarks.ends demo demo-dit`` and its committed results. What is skipped at the very end is a small
error of every picture: last gaps that become short divide the median LPIPS several times. What is skipped early flips a few
pictures, and held scores flip others than extrapolated ones: a little of the way to the extrapolated score, or of the opposite
way, pays on some sets, the whole way on none of those measured.
"""
FOUND = (
    (12, 0.5, -0.25, 0.0), (17, 1.5, 0.0, 1.0), (8, 0.5, -0.25, 0.0), (14, 1.5, 0.25, 0.0), (25, 1.5, 1.0, 0.0),
    (17, 0.5, 0.25, 0.0), (10, 0.5, -0.25, 0.0), (12, 1.5, 0.0, 0.0), (21, 1.5, 0.0, 1.0), (14, 0.5, 0.0, 0.0),
    (9, 0.5, -0.25, 0.0), (21, 0.5, 0.5, 0.0), (30, 1.5, 1.0, 0.0), (7, 0.5, -0.25, 0.0), (15, 1.5, 0.0, 1.0),
    (10, 1.5, 0.0, 0.0), (25, 0.5, 1.0, 0.0), (38, 0.5, 1.0, 0.0),
)  # fmt: skip
"""Keyframes of 50 steps, how much early errors count, strength of a linear forecast, share of the way to the fitted one, of
sets that dynamic programming finds in full runs.

Why these: ``python -m benchmarks.found demo demo-dit`` and its committed results. Where keyframes are sparse, held scores, or a
little of the opposite way to extrapolated ones, are closest, and fitted ones far off; where they are dense the other way round.
Early errors should count more for the text model, less for the class model.
"""
FEWER = (0.4, 0.2, 0.6, 0.26, 0.14, 0.3, 0.8, 0.5)
"""Step counts of fewer steps, as shares of the reference's."""
INTERVALS = (2, 3, 5)
BLOCKS = ((23, 1.6, (2, 1, 1)), (14, 1.6, (2, 1, 1)))
"""Keyframes of 50 steps, growth of their gaps, last gaps, where whole blocks give back what they kept in between.

Why these: ``python -m benchmarks.equal_cost demo demo-dit`` and its committed results. At equal network cost blocks come
closest to jumps; what the paper reuses, parts of the depth, and forecasts of features fall behind both.
"""
WHOLE = ("block", "shallow", "deep")
"""A family's own groups that together are whole blocks: of transformers, and of UNets."""
TURNS = (
    "found", "fewer-steps", "dense-ends", "frdiff", "found", "fewer-steps", "dense-ends", "found", "jump", "blocks"
)  # fmt: skip
"""Whose turn it is, over and over: half are keyframe sets of our own, a fifth fewer steps."""
KNOWN_KINDS = ("fewer-steps", "frdiff", "jump", "blocks")
"""What is measured before a sampler that finds good keyframe sets by itself."""


@dataclass(frozen=True, slots=True)
class StartingPoint:
    """A trial that is measured first.

    Arguments:
        family: What it is: ``known: ...`` for policies that people use today, ``starting: ...`` for our own.
        params: Its parameters in the space.
    """

    family: str
    params: Mapping[str, Any]


def starting_points(
    space: Space, trials: int | None = None, kinds: Sequence[str] = TURNS, share: float = SHARE
) -> tuple[StartingPoint, ...]:
    """Returns the first trials of a study, the most promising of each kind first, and all kinds in turn.

    Policies outside the space are left out, and so is what repeats another one.

    Arguments:
        space: The space on its pipeline.
        trials: Trials of the study; None: there are at most 40 starting points.
        kinds: Which kinds; the full policy is always among them.
        share: Of the trials at most so many are starting points.
    """
    count = MOST if trials is None else min(int(share * trials), MOST)
    return tuple(islice(_distinct(space, _interleaved(space, kinds)), count))


def _interleaved(space: Space, wanted: Sequence[str]) -> Iterator[StartingPoint]:
    kinds = {name: make(space) for name, make in KINDS.items() if name in wanted}
    yield from _full(space)
    while kinds:
        for turn in TURNS:
            point = next(kinds.get(turn, iter(())), None)
            if point is None:
                kinds.pop(turn, None)
            else:
                yield point


def _distinct(space: Space, points: Iterator[StartingPoint]) -> Iterator[StartingPoint]:
    seen: set[tuple[str, str]] = set()
    for point in points:
        if space.holds(point.params):
            what = space.decode(point.params).digest, space.capture(point.params)
            if what not in seen:
                seen.add(what)
                yield point


def _point(space: Space, family: str, keyframes: Sequence[int], T: int, **changes: Any) -> StartingPoint:  # noqa: ANN401
    """Returns a point of jumps only, with changes to its parameters."""
    predicts = space.pipe.scheduler.config.get("prediction_type", "epsilon")
    variable = "epsilon" if predicts != "epsilon" and "epsilon" in space.variables else space.variables[0]
    uniform = len(keyframes) > 1 and tuple(keyframes) == tuple(range(0, T, keyframes[1]))
    encoding = "uniform" if uniform and "uniform" in space.encodings else space.freest_encoding
    params = {
        "num_inference_steps": space.reference_steps,
        "scheduler": own_scheduler(space),
        "keyframes.encoding": encoding,
        **space.gaps(list(keyframes), T),
        "mixing": "jump" if "jump" in space.mixing.families else space.mixing.families[0],
        **space.mixing.idle,
        "forecast.order": space.file.forecast.order[0],
        STRENGTH: space.file.forecast.strength[1],
        "forecast.variable": variable,
        **dict.fromkeys(space.file.forecast.fits, space.file.forecast.fit[0]),
        CAPTURE: space.captures[0],
        FEATURES: HOLD if HOLD in space.file.forecast.features else space.file.forecast.features[0],
        **{f"group.{name}": False for name in space.file.groups},
        **{every(name): space.intervals[0] for name in space.file.groups},
    }
    return StartingPoint(family, {name: (params | changes)[name] for name in space.distributions})


def base_point(space: Space) -> StartingPoint:
    """Returns the full run, every parameter at what a starting point has unless it says otherwise."""
    T = _T(space)
    return _point(space, "known: full", range(T), T)


def own_scheduler(space: Space) -> str:
    """Returns the label of the pipeline's own solver, or the space's first one."""
    own = space.pipe.scheduler
    label = "/".join(filter(None, (type(own).__name__, own.config.get("timestep_spacing", ""))))
    return label if label in space.schedulers else next(iter(space.schedulers))


def ramp(T: int, n: int, growth: float, last: Sequence[int] = ()) -> tuple[int, ...]:
    """Returns about n keyframes whose gaps are 1, 1, growth, growth^2, ... up to the plateau that fills the run.

    Arguments:
        T: Denoiser steps of the run.
        n: Keyframes; fewer where gaps that grow without a plateau leave the run before.
        growth: Ratio of neighbouring gaps on the ramp, above 1.
        last: Gaps that follow the plateau to the end of the run, in steps; each adds a keyframe, which counts in n.
    """
    ends = [T - sum(last[i:]) for i in range(len(last))]
    n, T = n - len(ends), ends[0] if ends else T
    gaps = [growth ** max(i - 1, 0) for i in range(n)]
    low, high = 1.0, float(T)
    for _ in range(50):  # bisection: the sum of the gaps grows with the plateau
        plateau = (low + high) / 2
        low, high = (plateau, high) if sum(min(gap, plateau) for gap in gaps) < T else (low, plateau)
    keyframes, place = [0], 0.0
    for gap in gaps[:-1]:
        place += min(gap, high)
        keyframes.append(max(keyframes[-1] + 1, round(place)))
    return (*(t for t in keyframes if t < T), *ends)


def _T(space: Space) -> int:
    return space.full(min(space.reference_steps, space.steps[1]), own_scheduler(space)).T


def _dense_ends(space: Space) -> Iterator[StartingPoint]:
    if "keyframes" not in space.encodings or "jump" not in space.mixing.families:
        return
    T = _T(space)
    least, most = space.file.keyframes.count
    for of_fifty, growth, strength, last in DENSE_ENDS:
        size = round(of_fifty * T / 50)
        gaps = last if 4 * sum(last) <= T and size > len(last) + 2 else ()
        if least <= size <= min(most, T):
            keyframes = ramp(T, size, growth, gaps)
            yield _point(space, "starting: dense-ends", keyframes, T, **_trend(space, strength))


def _found(space: Space) -> Iterator[StartingPoint]:
    """Yields jumps between the keyframes that dynamic programming finds in recorded full runs."""
    T, (least, most) = _T(space), space.file.keyframes.count
    known = space.trajectory is not None and len(space.trajectory.times) == T
    if not known or "keyframes" not in space.encodings or "jump" not in space.mixing.families:
        return
    assert space.trajectory is not None
    variable = _point(space, "", [0], T).params["forecast.variable"]
    ways = {early for _, early, *_ in FOUND}
    sets = {early: best_sets(segment_costs(space.trajectory, variable, early), T) for early in ways}
    for of_fifty, early, strength, share in FOUND:
        size = round(of_fifty * T / 50)
        if least <= size <= min(most, T):
            fits = dict.fromkeys(space.file.forecast.fits, share)
            yield _point(space, "starting: dynamic programming", sets[early][size], T, **{**_trend(space, strength), **fits})


def _trend(space: Space, strength: float) -> dict[str, Any]:
    """Returns a linear forecast of a strength; what the space has first where it has no such."""
    forecast = space.file.forecast
    if 1 in forecast.order and forecast.strength[0] <= strength <= forecast.strength[1]:
        return {"forecast.order": 1, STRENGTH: strength}
    return {}


def _full(space: Space) -> Iterator[StartingPoint]:
    T = _T(space)
    for capture in space.captures:
        yield _point(space, "known: full", range(T), T, capture=capture)


def _fewer(space: Space) -> Iterator[StartingPoint]:
    """Yields fewer steps by the pipeline's own solver twice as often as by each other one."""
    own = own_scheduler(space)
    others = [label for label in space.schedulers if label != own]
    counts = [max(round(share * space.reference_steps), 1) for share in FEWER]
    runs = [(own, count) for count in counts[:4]] + [(label, counts[1]) for label in others]
    runs += [(own, count) for count in counts[4:]]
    runs += [(label, count) for count in (counts[0], counts[4]) for label in others]
    for label, count in runs:
        if space.steps[0] <= count <= space.steps[1]:
            T = space.full(count, label).T
            yield _point(space, "known: fewer steps", range(T), T, num_inference_steps=count, scheduler=label)


def _frdiff(space: Space) -> Iterator[StartingPoint]:
    """Yields FRDiff's uniform schedule with and without score mixing, in the groups that the paper reuses."""
    own = default_groups(space.pipe)
    paper = {site for name in find_denoiser(space.pipe).family.paper_groups for site in own[name]}
    groups = {f"group.{name}": set(sites) <= paper for name, sites in space.groups.items()}
    families = [family for family in ("hard_sigmoid", "none") if family in space.mixing.families]
    if "uniform" not in space.encodings or HOLD not in space.file.forecast.features or not any(groups.values()):
        return
    T = _T(space)
    for interval in INTERVALS:
        for family in families:
            shape = {"keyframes.interval": interval, "mixing": family, "forecast.variable": "output", **groups}
            shape |= {"forecast.variable": space.variables[0]} if "output" not in space.variables else {}
            yield _point(space, "known: FRDiff", range(0, T, interval), T, **shape)


def _blocks(space: Space) -> Iterator[StartingPoint]:
    """Yields whole blocks that give back what they kept, over keyframes that are dense at both ends."""
    own = default_groups(space.pipe)
    whole = {site for name in WHOLE for site in own.get(name, ())}
    groups = {f"group.{name}": set(sites) <= whole for name, sites in space.groups.items()}
    if "keyframes" not in space.encodings or "none" not in space.mixing.families or not any(groups.values()):
        return
    T, (least, most) = _T(space), space.file.keyframes.count
    for of_fifty, growth, last in BLOCKS:
        size = round(of_fifty * T / 50)
        gaps = last if 4 * sum(last) <= T and size > len(last) + 2 else ()
        if least <= size <= min(most, T):
            yield _point(space, "starting: whole blocks", ramp(T, size, growth, gaps), T, **{"mixing": "none", **groups})


def _jumps(space: Space) -> Iterator[StartingPoint]:
    """Yields jumps at a fixed interval with linear forecasts: what feature caches forecast, done to the score."""
    if "uniform" not in space.encodings or "jump" not in space.mixing.families:
        return
    T, order = _T(space), 1 if 1 in space.file.forecast.order else space.file.forecast.order[0]
    for interval in INTERVALS:
        yield _point(space, "known: jump", range(0, T, interval), T, **{"forecast.order": order})


KINDS: dict[str, Callable[[Space], Iterator[StartingPoint]]] = {
    "found": _found,
    "dense-ends": _dense_ends,
    "blocks": _blocks,
    "fewer-steps": _fewer,
    "frdiff": _frdiff,
    "jump": _jumps,
}
"""What a study may list as ``starting_points``."""
