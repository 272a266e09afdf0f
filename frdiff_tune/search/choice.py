"""Which point of a front is chosen: by a limit, by the study's floor, by number, or the knee; and who comes next."""

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from frdiff_tune.errors import LimitError, StudyError
from frdiff_tune.measure import Interval
from frdiff_tune.search.aim import loss
from frdiff_tune.search.cost_figure import COSTS, better
from frdiff_tune.search.limit import Limit
from frdiff_tune.search.objective import OBJECTIVES, non_dominated
from frdiff_tune.search.pareto import Front, Point

CLOSE = 1e-4
"""LPIPS, and every other figure but decibels, below which a compromise asks for no more: 8-bit pictures hardly differ there."""
Key = Callable[[Point], tuple[float, ...]]


@dataclass(frozen=True, slots=True)
class Pick:
    """What to choose from a front; without an argument the fastest policy that is as close as the study's floor.

    Arguments:
        max_lpips: The fastest whose mean LPIPS is at most this.
        max_latency_ms: The finest whose latency is at most this, in milliseconds.
        trial: The trial of that number.
        knee: The best compromise, whatever the floor is.
    """

    max_lpips: float | None = None
    max_latency_ms: float | None = None
    trial: int | None = None
    knee: bool = False

    @classmethod
    def parse(cls, text: str) -> "Pick":
        """Returns what ``floor``, ``knee`` or ``trial:N`` asks for.

        Raises:
            StudyError: If it is none of them.
        """
        if text in ("floor", "knee"):
            return cls(knee=text == "knee")
        if text.startswith("trial:") and text[6:].isdecimal():
            return cls(trial=int(text[6:]))
        raise StudyError(f"`pick` must be floor, knee or trial:N but got {text!r}. `frdiff-tune front` lists the trials.")

    @property
    def limits(self) -> tuple[Limit, ...]:
        """The limits that are asked for."""
        bounds = {"lpips": self.max_lpips, "latency_ms": self.max_latency_ms}
        return tuple(Limit(name, bound) for name, bound in bounds.items() if bound is not None)

    def floor_limit(self, front: Front) -> Limit | None:
        """Returns the study's floor as a limit where it decides; a study with one objective says itself what is best."""
        named = self.knee or self.trial is not None or self.limits or len(front.objectives) == 1
        return None if named or front.floor is None else Limit("lpips", front.floor.value)


def pick(front: Front, request: Pick | None = None, among: Container[int] | None = None) -> Point:
    """Returns the chosen point, as the search has measured it: the first of ``ranked``.

    Arguments:
        front: What a study has measured.
        request: What to look for; None: the fastest that is as close as the floor.
        among: Numbers of the trials of which it must be one; None: all.

    Raises:
        StudyError: If there is no trial of that number.
        LimitError: If no point keeps the limits.
    """
    return ranked(front, request, among)[0]


def ranked(front: Front, request: Pick | None = None, among: Container[int] | None = None) -> list[Point]:
    """Returns the points that may be had, in the order in which they are worth trying.

    With a bound on LPIPS the fastest that keeps all bounds comes first, with one on latency alone the finest; else the fastest
    whose LPIPS is within the floor, surely faster than the reference; else the knee of the front. Points whose intervals' worse
    ends keep the limits precede those of which only the values do: on held-out cases these would seldom keep them. Points that
    break the study's own limits are left out, unless named by number.

    Arguments:
        front: What a study has measured.
        request: What to look for; None: the fastest that is as close as the floor.
        among: Numbers of the trials of which they must be, whose knee is that of the whole front; None: all.

    Raises:
        StudyError: If there is no trial of that number.
        LimitError: If no point keeps the limits.
    """
    request = request or Pick()
    if request.trial is not None:
        return [_numbered(front, request.trial)]
    candidates = [point for point in front.points if point.within_limits and (among is None or point.trial.number in among)]
    if not candidates:
        closest = min(front.points, key=lambda point: point.trial.lpips.value)
        raise LimitError(
            f"The study's limits must leave a point but none of {len(front.points)} trials keeps them; the finest, trial "
            f"{closest.trial.number}, has LPIPS {closest.trial.lpips.value:.4g}. Loosen `search.limits`."
        )
    if request.limits:
        candidates = _within(candidates, request)
    return ordered(front, request, candidates)


