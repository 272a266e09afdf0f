"""What was found, in words: the front as a table, what it gains over the known policies, and what to type next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from math import log
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from frdiff_tune.report.points import FLOOR, KNOWN, REFERENCE, Point, points_of

if TYPE_CHECKING:
    from rich.table import Table

    from frdiff_tune.policy import Floor
    from frdiff_tune.search import Front, TrialFailure, TrialStopped

Each = TypeVar("Each")
FLIP = 0.05  # LPIPS where compositions have changed: a gain beyond it is none, unless the study allows more
ROWS = 12  # of a front while it grows; the rest is counted


def on_front(points: Sequence[Point]) -> list[Point]:
    """Returns the front's points, the fastest first."""
    return sorted((point for point in points if point.on_front), key=lambda point: (point.latency_ms, point.lpips))


def thinned(points: Sequence[Each], count: int = ROWS) -> list[Each]:
    """Returns at most ``count`` points, evenly spread, both ends among them."""
    if len(points) <= count:
        return list(points)
    return [points[round(i * (len(points) - 1) / (count - 1))] for i in range(count)]


def front_table(points: Sequence[Point], reference_ms: float, *, count: int | None = None, words: bool = True) -> Table:
    """Returns the front as a table, the fastest first.

    Arguments:
        points: The study's points.
        reference_ms: Wall time of one unaccelerated call, in milliseconds.
        count: Rows at most; None: all.
        words: Whether each policy is described.
    """
    from rich.table import Table

    best = on_front(points)
    further = list(best[0].figures) if best else []
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("trial", "latency ms", "speed-up", "LPIPS", *further, "calls"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("found by", no_wrap=True)
    if words:
        table.add_column("policy", overflow="fold")
    for point in thinned(best, count) if count else best:
        cells = [str(point.number), f"{point.latency_ms:,.0f}", f"{reference_ms / point.latency_ms:.2f}x"]
        cells += [digits(point.lpips), *(_short(point.figures[name]) for name in further), str(point.nfe), point.family]
        table.add_row(*cells, *([point.label] if words else []))
    return table


def digits(lpips: float) -> str:
    """Returns an LPIPS with the digits that mean something: two, but none below 0.00001."""
    return "0" if lpips < 5e-6 else f"{float(f'{lpips:.2g}'):.5f}".rstrip("0")


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def study_sentences(everything: Front) -> Iterator[str]:
    """Yields what a study found, one sentence each: what became of its trials, the gain, and its floor."""
    yield from found(
        points_of(everything),
        everything.reference.median_ms,
        everything.failures,
        everything.stopped,
        flip=everything.flip,
        least=everything.min_lpips,
    )
    yield floor_sentence(everything.floor, everything.floor_absence, everything.flip)


def floor_sentence(floor: Floor | None, absence: str, flip: float = FLIP) -> str:
    """Returns how far the reference is from its own limit, or why that is not known.

    Arguments:
        floor: LPIPS of the reference against four times its steps.
        absence: Why there is no floor.
        flip: The greatest LPIPS that counts in the study.
    """
    if floor is None:
        return f"No floor: {absence}. An LPIPS below 0.0001 counts as 0.0001 in a choice."
    where = f"LPIPS {digits(floor.value)} (95 %: {digits(floor.low)} to {digits(floor.high)}) on {floor.count} search cases"
    if floor.value >= flip:
        return f"Floor: four times the reference's steps change its pictures by {where}; the study asks for less than that."
    return f"Floor: four times the reference's steps change its pictures by {where}; to be closer is not worth time."


def found(
    points: Sequence[Point],
    reference_ms: float,
    failures: Sequence[TrialFailure] = (),
    stopped: Sequence[TrialStopped] = (),
    *,
    flip: float = FLIP,
    least: float = FLOOR,
) -> Iterator[str]:
    """Yields what a study found, one sentence each, honest either way about the known policies.

    Arguments:
        points: The study's points.
        reference_ms: Wall time of one unaccelerated call, in milliseconds.
        failures: What could not be measured.
        stopped: What was stopped early.
        flip: LPIPS beyond which a gain is none.
        least: LPIPS below which nothing is closer.
    """
    best = on_front(points)
    own = [point for point in best if not point.known]
    useful = [point for point in own if point.within_limits and point.lpips <= flip]
    yield f"{len(points)} policies measured; {len(best)} are on the front, {len(own)} of them no known policy."
    if stopped:
        drawn, wanted = sum(each.count for each in stopped), sum(each.of for each in stopped)
        yield (
            f"{len(stopped)} more were stopped early, after {drawn} of {wanted} pictures: a policy of the front is no slower "
            f"and surely closer to the reference."
        )
    if failures:
        yield _failed(failures)
    rivals = [(point, _rival(point, points, least)) for point in useful]
    gains = [(rival.latency_ms / point.latency_ms, point, rival) for point, rival in rivals if rival]
    gain, point, rival = max(gains, key=itemgetter(0), default=(0.0, None, None))
    if point and rival and gain > 1:
        yield (
            f"Largest gain: trial {point.number} takes {point.latency_ms:,.0f} ms at LPIPS {digits(point.lpips)}, "
            f"{reference_ms / point.latency_ms:.2f}x faster than the reference; {rival.words}: {gain:.2f}x."
        )
        return
    alone = [point for point, rival in rivals if rival is None and reference_ms > point.latency_ms]
    if alone:
        point = min(alone, key=lambda each: each.latency_ms)
        yield (
            f"No known policy that was measured comes as close as trial {point.number}: LPIPS {digits(point.lpips)} in "
            f"{point.latency_ms:,.0f} ms, {reference_ms / point.latency_ms:.2f}x faster than the reference."
        )
    else:
        yield "Nothing beats the known policies yet; more trials may."


def _failed(failures: Sequence[TrialFailure]) -> str:
    """Returns how many policies could not be measured, and why."""
    from frdiff_tune.measure import REASONS

    counts = Counter(failure.reason for failure in failures)
    why = ", ".join(f"{count} {REASONS[reason]}" for reason, count in counts.most_common())
    example = failures[0]
    return f"{len(failures)} could not be measured: {why}. Trial {example.number}: {example.message}"


class _Rival(NamedTuple):
    """How long known policies take that come as close as a point."""

    latency_ms: float
    words: str


def _rival(point: Point, points: Sequence[Point], least: float) -> _Rival | None:
    """Returns how long known policies take at a point's LPIPS, read off between those next to it; None: none comes as close.

    Between two known policies stands what lies between them, linear in time and log LPIPS: else one that misses the same
    LPIPS by a hair would count for nothing, and the next slower one in its place. What is below ``least`` is equally close.
    """
    known = sorted((each for each in points if each.known and each.family != REFERENCE), key=lambda each: each.latency_ms)
    finer = next((each for each in known if each.lpips <= max(point.lpips, least)), None)
    if finer is None:
        return None
    faster = [each for each in known if each.latency_ms < finer.latency_ms]
    first = f"trial {finer.number} ({finer.family.removeprefix(KNOWN)})"
    if not faster:
        words = f"the fastest known policy that comes as close, {first}, takes {finer.latency_ms:,.0f} ms"
        return _Rival(finer.latency_ms, words)
    coarser = min(faster, key=lambda each: each.lpips)
    low, here, high = (log(max(each.lpips, least)) for each in (finer, point, coarser))
    share = (here - low) / (high - low) if high > low else 0.0
    time = finer.latency_ms + share * (coarser.latency_ms - finer.latency_ms)
    second = f"trial {coarser.number} ({coarser.family.removeprefix(KNOWN)})"
    return _Rival(time, f"known policies that come as close, read off between {first} and {second}, take {time:,.0f} ms")


def apply_lines(path: Path, argument: str, capture: str = "eager") -> tuple[str, str, str]:
    """Returns the three lines of Python that apply a policy.

    Arguments:
        path: The policy file.
        argument: What stands between the parentheses of the call, as Python: a prompt in quotes, or classes in a list.
        capture: How the network was launched when the policy was measured.
    """
    how = "" if capture == "eager" else f", capture={capture!r}"
    return (
        "from frdiff_tune import apply_policy",
        f"applied = apply_policy(pipe, {path.as_posix()!r}{how})",
        f"image = applied({argument}).images[0]",
    )


def next_commands(study: str) -> Iterator[tuple[str, str]]:
    """Yields commands to type after a search, each with what it does."""
    yield f"frdiff-tune report {study} -o report", "a page with the front, schedules and pictures, explained"
    yield f"frdiff-tune dashboard {study}", "every trial in the browser"
    yield f"frdiff-tune export {study} -o policy.json", "the fastest within the floor, measured again on held-out prompts"
    yield f"frdiff-tune export {study} --pick knee -o policy.json", "the best compromise between time and likeness"
    yield f"frdiff-tune export {study} --max-lpips 0.01 -o policy.json", "the fastest that stays under a limit"
    yield f"frdiff-tune tune {study} --trials 200", "search on"


def front_json(
    points: Sequence[Point],
    reference_ms: float,
    failures: Sequence[TrialFailure] = (),
    stopped: Sequence[TrialStopped] = (),
    floor: Floor | None = None,
) -> dict[str, Any]:
    """Returns the front under keys that name their units."""
    return {
        "reference_latency_ms": reference_ms,
        "floor": None if floor is None else floor.model_dump(mode="json"),
        "measured": len(points),
        "infeasible": [{"trial": each.number, "reason": each.reason, "message": each.message} for each in failures],
        "stopped": [{"trial": each.number, "beaten_by": each.beaten_by, "pictures": each.count} for each in stopped],
        "front": [
            {
                "trial": point.number,
                "latency_ms": point.latency_ms,
                "speedup": reference_ms / point.latency_ms,
                "lpips": point.lpips,
                **point.figures,
                "nfe": point.nfe,
                "found_by": point.family,
                "description": point.label,
            }
            for point in on_front(points)
        ],
    }
