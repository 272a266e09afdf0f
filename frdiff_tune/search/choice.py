"""Which point of a front is wanted: by a limit, by number, or the knee."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot, log10

from frdiff_tune.errors import LimitError, StudyError
from frdiff_tune.search.pareto import Front, Point
from frdiff_tune.search.volume import FLOOR


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


def pick(found: Front, wanted: Pick | None = None) -> Point:
    """Returns the point that is wanted: by number, by limits, else the knee of the front.

    With a bound on LPIPS it is the fastest that keeps all bounds, with one on latency alone the finest. Points that break
    the study's own limits are left out, unless named by number. The knee is that of the points whose intervals keep these
    limits, if there are any: another would seldom keep them on held-out cases.

    Arguments:
        found: What a study has measured.
        wanted: What to look for; None: the knee.

    Raises:
        StudyError: If there is no trial of that number.
        LimitError: If no point keeps the limits.
    """
    wanted = wanted or Pick()
    if wanted.trial is not None:
        return _numbered(found, wanted.trial)
    allowed = [point for point in found.points if point.within_limits]
    if not allowed:
        closest = min(found.points, key=lambda point: point.trial.lpips.value)
        raise LimitError(
            f"The study's limits must leave a point but none of {len(found.points)} trials keeps them; the finest, trial "
            f"{closest.trial.number}, has LPIPS {closest.trial.lpips.value:.4g}. Loosen `search.limits`."
        )
    if wanted.max_lpips is None and wanted.max_latency_ms is None:
        return knee([point for point in allowed if point.surely] or allowed)
    return _limited(allowed, wanted)


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


def knee(points: Sequence[Point]) -> Point:
    """Returns the point of their front that is farthest below the chord from its fastest to its finest point.

    Latency and log10 LPIPS are scaled to the chord's own length in each; a front of one or two points has no knee, and
    then it is the fastest.

    Arguments:
        points: At least one point.
    """
    from frdiff_tune.search.pareto import non_dominated

    by_number = {point.trial.number: point for point in points}
    ordered = [by_number[outcome.number] for outcome in non_dominated([point.trial for point in points])]
    places = [(point.trial.latency_ms.value, log10(max(point.trial.lpips.value, FLOOR))) for point in ordered]
    (x0, y0), (x1, y1) = places[0], places[-1]
    if len(places) < 3 or x1 == x0 or y1 == y0:
        return ordered[0]
    below = [1 - (x - x0) / (x1 - x0) - (y - y1) / (y0 - y1) for x, y in places]
    return ordered[max(range(len(below)), key=lambda i: below[i] / hypot(1, 1))]