def ordered(front: Front, request: Pick, points: Sequence[Point]) -> list[Point]:
    """Returns points in the order in which they are worth trying, those that break a limit last.

    Arguments:
        front: What a study has measured, these points among it.
        request: What to look for; no number.
        points: Some of its points.
    """
    if close := within_floor(front, request, points):
        numbers = {point.trial.number for point in close}
        return [*close, *by_knee(front, [point for point in points if point.trial.number not in numbers])]
    if request.limits:
        key = _fastest if request.max_lpips is not None else _finest
        return by_limits(points, (*front.limits, *request.limits), request.limits, key)
    if len(front.objectives) == 1:
        return by_limits(points, front.limits, (), _best_first(front))
    return by_knee(front, points)


def within_floor(front: Front, request: Pick, points: Sequence[Point], surely: bool = False) -> list[Point]:
    """Returns the points that are as close as the floor and surely faster than the reference, in the order to try them.

    None where the floor does not decide.

    Arguments:
        front: What a study has measured.
        request: What to look for.
        points: Some of its points.
        surely: Whether the upper end of the LPIPS must be within the floor, not only its value.
    """
    floor = request.floor_limit(front)
    if floor is None:
        return []
    close = [
        point
        for point in points
        if point.within_limits
        and floor.excess(floor.worst(point.trial.lpips) if surely else point.trial.lpips.value) <= 0
        and point.trial.latency_ms.high < front.reference.median_ms
        and not _is_reference(point)
    ]
    return by_limits(close, (*front.limits, floor), (floor,), _fastest)


def _is_reference(point: Point) -> bool:
    """Whether a point is the reference's own run, whose time differs from the reference's by noise alone."""
    return point.trial.family == "known: full" and point.trial.capture == "eager"


def by_limits(points: Sequence[Point], limits: Sequence[Limit], asked: Sequence[Limit], key: Key) -> list[Point]:
    """Returns points in the order in which they are worth trying where limits must be kept by the worse ends of intervals.

    First those whose worse ends keep all, in the order of ``key``; after them those which an earlier one surpasses in every
    limit, so that they would hardly keep one that it breaks; last those whose worse ends do not, the nearest to it first.

    Arguments:
        points: The points.
        limits: All limits.
        asked: Those of them that the points do not know of themselves.
        key: The least is the best.
    """

    def sure(point: Point) -> bool:
        return point.within_limits and point.surely and beyond(point, asked) == 0

    def ends(point: Point) -> list[float]:
        return [limit.excess(limit.worst(_figure(point, limit))) for limit in limits]

    first, surpassed = list[Point](), list[Point]()
    for point in sorted(filter(sure, points), key=key):
        rivals = [ends(other) for other in first] if limits else []
        worse = any(all(a <= b for a, b in zip(rival, ends(point), strict=True)) for rival in rivals)
        (surpassed if worse else first).append(point)
    unsure = [point for point in points if not sure(point)]
    return [*first, *surpassed, *sorted(unsure, key=lambda point: (beyond(point, limits), *key(point)))]


def beyond(point: Point, limits: Sequence[Limit]) -> float:
    """Returns how far the worse ends of a point's intervals are beyond limits, added up as shares of the bounds.

    Arguments:
        point: As measured.
        limits: Bounds of its figures.
    """
    return sum(limit.share_beyond(_figure(point, limit)) for limit in limits)


def by_knee(front: Front, points: Sequence[Point]) -> list[Point]:
    """Returns points by their distance below the chord of the whole front, those that keep the study's limits surely first."""
    sure = any(point.within_limits and point.surely for point in points)
    plane = [point for point in front.points if point.within_limits and (point.surely or not sure)]
    key = _below_chord(plane or front.points, front.objectives, max(front.min_lpips, CLOSE))
    return sorted(points, key=lambda point: (not point.within_limits, not point.surely, *key(point)))


