"""The front: what a study has found, and how much of the plane it holds."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from optuna.trial import TrialState

from frdiff_tune.errors import StudyError
from frdiff_tune.policy import Floor, Latency, Machine, Policy
from frdiff_tune.search import storage
from frdiff_tune.search.floor import floor_absence, floor_of
from frdiff_tune.search.ledger import Ledger
from frdiff_tune.search.limit import Limit
from frdiff_tune.search.objective import OBJECTIVES, non_dominated
from frdiff_tune.search.outcome import TrialFailure, TrialOutcome, TrialStopped, distinct, infeasible, stopped
from frdiff_tune.search.study import Study
from frdiff_tune.search.volume import hypervolume, min_lpips, reference_point


@dataclass(frozen=True, slots=True)
class Point:
    """A finished trial with its policy.

    Arguments:
        trial: What was measured.
        policy: What was tried.
        on_front: Whether no other trial is both faster and closer to the reference.
        within_limits: Whether it keeps the study's limits, as measured in the search.
        surely: Whether the worse ends of its figures' intervals keep them as well.
    """

    trial: TrialOutcome
    policy: Policy
    on_front: bool
    within_limits: bool
    surely: bool = True


@dataclass(frozen=True, slots=True)
class Front:
    """All that a study has measured.

    Arguments:
        points: The finished trials in their order, each policy once.
        reference: Latency of the reference.
        failures: Trials whose policies could not be measured, each policy once.
        stopped: Trials that were stopped early because another one surely beats them, each policy once.
        objectives: What the front is of.
        machine: Where it was measured, however the network was launched; None if that is not known.
        limits: The study's limits.
        floor: Mean LPIPS of the reference against four times its steps, on search cases; None where it is not known.
        floor_absence: Why there is no floor.
    """

    points: tuple[Point, ...]
    reference: Latency
    failures: tuple[TrialFailure, ...] = ()
    stopped: tuple[TrialStopped, ...] = ()
    objectives: tuple[str, ...] = OBJECTIVES
    machine: Machine | None = None
    limits: tuple[Limit, ...] = ()
    floor: Floor | None = None
    floor_absence: str = ""

    @property
    def best(self) -> tuple[Point, ...]:
        """The points that no other dominates, fastest first."""
        return tuple(sorted((point for point in self.points if point.on_front), key=lambda p: p.trial.latency_ms.value))

    @property
    def known(self) -> tuple[Point, ...]:
        """The policies that people use today."""
        return tuple(point for point in self.points if point.trial.known)

    def volume(self, points: Iterable[Point]) -> float:
        """Returns the hypervolume of some points."""
        return self.volume_of(point.trial for point in points)

    def volume_of(self, outcomes: Iterable[TrialOutcome]) -> float:
        """Returns the hypervolume of some trials."""
        places = [(trial.lpips.value, trial.latency_ms.value / self.reference.median_ms) for trial in outcomes]
        return hypervolume(places, reference_point(self.limits), self.min_lpips)

    @property
    def flip(self) -> float:
        """Mean LPIPS from which on a policy's pictures are too far off to count."""
        return reference_point(self.limits)[0]

    @property
    def min_lpips(self) -> float:
        """Mean LPIPS below which nothing is closer."""
        return min_lpips(None if self.floor is None else self.floor.value, self.limits)


def front(study: Study) -> Front:
    """Returns what a study has found so far; it may still be running.

    Raises:
        StudyError: If nothing of it was measured yet.
    """
    opened = storage.open_storage(study.file.search.storage, create=False)
    found = storage.find_study(study, opened)
    finished = found.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    outcomes = [TrialOutcome.read(trial) for trial in distinct(finished)]
    ledger = Ledger(opened.engine)
    best = {outcome.number for outcome in non_dominated(_rivals(study, outcomes), study.file.search.objectives)}
    reference = found.user_attrs.get("frdiff:reference_latency")
    if not outcomes or reference is None:
        raise StudyError(
            f"`{study.path}` must have a finished trial but has none. Run `frdiff-tune tune {study.path}` first."
        )
    beaten = [trial for trial in found.get_trials(deepcopy=False, states=(TrialState.PRUNED,)) if stopped(trial)]
    failed = [trial for trial in found.get_trials(deepcopy=False, states=(TrialState.FAIL,)) if infeasible(trial)]
    return Front(
        objectives=study.file.search.objectives,
        machine=_machine(found.user_attrs.get(storage.DEFINITION, {})),
        failures=tuple(TrialFailure.read(trial) for trial in distinct(failed)),
        stopped=tuple(TrialStopped.read(trial) for trial in distinct(beaten)),
        points=tuple(_point(study, outcome, ledger, outcome.number in best) for outcome in outcomes),
        reference=Latency.model_validate({**reference, "samples_ms": tuple(reference["samples_ms"] or ()) or None}),
        limits=study.limits,
        floor=floor_of(found.user_attrs),
        floor_absence=floor_absence(found.user_attrs),
    )


def _machine(definition: Mapping[str, Any]) -> Machine | None:
    """Returns the machine that a study's definition names."""
    named = {key.removeprefix("machine."): value for key, value in definition.items() if key.startswith("machine.")}
    return Machine.model_validate(named, strict=False) if named else None


def _rivals(study: Study, outcomes: list[TrialOutcome]) -> list[TrialOutcome]:
    """Returns those among which the best are found: with one objective, those that keep the limits, if any do."""
    limits = study.limits if len(study.file.search.objectives) == 1 else ()
    return [o for o in outcomes if all(limit.excess(o.figure(limit.name).value) <= 0 for limit in limits)] or outcomes


def _point(study: Study, outcome: TrialOutcome, ledger: Ledger, on_front: bool) -> Point:
    policy = ledger.policy(outcome.digest)
    assert policy is not None, "a policy is kept before it is measured"
    within, surely = kept_limits(study, outcome)
    return Point(trial=outcome, policy=policy, on_front=on_front, within_limits=within, surely=surely)


def kept_limits(study: Study, outcome: TrialOutcome) -> tuple[bool, bool]:
    """Returns whether a trial keeps the study's limits, and whether the worse ends of its intervals do."""
    figures = [(limit, outcome.figure(limit.name)) for limit in study.limits]
    within = all(limit.excess(figure.value) <= 0 for limit, figure in figures)
    return within, all(limit.excess(limit.worst(figure)) <= 0 for limit, figure in figures)
