"""Finalists: the points that may be wanted, measured again with fresh seeds before one of them is exported.

The best of many trials owes some of its lead to luck: the search has measured it on cases on which it happens to do well. So
the choice is made once more between a few, on seeds that none of them was chosen by.

References:
    | The Optimizer's Curse: Skepticism and Postdecision Surprise in Decision Analysis (Smith and Winkler, 2006)
    | https://doi.org/10.1287/mnsc.1050.0451
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Any

from frdiff_tune.measure import SETS, Failure, Interval, Measurement, load_cases, summarise
from frdiff_tune.search import setting, storage
from frdiff_tune.search.choice import Pick, ordered, ranked, within_floor
from frdiff_tune.search.ledger import Ledger
from frdiff_tune.search.measures import Measures
from frdiff_tune.search.pareto import Front, Point, kept_limits
from frdiff_tune.search.study import Study

FRESH_SEED = 500_000
"""Seeds of the search prompts count from here, so that neither search nor export sees them."""
KNEE = Pick(knee=True)
MORE = 3
"""Finalists that are tried where the floor decides and none is surely within it, as a multiple of ``measure.finalists``."""


@dataclass(frozen=True, slots=True)
class Finalist:
    """A point that was measured again.

    Arguments:
        point: As the search has measured it.
        figures: Its quality on fresh seeds, every figure by its name.
        sets: Figures between the sets of its pictures and the reference's of the same seeds, as ``fd_alex_32``, of the metrics
            between sets that ``measure.metrics`` names.
    """

    point: Point
    figures: Mapping[str, Interval]
    sets: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Ranking:
    """Finalists in the order in which they are worth trying.

    Arguments:
        points: At least one, the one that is wanted first, as the search has measured them.
        finalists: What was measured again; empty where nothing was to be decided.
        remark: What a reader must know of the choice, in a sentence; empty if there is nothing.
    """

    points: tuple[Point, ...]
    finalists: tuple[Finalist, ...] = ()
    remark: str = ""


Again = Generator[tuple[int, int], None, Ranking]


def again(study: Study, found: Front, wanted: Pick, pipe: Any) -> Again:  # noqa: ANN401
    """Ranks the points that may be wanted by fresh figures, at most ``measure.finalists`` of them.

    What was measured is kept in the ledger: the same question is not measured twice. Where the floor decides and none of them
    is surely within it on fresh pictures, the next ones are measured until one is; if none of three times as many is, the
    best compromise is looked for in its place.

    Arguments:
        study: The study.
        found: What it has measured.
        wanted: What to look for.
        pipe: Its pipeline.

    Yields:
        How far it is, and how far it is to go.

    Raises:
        LimitError: If no point keeps the limits by the search's own figures.
        StudyError: If a trial that is named does not exist.
    """
    first, count = ranked(found, wanted), study.file.measure.finalists
    close = within_floor(found, wanted, first, surely=count == 1)[: MORE * count if count > 1 else 1]
    if wanted.floor_limit(found) is not None and not close:
        return replace((yield from again(study, found, KNEE, pipe)), remark=_no_floor(found, ()))
    rivals = close or _rivals(found, wanted, first, count)
    if len(rivals) < 2 and not (close and count > 1):
        return Ranking(tuple(rivals))

    def is_enough(blocks: Sequence[Sequence[Measurement]]) -> bool:
        fresh = [_refigured(study, _finalist(*row)) for row in zip(rivals, blocks, strict=False) if row[1]]
        return len(blocks) >= count and bool(within_floor(found, wanted, fresh, surely=True))

    blocks = yield from _blocks(study, rivals, pipe, is_enough)
    finalists = tuple(_finalist(point, own) for point, own in zip(rivals, blocks, strict=False) if own)
    fresh = [_refigured(study, each) for each in finalists]
    if close and not within_floor(found, wanted, fresh, surely=True):
        other = yield from again(study, found, KNEE, pipe)
        numbers = {each.point.trial.number for each in other.finalists}
        more = (each for each in finalists if each.point.trial.number not in numbers)
        return Ranking(other.points, (*other.finalists, *more), _no_floor(found, finalists))
    searched = {point.trial.number: point for point in rivals}
    order = [point.trial.number for point in ordered(_with(found, fresh), wanted, fresh)]
    return Ranking(tuple(searched[number] for number in order or searched), finalists)


def _no_floor(found: Front, finalists: Sequence[Finalist]) -> str:
    """Returns why the best compromise is taken although the floor was to decide."""
    assert found.floor is not None, "the floor was to decide"
    floor = f"the floor, LPIPS {found.floor.value:.2g}"
    if finalists:
        return f"None of {len(finalists)} finalists is surely within {floor}, on fresh pictures: the best compromise is taken."
    return f"No policy that is faster than the reference came within {floor}, in the search: the best compromise is taken."


def _rivals(found: Front, wanted: Pick, order: Sequence[Point], count: int) -> list[Point]:
    """Returns the points among which fresh figures decide: those that come first, or the neighbours of a compromise."""
    if wanted.trial is not None or wanted.limits or len(found.objectives) == 1:
        return list(order[:count])
    return _nearest(found, order[0], count)


def _with(found: Front, fresh: Sequence[Point]) -> Front:
    """Returns a front with other figures of some of its points."""
    other = {point.trial.number: point for point in fresh}
    return replace(found, points=tuple(other.get(point.trial.number, point) for point in found.points))


def _nearest(found: Front, first: Point, count: int) -> list[Point]:
    """Returns a point, and its neighbours on the front to both sides in turn, the next slower one first."""
    own = [point for point in found.best if point.within_limits and point.trial.number != first.trial.number]
    slower = [point for point in own if point.trial.latency_ms.value >= first.trial.latency_ms.value]
    faster = [point for point in reversed(own) if point.trial.latency_ms.value < first.trial.latency_ms.value]
    turns = [point for pair in zip_longest(slower, faster) for point in pair if point is not None]
    return [first, *turns][: max(count, 1)]


def _blocks(
    study: Study,
    points: Sequence[Point],
    pipe: Any,  # noqa: ANN401
    is_enough: Callable[[Sequence[Sequence[Measurement]]], bool],
) -> Generator[tuple[int, int], None, list[list[Measurement]]]:
    """Returns what is measured of each point with fresh seeds, until that is enough; nothing of one that cannot be measured."""
    file = study.file.cases
    cases = load_cases(pipe, file.search, file.search_count, first_seed=FRESH_SEED)
    ledger = Ledger(storage.open_storage(study.file.search.storage).engine)
    sets = tuple(name for name in study.file.measure.metrics if name in SETS)
    whole: list[list[Measurement]] = []
    with ExitStack() as stack:
        evaluator: Measures | None = None
        for number, point in enumerate(points):
            place = setting.place_of(study, pipe, cases, point.trial.capture, sets)
            own = list(ledger.blocks(point.policy.digest, place).values())
            if evaluator is None and _drawn(own) < len(cases):
                evaluator = stack.enter_context(setting.make_evaluator(study, pipe, cases, sets))
                for done, total in evaluator.prepare():
                    yield done, total + len(cases) * len(points)
            first = 0 if sets else len(own)  # a figure between sets is of all pictures: drawn anew, what is known stays
            if evaluator is not None and _drawn(own) < len(cases):
                for b, block in enumerate(evaluator(point.policy, first, point.trial.capture), first):
                    ledger.enter(point.policy.digest, place, b, block)
                    own += [block] if b == len(own) else []
                    yield number * len(cases) + _drawn(own), len(cases) * len(points)
            drawn = [block for block in own if isinstance(block, Measurement)]
            whole.append(drawn if _drawn(own) == len(cases) else [])
            if is_enough(whole):
                break
    return whole


def _drawn(blocks: Sequence[Measurement | Failure]) -> int:
    return sum(len(block.cases) for block in blocks if isinstance(block, Measurement))


def _finalist(point: Point, blocks: Sequence[Measurement]) -> Finalist:
    return Finalist(point, summarise(blocks, anchor_ms=1.0).figures, blocks[-1].sets)


def _refigured(study: Study, finalist: Finalist) -> Point:
    """Returns a point with its figures on fresh seeds; its costs stay those of the search."""
    trial = replace(finalist.point.trial, figures=finalist.figures)
    within, surely = kept_limits(study, trial)
    return replace(finalist.point, trial=trial, within_limits=within, surely=surely)