def knee(
    points: Sequence[Point],
    objectives: Sequence[str] = OBJECTIVES,
    among: Container[int] | None = None,
    least: float = CLOSE,
) -> Point:
    """Returns the point of their front that is farthest below the chord, or plane, through the best of each objective.

    Every objective is scaled to its own range on the front; distances from the reference count in decades, down to ``least``.
    Where there is one objective, it is the best point; where the front has no range in one of them, or two points, the fastest.

    Arguments:
        points: At least one point.
        objectives: Names of figures.
        among: Numbers of the trials of which it must be one, of at least one of the points; None: all.
        least: Smaller distances count as this one.
    """
    best = {outcome.number for outcome in non_dominated([point.trial for point in points], objectives)}
    candidates = [point for point in points if point.trial.number in (best if among is None else among)]
    return min(candidates, key=_below_chord(points, objectives, least))


def _below_chord(points: Sequence[Point], objectives: Sequence[str], least: float) -> Key:
    """Returns how a point compares as a compromise on the front of some, the best the least; the faster of equal ones."""
    best = {outcome.number for outcome in non_dominated([point.trial for point in points], objectives)}
    places = np.array([_place(point, objectives, least) for point in points if point.trial.number in best])
    reach = np.ptp(places, axis=0)
    if len(objectives) == 1:
        return lambda point: (float(_place(point, objectives, least)[0]), point.trial.latency_ms.value)
    if len(places) < 3 or not reach.all():
        return _fastest
    origin = places.min(0)
    return lambda point: (float(((_place(point, objectives, least) - origin) / reach).sum()), point.trial.latency_ms.value)


def _best_first(front: Front) -> Key:
    return _below_chord(front.points, front.objectives, max(front.min_lpips, CLOSE))


def _fastest(point: Point) -> tuple[float, ...]:
    return point.trial.latency_ms.value, point.trial.lpips.value


def _finest(point: Point) -> tuple[float, ...]:
    return point.trial.lpips.value, point.trial.latency_ms.value


def _numbered(front: Front, number: int) -> Point:
    for point in front.points:
        if point.trial.number == number:
            return point
    raise StudyError(
        f"`pick` must name a finished trial but got {number}. They are numbered "
        f"{front.points[0].trial.number} to {front.points[-1].trial.number}; `frdiff-tune front` lists the best."
    )


def _within(points: Sequence[Point], request: Pick) -> list[Point]:
    """Returns the points whose values keep the limits that are asked for.

    Raises:
        LimitError: If none does.
    """
    lpips = float("inf") if request.max_lpips is None else request.max_lpips
    latency = float("inf") if request.max_latency_ms is None else request.max_latency_ms
    close = [point for point in points if point.trial.lpips.value <= lpips]
    if not close:
        best = min(point.trial.lpips.value for point in points)
        raise LimitError(
            f"`max_lpips` must be at least {best:.4g}, the smallest LPIPS that was measured within the study's limits, "
            f"but got {lpips:g}. Loosen it by {best - lpips:.4g}, or search longer."
        )
    candidates = [point for point in close if point.trial.latency_ms.value <= latency]
    if not candidates:
        best = min(point.trial.latency_ms.value for point in close)
        raise LimitError(
            f"`max_latency_ms` must be at least {best:.4g}, the least that was measured"
            f"{f' with LPIPS up to {lpips:g}' if request.max_lpips is not None else ''}, but got {latency:g}. "
            f"Loosen it by {best - latency:.4g} ms, or search longer."
        )
    return candidates


def _figure(point: Point, limit: Limit) -> Interval:
    return point.trial.figure(limit.name)


def _place(point: Point, objectives: Sequence[str], least: float) -> NDArray[np.float64]:
    return np.array([_scaled(name, point.trial.figure(name).value, least) for name in objectives])


def _scaled(name: str, value: float, least: float) -> float:
    """Returns an objective on the scale on which it counts, lower values better."""
    if name in COSTS:
        return value if better(name) == "lower" else -value
    return loss(name, value, least)
