"""Which point of a front is wanted: by a limit, by number, or the knee."""

from collections.abc import Container, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from frdiff_tune.errors import LimitError, StudyError
from frdiff_tune.search.aim import loss
from frdiff_tune.search.cost_figure import COSTS, better
from frdiff_tune.search.objective import OBJECTIVES, non_dominated
from frdiff_tune.search.pareto import Front, Point

CLOSE = 1e-4
"""LPIPS, and every other figure but decibels, below which a compromise asks for no more: 8-bit pictures hardly differ there."""


@dataclass(frozen=True, slots=True)
class Pick:
    """What is wanted of a front.

    Arguments:
        max_lpips: The fastest whose mean LPIPS is at most this.
        max_latency_ms: The finest whose latency is at most this, in milliseconds.
        trial: The trial of that number.
    """

    max_lpips: float | None = None
    max_latency_ms: float | None = None
    trial: int | None = None

    @classmethod
    def parse(cls, text: str) -> "Pick":
        """Returns what ``trial:N`` or ``knee`` asks for.

        Raises:
            StudyError: If it is neither.
        """
        if text == "knee":
            return cls()
        if text.startswith("trial:") and text[6:].isdecimal():
            return cls(trial=int(text[6:]))
        raise StudyError(f"`pick` must be knee or trial:N but got {text!r}. `frdiff-tune front` lists the trials.")


def pick(found: Front, wanted: Pick | None = None, among: Container[int] | None = None) -> Point:
    """Returns the point that is wanted: by number, by limits, else the knee of the front.

    With a bound on LPIPS it is the fastest that keeps all bounds, with one on latency alone the finest. Points that break
    the study's own limits are left out, unless named by number. The knee is that of the points whose intervals keep these
    limits, if there are any: another would seldom keep them on held-out cases.

    Arguments:
        found: What a study has measured.
        wanted: What to look for; None: the knee.
        among: Numbers of the trials of which it must be one, whose knee is that of the whole front; None: all.

    Raises:
        StudyError: If there is no trial of that number.
        LimitError: If no point keeps the limits.
    """
    wanted = wanted or Pick()
    if wanted.trial is not None:
        return _numbered(found, wanted.trial)
    able = [point for point in found.points if among is None or point.trial.number in among]
    allowed = [point for point in found.points if point.within_limits]
    if not any(point.within_limits for point in able):
        closest = min(found.points, key=lambda point: point.trial.lpips.value)
        raise LimitError(
            f"The study's limits must leave a point but none of {len(found.points)} trials keeps them; the finest, trial "
            f"{closest.trial.number}, has LPIPS {closest.trial.lpips.value:.4g}. Loosen `search.limits`."
        )
    if wanted.max_lpips is None and wanted.max_latency_ms is None:
        surely = any(point.within_limits and point.surely for point in able)
        return knee([point for point in allowed if point.surely or not surely], found.objectives, among)
    return _limited([point for point in able if point.within_limits], wanted)


def _numbered(found: Front, number: int) -> Point:
    for point in found.points:
        if point.trial.number == number:
            return point
    raise StudyError(
        f"`pick` must name a finished trial but got {number}. They are numbered "
        f"{found.points[0].trial.number} to {found.points[-1].trial.number}; `frdiff-tune front` lists the best."
    )


def _limited(points: Sequence[Point], wanted: Pick) -> Point:
    lpips = float("inf") if wanted.max_lpips is None else wanted.max_lpips
    latency = float("inf") if wanted.max_latency_ms is None else wanted.max_latency_ms
    close = [point for point in points if point.trial.lpips.value <= lpips]
    if not close:
        best = min(point.trial.lpips.value for point in points)
        raise LimitError(
            f"`max_lpips` must be at least {best:.4g}, the smallest LPIPS that was measured within the study's limits, "
            f"but got {lpips:g}. Loosen it by {best - lpips:.4g}, or search longer."
        )
    kept = [point for point in close if point.trial.latency_ms.value <= latency]
    if not kept:
        best = min(point.trial.latency_ms.value for point in close)
        raise LimitError(
            f"`max_latency_ms` must be at least {best:.4g}, the least that was measured"
            f"{f' with LPIPS up to {lpips:g}' if wanted.max_lpips is not None else ''}, but got {latency:g}. "
            f"Loosen it by {best - latency:.4g} ms, or search longer."
        )
    if wanted.max_lpips is not None:
        return min(kept, key=lambda point: (point.trial.latency_ms.value, point.trial.lpips.value))
    return min(kept, key=lambda point: (point.trial.lpips.value, point.trial.latency_ms.value))


def knee(
    points: Sequence[Point], objectives: Sequence[str] = OBJECTIVES, among: Container[int] | None = None
) -> Point:
    """Returns the point of their front that is farthest below the chord, or plane, through the best of each objective.

    Every objective is scaled to its own range on the front; distances from the reference count in decades, down to ``CLOSE``.
    Where there is one objective, it is the best point; where the front has no range in one of them, or two points, the fastest.

    Arguments:
        points: At least one point.
        objectives: Names of figures.
        among: Numbers of the trials of which it must be one, of at least one of the points; None: all.
    """
    by_number = {point.trial.number: point for point in points}
    ordered = [by_number[outcome.number] for outcome in non_dominated([point.trial for point in points], objectives)]
    places = np.array([_place(point, objectives) for point in ordered])
    able = ordered if among is None else [point for point in points if point.trial.number in among]
    reach = np.ptp(places, axis=0)
    if len(places) < 3 or not reach.all():
        return able[0]
    return min(able, key=lambda point: float(((_place(point, objectives) - places.min(0)) / reach).sum()))


def _place(point: Point, objectives: Sequence[str]) -> NDArray[np.float64]:
    return np.array([_scaled(name, point.trial.figure(name).value) for name in objectives])


def _scaled(name: str, value: float) -> float:
    """Returns an objective on the scale on which it counts, lower values better."""
    if name in COSTS:
        return value if better(name) == "lower" else -value
    return loss(name, value, CLOSE)
