"""Races within a study: who is stopped early, and that no front changes by it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState, create_trial

from frdiff_tune.measure import Failure, Measurement
from frdiff_tune.policy import Policy
from frdiff_tune.runtime import Capture
from frdiff_tune.search import Preparing, Study, TrialOutcome, TrialStopped, front, search_cases, storage, tune
from frdiff_tune.search.ledger import Ledger
from frdiff_tune.search.outcome import FORESEEN, stopped
from tests.search.recorded import Recorded, damage, study_at
from tests.search.test_tuning import optuna_study
from tests.tiny import tiny_dit

MEAN = 1.35  # of 1, 1.1, ..., 1.7, by which the eight cases of a block differ


@pytest.fixture(scope="module")
def pipe() -> Any:
    return tiny_dit("v_prediction")


def racing(folder: Path, race: float, limits: tuple[str, ...] = ()) -> Study:
    """Returns a study of two blocks of eight cases, which random draws search."""
    study = study_at(folder, "demo-dit", trials=40, sampler="random", limits=limits, race=race)
    classes = folder / "classes.txt"
    classes.write_text("".join(f"{i % 3}\n" for i in range(16)))
    cases = study.file.cases.model_copy(update={"search": str(classes), "search_count": 16})
    return replace(study, file=study.file.model_copy(update={"cases": cases}))


def test_what_the_front_surely_beats_is_stopped_and_changes_no_front(tmp_path: Path, pipe: Any) -> None:
    study = racing(tmp_path, 0.05)
    evaluator = Recorded(search_cases(study, pipe), size=8)
    events = [event for event in tune(study, pipe=pipe, evaluator=evaluator) if not isinstance(event, Preparing)]
    stopped = [event for event in events if isinstance(event, TrialStopped)]
    whole = {event.number: event for event in events if isinstance(event, TrialOutcome)}
    assert len(events) == 40 and 5 < len(stopped) < 35, "they count"
    assert not any(each.family.startswith("known: ") for each in stopped)
    for each in stopped:
        own, winner = front_policy(study, each.digest), whole[each.beaten_by]
        assert MEAN * damage(own) > winner.lpips.value and 5 + 2.0 * own.nfe >= winner.latency_ms.value
        assert [b for digest, b in evaluator.measured if digest == each.digest] == [0] and (each.count, each.of) == (8, 16)
        assert str(each) == f"stopped after 8 of 16 pictures, trial {winner.number} is no slower and surely closer"
    found = front(study)
    assert found.stopped == tuple(stopped) and len(found.points) == len(whole)
    assert [trial.state.name for trial in optuna_study(study).trials].count("PRUNED") == len(stopped)

    (tmp_path / "patient").mkdir()
    patient = racing(tmp_path / "patient", 0.0)
    list(tune(patient, pipe=pipe, evaluator=Recorded(search_cases(patient, pipe), size=8)))
    assert not front(patient).stopped and len(front(patient).points) == 40
    assert [point.trial.digest for point in front(patient).best] == [point.trial.digest for point in found.best]


def test_who_breaks_a_limit_beats_nobody(tmp_path: Path, pipe: Any) -> None:
    """Every second policy, by its digest, stores a MiB, which half a MiB forbids."""

    class Storing(Recorded):
        def __call__(self, policy: Policy, first: int = 0, capture: Capture = "eager") -> Iterator[Measurement | Failure]:
            for block in super().__call__(policy, first, capture):
                assert isinstance(block, Measurement)
                yield replace(block, cache_bytes=2**20 * (int(policy.digest[0], 16) % 2))

    study = racing(tmp_path, 0.05, limits=("cache_mib <= 0.5",))
    run = tune(study, pipe=pipe, evaluator=Storing(search_cases(study, pipe), size=8))
    stopped = [event for event in run if isinstance(event, TrialStopped)]
    within = {point.trial.number: point.within_limits for point in front(study).points}
    assert stopped and all(within[each.beaten_by] for each in stopped) and not all(within.values())


def test_costs_may_be_limits(tmp_path: Path, pipe: Any) -> None:
    limits = ("speedup >= 2", "latency_ms <= 60", "cache_mib <= 0.0015")
    study = study_at(tmp_path, "demo-dit", trials=8, limits=limits, sampler="random")
    evaluator = Recorded(search_cases(study, pipe))
    list(tune(study, pipe=pipe, evaluator=evaluator))
    for trial, point in zip(optuna_study(study).trials, front(study).points, strict=True):
        ms, stored = point.trial.latency_ms.value, 1000 * len(point.policy.masks)
        excess = {"speedup >= 2": 2 - 105 / ms, "latency_ms <= 60": ms - 60, "cache_mib <= 0.0015": stored / 2**20 - 0.0015}
        assert trial.constraints == pytest.approx(excess)
        assert point.within_limits == all(each <= 0 for each in excess.values())
    assert len({point.within_limits for point in front(study).points}) == 2


def test_a_race_may_be_changed_when_a_study_goes_on(tmp_path: Path, pipe: Any) -> None:
    assert racing(tmp_path, 0.0).definition == racing(tmp_path, 0.05).definition


def front_policy(study: Study, digest: str) -> Policy:
    """Returns the policy of a digest, as the study keeps it."""
    policy = Ledger(storage.open_storage(study.file.search.storage).engine).policy(digest)
    assert policy is not None
    return policy


def test_a_trial_that_an_earlier_version_pruned_before_it_started_is_not_shown() -> None:
    attributes: tuple[dict[str, Any], ...] = {FORESEEN: {"beaten_by": 0}}, {}
    pruned = [create_trial(state=TrialState.PRUNED, user_attrs=dict(own)) for own in attributes]
    assert [stopped(trial) for trial in pruned] == [False, True]
