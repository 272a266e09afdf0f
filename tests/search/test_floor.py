"""The floor of a study: measured once when it begins, the same for all who read it, and what it decides."""

from dataclasses import replace
from math import log10
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from frdiff_tune.errors import MeasureError
from frdiff_tune.measure import Case, Evaluator
from frdiff_tune.measure.bench import Bench
from frdiff_tune.measure.floors import Reference, finer_steps
from frdiff_tune.policy import Floor
from frdiff_tune.runtime import make_scheduler
from frdiff_tune.search import Limit, Preparing, Study, front, hypervolume, storage, tune
from frdiff_tune.search.aim import Aim
from frdiff_tune.search.floor import FLOOR, UNKNOWN, searched_min_lpips
from frdiff_tune.search.volume import min_lpips, reference_point
from tests.search.recorded import COUNT, floor_at, recorded, study_at
from tests.search.test_tuning import optuna_study, outcomes
from tests.tiny import tiny_dit


@pytest.fixture(scope="module")
def pipe() -> Any:
    return tiny_dit("v_prediction")


def counted(study: Study, count: int) -> Study:
    measure = study.file.measure.model_copy(update={"search_floor_count": count})
    return replace(study, file=study.file.model_copy(update={"measure": measure}))


def test_the_floor_is_measured_when_a_study_begins_and_never_again(tmp_path: Path, pipe: Any) -> None:
    study = counted(study_at(tmp_path, "demo-dit", trials=2), 16)
    evaluator = recorded(study, pipe)
    evaluator.reference_floor = 0.004
    events = list(tune(study, pipe=pipe, evaluator=evaluator))
    assert [event for event in events if isinstance(event, Preparing)] == [Preparing(1, 1), Preparing(17, 17)]
    assert front(study).floor == floor_at(0.004) and front(study).floor_absence == ""
    later = recorded(study, pipe)
    later.reference_floor = 0.1
    outcomes(counted(study, 8), pipe, later, trials=3)
    assert evaluator.floors == [16] and later.floors == [] and front(study).floor == floor_at(0.004)
    assert searched_min_lpips(study, optuna_study(study)) == 0.004


def test_a_study_without_a_floor_says_why(tmp_path: Path, pipe: Any) -> None:
    study = study_at(tmp_path / "coarse", "demo-dit", trials=2)
    outcomes(study, pipe)
    shown = front(study)
    assert shown.floor is None and shown.floor_absence == "the scheduler cannot run 200 steps, 4 times the reference's"
    off = counted(study_at(tmp_path / "off", "demo-dit", trials=2), 0)
    evaluator = recorded(off, pipe)
    outcomes(off, pipe, evaluator)
    assert evaluator.floors == [] and front(off).floor_absence == "`measure.search_floor_count` is 0"


