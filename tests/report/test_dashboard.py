"""What is written into a study for its dashboard, on policies whose figures are a formula; a browser sees it in test_pages."""

import json
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from optuna.trial import Trial
from optuna_dashboard import get_note, save_note

from frdiff_tune.report.dashboard import ARTIFACTS, annotate, illustrate, worth_a_look
from frdiff_tune.report.reported import looked_at
from frdiff_tune.search import Limit, Study, front, pick
from tests.databases import copied
from tests.search.recorded import floor_at
from tests.search.test_record import finite
from tests.search.test_tuning import optuna_study, outcomes
from tests.tiny import tiny_dit


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the database of a study with eight policies."""
    folder = tmp_path_factory.mktemp("measured")
    outcomes(finite(folder), tiny_dit("v_prediction"), trials=8)
    return folder / "study.db"


@pytest.fixture
def study(tmp_path: Path, measured: Path) -> Study:
    """Returns that study with a database of its own."""
    copied(measured, tmp_path / "study.db")
    return finite(tmp_path)


def note(opened: optuna.Study, number: int) -> str:
    return str(get_note(Trial(opened, opened.trials[number]._trial_id)))


def test_objectives_are_named_and_every_trial_has_a_note(study: Study) -> None:
    annotate(study)
    opened = optuna_study(study)
    assert opened.metric_names == ["latency, ms per call", "LPIPS"]
    assert f"{len(front(study).points)} policies measured" in get_note(opened)
    for point in front(study).points:
        said = note(opened, point.trial.number)
        assert f"{point.trial.speedup.value:.2f} times faster" in said and f"{point.trial.nfe} network calls" in said
        attributes = opened.trials[point.trial.number].user_attrs
        assert attributes["speed-up"] == point.trial.speedup.value and attributes["LPIPS"] == point.trial.lpips.value


def test_a_note_that_a_person_has_changed_is_left_alone(study: Study) -> None:
    annotate(study)
    opened = optuna_study(study)
    save_note(opened, "mine")
    save_note(Trial(opened, opened.trials[0]._trial_id), "mine, too")
    untouched = note(opened, 1)
    annotate(study)
    assert get_note(opened) == "mine" and note(opened, 0) == "mine, too" and note(opened, 1) == untouched


def test_the_front_and_what_is_near_it_get_their_schedules_once(study: Study, tmp_path: Path) -> None:
    look = worth_a_look(front(study))
    best = {point.trial.number for point in front(study).best}
    assert best <= {point.trial.number for point in look}
    steps = list(illustrate(study, pictures=0))
    assert steps == [(i, len(look)) for i in range(1, len(look) + 1)]
    opened = optuna_study(study)
    attributes = opened._storage.get_study_system_attrs(opened._study_id)
    kept = [json.loads(value) for key, value in attributes.items() if key.startswith(ARTIFACTS)]
    assert {each["filename"] for each in kept} == {f"schedule-{point.trial.number}.png" for point in look}
    for each in kept:
        assert (tmp_path / "artifacts" / each["artifact_id"]).read_bytes().startswith(b"\x89PNG")
    assert list(illustrate(study, pictures=0)) == [], "they have them"
    assert worth_a_look(front(study), 2) == [look[0], look[-1]]


def test_pictures_come_later_where_a_start_without_them_has_left_none(study: Study) -> None:
    look = worth_a_look(front(study))
    list(illustrate(study, pictures=0))
    assert len(list(illustrate(study, pictures=1, pipe=tiny_dit("v_prediction")))) == len(look)
    attributes = optuna_study(study)._storage.get_study_system_attrs(optuna_study(study)._study_id)
    names = sorted(json.loads(value)["filename"] for key, value in attributes.items() if key.startswith(ARTIFACTS))
    assert names == sorted(f"{kind}-{point.trial.number}.png" for kind in ("pictures", "schedule") for point in look)
    assert list(illustrate(study, pictures=1)) == [], "they have both"


def test_a_report_looks_at_each_policy_once_and_says_what_it_is(study: Study) -> None:
    found = front(study)
    looks = looked_at(found)
    numbers = [point.trial.number for _, point in looks]
    assert len(numbers) == len(set(numbers)) and looks[0] == ("The best compromise", pick(found))
    able = [point for point in found.best if point.trial.speedup.low > 1]
    assert min(able, key=lambda point: point.trial.lpips.value).trial.number in numbers
    assert [(title, point.trial.number) for title, point in looked_at(found, [1, 1])] == [("Asked for", 1)]
    floored = replace(found, floor=floor_at(0.05))
    assert looked_at(floored)[0] == ("The fastest within the floor", pick(floored))
    far = dict(looked_at(replace(found, limits=(Limit("lpips", 0.3),))))
    assert far["The fastest within the limit"] == found.best[0], "beyond 0.05, which the study allows"
    none = replace(found, points=tuple(replace(point, within_limits=False) for point in found.points))
    ((title, closest),) = looked_at(none)
    assert "limits" in title and closest.trial.lpips.value == min(point.trial.lpips.value for point in found.points)
