"""How a study's front grew: how much of the plane it held after every trial, and how long trials had run until then."""

from collections.abc import Iterator
from dataclasses import dataclass

from optuna.trial import FrozenTrial, TrialState

from frdiff_tune.search import storage
from frdiff_tune.search.objective import non_dominated
from frdiff_tune.search.outcome import TrialOutcome, infeasible, stopped
from frdiff_tune.search.pareto import Front, front
from frdiff_tune.search.study import Study


@dataclass(frozen=True, slots=True)
class Grown:
    """What a search had after a trial.

    Arguments:
        number: The trial's.
        evaluations: Trials that were measured until then, this one counted; those that were stopped early, too.
        seconds: What they took together; pauses between runs are left out.
        volume: Hypervolume of all that was measured in full until then, in (log10 LPIPS, latency over the reference's).
        known: That of the known policies among it.
        outcome: What was measured, or None of a trial that was stopped early or could not be measured.
        on_front: Whether it was on the front when it was measured.
    """

    number: int
    evaluations: int
    seconds: float
    volume: float
    known: float
    outcome: TrialOutcome | None
    on_front: bool


def history(study: Study) -> tuple[Grown, ...]:
    """Returns how the front grew, a record per measured trial in the order of their ends.

    Raises:
        StudyError: If nothing was measured yet.
    """
    shown = front(study)
    opened = storage.find_study(study, storage.open_storage(study.file.search.storage, create=False))
    ended = [trial for trial in opened.get_trials(deepcopy=False) if _measured(trial)]
    return tuple(_grown(sorted(ended, key=_end), shown))


def _measured(trial: FrozenTrial) -> bool:
    return "duplicate_of" not in trial.user_attrs and (
        trial.state == TrialState.COMPLETE or stopped(trial) or infeasible(trial)
    )


def _end(trial: FrozenTrial) -> float:
    assert trial.datetime_complete is not None, "it has ended"
    return trial.datetime_complete.timestamp()


def _grown(ended: list[FrozenTrial], shown: Front) -> Iterator[Grown]:
    whole, best = list[TrialOutcome](), list[TrialOutcome]()
    seconds = 0.0
    for evaluations, trial in enumerate(ended, start=1):
        seconds += trial.duration.total_seconds() if trial.duration else 0.0
        outcome = TrialOutcome.read(trial) if trial.state == TrialState.COMPLETE else None
        if outcome is not None:
            whole.append(outcome)
            best = non_dominated([*best, outcome], shown.objectives)
        volume, known = (shown.volume_of(each) for each in (whole, [one for one in whole if one.known]))
        yield Grown(trial.number, evaluations, seconds, volume, known, outcome, outcome in best)
