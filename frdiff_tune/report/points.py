"""What a figure or a table of a study shows: measured points, ready to draw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import floor, log10
from typing import TYPE_CHECKING

from frdiff_tune.report.words import describe, launched, solver

if TYPE_CHECKING:
    from frdiff_tune.policy import Policy
    from frdiff_tune.search import Front, TrialOutcome

SEARCHED = "searched"
REFERENCE = "known: full"
FEWER = "known: fewer steps"
KNOWN = "known: "
SHOWN = ("latency_ms", "speedup", "lpips")  # objectives that every point has
FLOOR = 1e-5  # smaller LPIPS are rounding; an axis that went on would squeeze what matters
CLEARANCE = 0.15  # decades that the smallest LPIPS stays above the floor line


@dataclass(frozen=True, slots=True)
class Point:
    """One measured policy in the plane of the two objectives.

    Arguments:
        number: The study's trial number.
        family: ``known: ...`` for policies that people use today, ``starting: ...`` for other starting points, else
            ``SEARCHED``.
        label: The policy in words.
        latency_ms: Median wall time of one pipeline call, in milliseconds.
        lpips: Mean LPIPS against the reference's pictures, 0 where they are equal.
        nfe: Steps of one picture that call the network.
        on_front: Whether no other point is both faster and closer to the reference.
        within_limits: Whether it keeps the study's limits.
        figures: Further objectives of the study, by name.
        latency_ends: Ends of the latency's 95 % interval, in milliseconds; None where it is not known.
        lpips_ends: Ends of the LPIPS's.
        reuses: Whether some of the network calls reuse features of layers, and so cost less than a full one.
    """

    number: int
    family: str
    label: str
    latency_ms: float
    lpips: float
    nfe: int
    on_front: bool = False
    within_limits: bool = True
    figures: Mapping[str, float] = field(default_factory=dict)
    latency_ends: tuple[float, float] | None = None
    lpips_ends: tuple[float, float] | None = None
    reuses: bool = False

    @property
    def known(self) -> bool:
        """Whether it is a policy that people use today, the reference among them."""
        return self.family.startswith(KNOWN)


def points_of(found: Front) -> tuple[Point, ...]:
    """Returns what a study has measured, each policy once, described in words.

    A proposal of the sampler that turns out to be nothing but fewer steps counts as that known policy.
    """
    further = [name for name in found.objectives if name not in SHOWN]
    return tuple(
        replace(
            point_of(point.trial, point.on_front, describe(point.policy) + launched(point.trial.capture)),
            family=true_family(family_of(point.trial), point.policy),
            within_limits=point.within_limits,
            reuses=bool(point.policy.masks),
            figures={name: point.trial.figure(name).value for name in further},
        )
        for point in found.points
    )


def true_family(family: str, policy: Policy) -> str:
    """Returns the family, or that of fewer steps for a policy that neither reuses, mixes nor jumps, nor has fitted weights."""
    plain = policy.sampling.grid is None and not policy.masks and all(lam == 1 for lam in policy.mixing)
    return f"{FEWER}, {solver(policy.sampling.scheduler.name)}" if plain and family != REFERENCE else family


def points_so_far(
    outcomes: Sequence[TrialOutcome], objectives: Sequence[str] = ("latency_ms", "lpips")
) -> tuple[Point, ...]:
    """Returns finished trials while a search runs, each policy once, without words.

    Arguments:
        outcomes: What was measured.
        objectives: What the front is of.
    """
    from frdiff_tune.search.objective import non_dominated

    first = [outcome for outcome in outcomes if outcome.duplicate_of is None]
    best = {outcome.number for outcome in non_dominated(first, objectives)}
    return tuple(point_of(outcome, outcome.number in best) for outcome in first)


def point_of(outcome: TrialOutcome, on_front: bool, label: str = "") -> Point:
    """Returns one trial as a point."""
    return Point(
        number=outcome.number,
        family=family_of(outcome),
        label=label,
        latency_ms=outcome.latency_ms.value,
        lpips=outcome.lpips.value,
        nfe=outcome.nfe,
        on_front=on_front,
        latency_ends=(outcome.latency_ms.low, outcome.latency_ms.high),
        lpips_ends=(outcome.lpips.low, outcome.lpips.high),
    )


def family_of(outcome: TrialOutcome) -> str:
    """Returns the family of a trial; fewer steps go by their solver."""
    name = str(outcome.params.get("scheduler", "")).partition("/")[0]
    return f"{FEWER}, {solver(name)}" if outcome.family == FEWER and name else outcome.family


def floor_of(points: Sequence[Point]) -> float:
    """Returns where a log axis puts an LPIPS of 0: the decade below the smallest above ``FLOOR``."""
    least = min((point.lpips for point in points if point.lpips > FLOOR), default=1e-3)
    return max(float(10.0 ** floor(log10(least) - CLEARANCE)), FLOOR)


def families(points: Sequence[Point]) -> tuple[str, ...]:
    """Returns the families of starting points without the reference, known ones first, by their first trial."""
    ordered = sorted((point for point in points if point.family not in (SEARCHED, REFERENCE)), key=_turn)
    return tuple(dict.fromkeys(point.family for point in ordered))


def _turn(point: Point) -> tuple[bool, int]:
    return not point.known, point.number
