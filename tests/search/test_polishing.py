"""Polishing: who is polished, what becomes of it, and that a broken-off one is measured by the next run."""

from pathlib import Path
from typing import Any

import pytest

from frdiff_tune.errors import StudyError
from frdiff_tune.search import Polishing, TrialOutcome, front, polish
from frdiff_tune.search.descent import descendable
from frdiff_tune.search.ledger import Ledger
from frdiff_tune.search.outcome import POLISHED, POLISHED_FROM
from frdiff_tune.search.storage import open_storage
from frdiff_tune.search.study import Study
from tests.databases import copied
from tests.search.recorded import recorded
from tests.search.test_record import finite
from tests.search.test_tuning import optuna_study, outcomes
from tests.tiny import tiny_dit


@pytest.fixture(scope="module")
def pipe() -> Any:
    return tiny_dit("v_prediction")


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory, pipe: Any) -> Path:
    """Returns the database of a study of six steps of which most of the nineteen policies are measured, by a formula."""
    folder = tmp_path_factory.mktemp("measured")
    outcomes(finite(folder), pipe, trials=16)
    return folder / "study.db"


@pytest.fixture
def study(tmp_path: Path, measured: Path) -> Study:
    """Returns that study with a database of its own."""
    copied(measured, tmp_path / "study.db")
    return finite(tmp_path)


def test_a_polished_policy_is_a_trial_of_its_own(study: Study, pipe: Any) -> None:
    before = front(study)
    events = list(polish(study, count=2, steps=5, rate=0.05, pipe=pipe, evaluator=recorded(study, pipe)))
    steps = [event for event in events if isinstance(event, Polishing)]
    new = [event for event in events if isinstance(event, TrialOutcome)]
    chosen = list(dict.fromkeys(step.trial for step in steps))
    assert len(chosen) == len(new) == 2 and len(steps) == 12
    by_number = {point.trial.number: point for point in front(study).points}
    for number, outcome in zip(chosen, new, strict=True):
        own, policy = by_number[number].policy, by_number[outcome.number].policy
        assert descendable(own) and outcome.family == POLISHED and outcome.duplicate_of is None
        assert policy.digest != own.digest and policy.keyframes == own.keyframes and policy.mixing == own.mixing
        assert policy.forecast["score"] != own.forecast.get("score")
        losses = [step.loss for step in steps if step.trial == number]
        assert min(losses) < losses[0] == steps[0 if number == chosen[0] else 6].first
    assert len(front(study).points) == len(before.points) + 2
    later = polish(study, count=2, steps=1, pipe=pipe, evaluator=recorded(study, pipe))
    again = {event.trial for event in later if isinstance(event, Polishing)}
    assert not again & {*chosen}, "once is enough"


def test_the_study_s_budget_does_not_count_it_and_its_sampler_goes_on(study: Study, pipe: Any) -> None:
    count = len(front(study).points)
    list(polish(study, count=1, steps=2, pipe=pipe, evaluator=recorded(study, pipe)))
    assert outcomes(study, pipe, trials=count) == []


def test_what_is_broken_off_is_measured_by_the_next_run(study: Study, pipe: Any) -> None:
    evaluator = recorded(study, pipe)

    def killed(policy: Any, b: int) -> None:
        raise KeyboardInterrupt

    evaluator.before = killed
    with pytest.raises(KeyboardInterrupt):
        list(polish(study, count=1, steps=3, rate=0.05, pipe=pipe, evaluator=evaluator))
    (waiting,) = [trial for trial in optuna_study(study).trials if trial.state.name == "WAITING"]
    wanted = waiting.user_attrs["policy"] if "policy" in waiting.user_attrs else None
    assert wanted and Ledger(open_storage(study.file.search.storage).engine).policy(wanted) is not None
    count = len(front(study).points)
    found = outcomes(study, pipe, trials=count + 1)
    assert found[0].digest == wanted and found[0].family == POLISHED
    assert optuna_study(study).trials[found[0].number].user_attrs[POLISHED_FROM] == waiting.user_attrs[POLISHED_FROM]


def test_what_cannot_be_polished_is_refused(study: Study, pipe: Any) -> None:
    full = next(point.trial.number for point in front(study).points if not descendable(point.policy))
    with pytest.raises(StudyError, match=f"trial {full} reuses features, mixes scores or computes every step"):
        list(polish(study, trials=[full], pipe=pipe, evaluator=recorded(study, pipe)))
    with pytest.raises(StudyError, match="must name finished trials but got 999"):
        list(polish(study, trials=[999], pipe=pipe, evaluator=recorded(study, pipe)))
