"""Prospects: what is foreseen to be beaten is not measured, counts nowhere, and is shown nowhere."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from frdiff_tune.search import Preparing, Study, TrialOutcome, TrialStopped, front, search_cases, tune
from frdiff_tune.search.outcome import FORESEEN
from frdiff_tune.search.prospect import FEWEST, UNFORESEEING, foreseen_beaten, prospect_of
from frdiff_tune.search.samplers import FORESEEING, SAMPLERS
from frdiff_tune.search.setting import space_of
from tests.search.recorded import Recorded
from tests.search.test_races import racing
from tests.search.test_tuning import optuna_study
from tests.tiny import tiny_dit

TRIALS = 26


@pytest.fixture(scope="module")
def pipe() -> Any:
    return tiny_dit("v_prediction")


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory, pipe: Any) -> tuple[Study, Recorded, list[Any]]:
    """Returns a study of random draws, of which nothing starts that is foreseen to be beaten as likely as not."""
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setattr("frdiff_tune.search.prospect.CAUTION", 0.0)
    study = racing(tmp_path_factory.mktemp("prospect"), 0.05)
    evaluator = Recorded(search_cases(study, pipe), size=8)
    run = tune(study, trials=TRIALS, pipe=pipe, evaluator=evaluator)
    events = ended(run)
    monkeypatch.undo()
    return study, evaluator, events


def test_what_is_foreseen_to_be_beaten_is_neither_measured_nor_counted(searched: Any) -> None:
    study, evaluator, events = searched
    trials = optuna_study(study).trials
    unstarted = [trial for trial in trials if FORESEEN in trial.user_attrs]
    assert len(unstarted) >= 3 and {trial.state for trial in unstarted} == {TrialState.PRUNED}
    assert len(events) == TRIALS, "they are no trials of the budget, and are not yielded"
    whole = {event.number: event for event in events if isinstance(event, TrialOutcome)}
    for trial in unstarted:
        foreseen, beaten_by = trial.user_attrs[FORESEEN], whole[trial.user_attrs[FORESEEN]["beaten_by"]]
        assert beaten_by.number < trial.number and "family" not in trial.user_attrs, "only what was drawn by the sampler"
        assert foreseen["latency"] > beaten_by.latency_ms.value / evaluator.reference_latency.median_ms
        assert trial.user_attrs["digest"] not in evaluator.tried or trial.user_attrs["digest"] in {e.digest for e in events}
    assert min(trial.number for trial in unstarted) >= FEWEST
    found = front(study)
    shown = {each.number for each in found.stopped} | {point.trial.number for point in found.points}
    assert not shown & {trial.number for trial in unstarted} and len(shown) == TRIALS


def test_a_study_goes_on_over_trials_that_never_started(searched: Any, pipe: Any) -> None:
    study, evaluator, before = searched
    run = tune(study, trials=TRIALS + 4, pipe=pipe, evaluator=evaluator)
    more = ended(run)
    assert len(more) == 4 and all(isinstance(event, (TrialOutcome, TrialStopped)) for event in more)
    assert len(front(study).points) + len(front(study).stopped) == len(before) + 4


def test_a_row_of_refusals_ends(tmp_path: Path, pipe: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("frdiff_tune.search.prospect.Prospect.beaten", lambda self, params: {"beaten_by": 0})
    monkeypatch.setattr("frdiff_tune.search.run.SKIPS", 3)
    study = racing(tmp_path, 0.05)
    evaluator = Recorded(search_cases(study, pipe), size=8)
    run = tune(study, trials=16, pipe=pipe, evaluator=evaluator)
    numbers = [event.number for event in ended(run)]
    apart = {later - earlier for earlier, later in zip(numbers, numbers[1:], strict=False)}
    assert len(numbers) == 16 and apart == {1, 3 + 1}, "after so many in a row one is measured"


def test_who_races_not_or_foresees_or_has_seen_little_starts_everything(searched: Any, tmp_path: Path, pipe: Any) -> None:
    study = searched[0]
    opened, space = optuna_study(study), space_of(study, pipe, search_cases(study, pipe))
    prospect = prospect_of(study, space, opened, 105.0)
    assert prospect is not None
    given = next(trial for trial in opened.trials if trial.system_attrs.get("fixed_params"))
    assert foreseen_beaten(prospect, given) is None, "a starting point is measured"
    for name in (*FORESEEING, "brute_force"):
        (tmp_path / name).mkdir()
        other = racing(tmp_path / name, 0.05)
        search = other.file.search.model_copy(update={"sampler": name})
        assert prospect_of(replaced(other, search), space, opened, 105.0) is None
    (tmp_path / "patient").mkdir()
    assert prospect_of(racing(tmp_path / "patient", 0.0), space, opened, 105.0) is None
    search = study.file.search.model_copy(update={"objectives": ("latency_ms", "cache_mib")})
    assert prospect_of(replaced(study, search), space, opened, 105.0) is None
    assert prospect_of(study, space, optuna.create_study(directions=["minimize", "minimize"]), 105.0) is None
    assert {*UNFORESEEING, *FORESEEING, "brute_force", "cmaes"} == {*SAMPLERS}, "a new sampler is one or the other"


def ended(run: Iterable[Any]) -> list[Any]:
    """Returns the trials that a run has yielded, without repeats."""
    return [event for event in run if not isinstance(event, Preparing) and event.duplicate_of is None]


def replaced(study: Study, search: Any) -> Study:
    return replace(study, file=study.file.model_copy(update={"search": search}))