def test_a_floor_that_cannot_be_measured_stops_no_study(tmp_path: Path, pipe: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    study = study_at(tmp_path, "demo-dit", trials=2)
    evaluator = recorded(study, pipe)

    def black(count: int) -> Any:
        yield 1, count
        raise MeasureError("picture 3 is black")

    monkeypatch.setattr(evaluator, "floor", black)
    assert len(outcomes(study, pipe, evaluator)) == 2
    assert front(study).floor_absence == "the run with four times the steps failed (picture 3 is black)"


def test_a_study_of_before_goes_on_without_a_floor(tmp_path: Path, pipe: Any) -> None:
    study = study_at(tmp_path, "demo-dit", trials=2)
    outcomes(study, pipe)
    with storage.open_storage(study.file.search.storage).engine.begin() as connection:
        connection.execute(text(f"DELETE FROM study_user_attributes WHERE key = '{FLOOR}'"))
    assert front(study).floor is None and front(study).floor_absence == UNKNOWN
    later = recorded(study, pipe)
    later.reference_floor = 0.004
    outcomes(study, pipe, later, trials=3)
    assert later.floors == [] and front(study).floor is None and front(study).min_lpips == 1e-5


def test_the_real_floor_is_kept_on_the_disk_and_leaves_the_pipeline_bare(tmp_path: Path) -> None:
    pipe: Any = tiny_dit()
    cases = tuple(Case({"class_labels": label}, label) for label in range(3))
    options: dict[str, Any] = {"steps": 4, "quality_batch": 2, "anchor_steps": 2, "cache_dir": tmp_path}
    with Evaluator(pipe, cases, **options) as evaluator:
        first, seen = ended(evaluator, 2)
        assert isinstance(first, Floor) and (first.metric, first.statistic, first.count) == ("lpips", "mean", 2)
        assert 0 < first.low <= first.value <= first.high and seen[-1] == (2, 2)
    assert "forward" not in vars(pipe.transformer)
    files = sorted(tmp_path.rglob("output.pkl"))
    second, _ = ended(Evaluator(pipe, cases, **options), 2)
    assert isinstance(second, Floor) and second.value == pytest.approx(first.value, rel=1e-4)
    assert sorted(tmp_path.rglob("output.pkl")) == files, "nothing was drawn anew"


def test_four_times_the_steps_must_be_steps_of_the_scheduler(tmp_path: Path) -> None:
    pipe: Any = tiny_dit()
    assert (finer_steps(pipe, 50), finer_steps(pipe, 250), finer_steps(pipe, 251)) == (200, 1000, None)
    with Bench(pipe) as bench:
        run = Reference(bench, (), {}, 300, {}).discretisation(2, tmp_path, ())
        with pytest.raises(StopIteration) as end:
            next(run)
    assert end.value.value == ()
    pipe.scheduler = make_scheduler(pipe, "LCMScheduler")
    assert (finer_steps(pipe, 4), finer_steps(pipe, 20)) == (16, None), "it was distilled at 50 timesteps"


def ended(evaluator: Evaluator, count: int) -> tuple[Floor | None, list[tuple[int, int]]]:
    run, seen = evaluator.floor(count), []
    while True:
        try:
            seen.append(next(run))
        except StopIteration as done:
            return done.value, seen


def test_hypervolume_and_aim_count_what_is_closer_as_the_floor() -> None:
    limits = (Limit("lpips", 0.3),)
    assert reference_point(()) == (0.05, 1.0) and reference_point(limits) == (0.3, 1.0)
    assert hypervolume([(0.0, 0.5)], (0.3, 1.0), 0.03) == pytest.approx(0.5)
    assert hypervolume([(0.003, 0.5)], (0.3, 1.0), 0.03) == pytest.approx(0.5), "closer is no more"
    assert min_lpips(None) == 1e-5 and min_lpips(0.004, limits) == 0.004
    assert min_lpips(0.004, (Limit("lpips", 0.003),)) == 1e-5, "a study that asks for less than its floor gets it"
    aim = Aim.of(("latency_ms", "lpips"), limits, min_lpips=0.004)
    assert aim is not None and aim.floor == pytest.approx(log10(0.004)) and aim.worst_loss == pytest.approx(log10(0.3))
    other = Aim.of(("latency_ms", "lpips_median"), limits, min_lpips=0.004)
    assert other is not None and other.floor == pytest.approx(-5), "the floor is that of a mean"


def test_a_study_whose_limit_is_far_has_a_front_and_a_curve(tmp_path: Path, pipe: Any) -> None:
    study = study_at(tmp_path, "demo-dit", trials=COUNT, limits=("lpips <= 0.3",))
    far = recorded(study, pipe)
    outcomes(study, pipe, far)
    shown = front(study)
    assert shown.flip == 0.3
    trial = shown.points[0].trial
    lpips = {"lpips": replace(trial.lpips, value=0.15, low=0.1, high=0.2)}
    moved = replace(trial, figures=lpips, latency_ms=trial.latency_ms * 0.5)
    assert shown.volume_of([moved]) == pytest.approx(0.5 * log10(2)), "at a corner of 0.05 it would hold nothing"
