"""Finalists: chosen again on fresh seeds, so that luck on the search's cases does not decide."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from frdiff_tune.measure import Case, Failure, Measurement, load_cases, shuffled, verify
from frdiff_tune.policy import Policy
from frdiff_tune.report.exported import export_json, finalists_table
from frdiff_tune.runtime import Capture
from frdiff_tune.search import Export, Front, Pick, Point, Study, front, pick, setting
from frdiff_tune.search.choice import within_floor
from frdiff_tune.search.finalists import FRESH_SEED, Ranking, again
from tests.databases import copied
from tests.report.toy import MEASURED
from tests.search.recorded import COUNT, Recorded, floor_at, study_at
from tests.search.test_tuning import outcomes
from tests.tiny import tiny_dit


@pytest.fixture(scope="module")
def pipe() -> Any:
    return tiny_dit("v_prediction")


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory, pipe: Any) -> Path:
    folder = tmp_path_factory.mktemp("tuned")
    outcomes(study_at(folder, "demo-dit", trials=25), pipe)
    return folder / "study.db"


@pytest.fixture
def study(tmp_path: Path, tuned: Path) -> Study:
    """A copy of a study that was searched, with nothing measured again yet."""
    copied(tuned, tmp_path / "study.db")
    return study_at(tmp_path, "demo-dit", trials=25)


def chosen(study: Study, found: Front, wanted: Pick, pipe: Any) -> Point:
    return ended(study, found, wanted, pipe).points[0]


def ended(study: Study, found: Front, wanted: Pick, pipe: Any) -> Ranking:
    run = again(study, found, wanted, pipe)
    while True:
        try:
            next(run)
        except StopIteration as end:
            return cast(Ranking, end.value)


class Unlucky(Recorded):
    """Measures one policy worse than the search did."""

    digest = ""

    def __call__(self, policy: Policy, first: int = 0, capture: Capture = "eager") -> Iterator[Measurement | Failure]:
        for block in super().__call__(policy, first, capture):
            assert isinstance(block, Measurement)
            worse = 1e4 if policy.digest == self.digest else 1.0
            yield replace(block, values={**block.values, "lpips": tuple(worse * x for x in block.values["lpips"])})


def measured_by(monkeypatch: pytest.MonkeyPatch, make: Callable[[tuple[Case, ...]], Recorded]) -> list[Recorded]:
    """Makes finalists be measured so; returns what measured."""
    made: list[Recorded] = []

    def evaluator(study: Study, pipe: Any, cases: tuple[Case, ...], further: tuple[str, ...]) -> Recorded:
        made.append(make(cases))
        return made[-1]

    monkeypatch.setattr(setting, "make_evaluator", evaluator)
    return made


def test_who_was_lucky_is_not_exported(study: Study, pipe: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    found = front(study)
    lucky = pick(found, Pick(max_lpips=0.01))
    made = measured_by(monkeypatch, Unlucky)
    monkeypatch.setattr(Unlucky, "digest", lucky.policy.digest)
    other = chosen(study, found, Pick(max_lpips=0.01), pipe)
    assert other.trial.number != lucky.trial.number and other in found.points, "and its figures stay those of the search"
    (evaluator,) = made
    assert len(set(evaluator.tried)) == 3 and lucky.policy.digest in evaluator.tried
    assert min(case.seed for case in evaluator.cases) >= FRESH_SEED
    assert chosen(study, found, Pick(max_lpips=0.01), pipe) == other and len(made) == 1, "what is known is not measured again"


def test_who_was_not_lucky_is(study: Study, pipe: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    found = front(study)
    measured_by(monkeypatch, Recorded)
    for wanted in (Pick(), Pick(max_lpips=0.01), Pick(max_latency_ms=60.0)):
        assert chosen(study, found, wanted, pipe) == pick(found, wanted)


def test_a_trial_that_is_named_is_the_one(study: Study, pipe: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    found = front(study)
    made = measured_by(monkeypatch, Recorded)
    number = found.points[3].trial.number
    assert chosen(study, found, Pick(trial=number), pipe).trial.number == number
    measure = study.file.measure.model_copy(update={"finalists": 1})
    alone = replace(study, file=study.file.model_copy(update={"measure": measure}))
    assert chosen(alone, found, Pick(), pipe) == pick(found) and not made


def test_where_none_keeps_the_limit_the_search_decides(study: Study, pipe: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Far(Recorded):
        def __call__(self, policy: Policy, first: int = 0, capture: Capture = "eager") -> Iterator[Measurement | Failure]:
            for block in super().__call__(policy, first, capture):
                assert isinstance(block, Measurement)
                yield replace(block, values={**block.values, "lpips": (0.5,) * len(block.cases)})

    found = front(study)
    measured_by(monkeypatch, Far)
    assert chosen(study, found, Pick(max_lpips=0.01), pipe) == pick(found, Pick(max_lpips=0.01))


def test_one_objective_has_finalists_too(tmp_path: Path, pipe: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    study = study_at(tmp_path, "demo-dit", trials=12, objectives=("latency_ms",), limits=("lpips <= 0.01",))
    outcomes(study, pipe)
    found = front(study)
    made = measured_by(monkeypatch, Unlucky)
    monkeypatch.setattr(Unlucky, "digest", pick(found).policy.digest)
    ranking = ended(study, found, Pick(), pipe)
    assert len(found.best) == 1 and len(ranking.finalists) == 3 == len(set(made[0].tried))
    assert ranking.points[0] != pick(found) and ranking.points[-1] == pick(found), "the lucky one comes last"


def test_the_floor_decides_on_fresh_pictures_else_the_knee(study: Study, pipe: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = replace(front(study), floor=floor_at(0.05))
    close = within_floor(shown, Pick(), shown.points)
    assert len(close) > 3
    made = measured_by(monkeypatch, Unlucky)
    monkeypatch.setattr(Unlucky, "digest", close[0].policy.digest)
    ranking = ended(study, shown, Pick(), pipe)
    assert ranking.points == (close[1], close[2], close[0]) and ranking.remark == ""
    monkeypatch.setattr(Unlucky, "digest", "")
    tight = replace(shown, floor=floor_at(1e-6))
    other = ended(study, tight, Pick(), pipe)
    assert other.points == ended(study, tight, Pick(knee=True), pipe).points
    assert other.remark.startswith("No policy that is faster than the reference came within the floor, LPIPS 1e-06")
    count = len(made)
    alone = study.file.measure.model_copy(update={"finalists": 1})
    once = replace(study, file=study.file.model_copy(update={"measure": alone}))
    assert ended(once, shown, Pick(), pipe).points == (close[0],) and len(made) == count, "the search's own figures decide"


def test_slower_points_are_tried_until_one_is_within_the_floor(
    study: Study, pipe: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = replace(front(study), floor=floor_at(0.05))
    close = within_floor(shown, Pick(), shown.points)
    far = {point.policy.digest for point in close[:4]}

    class Farther(Recorded):
        def __call__(self, policy: Policy, first: int = 0, capture: Capture = "eager") -> Iterator[Measurement | Failure]:
            for block in super().__call__(policy, first, capture):
                assert isinstance(block, Measurement)
                yield replace(block, values={"lpips": (0.5,) * len(block.cases)}) if policy.digest in far else block

    measured_by(monkeypatch, Farther)
    ranking = ended(study, shown, Pick(), pipe)
    assert len(close) > 5 and len(ranking.finalists) == 5
    assert ranking.points[0] == close[4] and ranking.remark == ""


def test_where_no_finalist_is_within_the_floor_the_knee_is_taken_and_said(
    study: Study, pipe: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Farther(Recorded):
        def __call__(self, policy: Policy, first: int = 0, capture: Capture = "eager") -> Iterator[Measurement | Failure]:
            for block in super().__call__(policy, first, capture):
                assert isinstance(block, Measurement)
                yield replace(block, values={"lpips": tuple(20 * x for x in block.values["lpips"])})

    shown = replace(front(study), floor=floor_at(0.02))
    close = within_floor(shown, Pick(), shown.points)[:9]
    measured_by(monkeypatch, Farther)
    ranking = ended(study, shown, Pick(), pipe)
    assert ranking.points == ended(study, shown, Pick(knee=True), pipe).points
    said = f"None of {len(close)} finalists is surely within the floor, LPIPS 0.02, on fresh pictures"
    assert close and ranking.remark.startswith(said)
    assert {point.trial.number for point in close} <= {each.point.trial.number for each in ranking.finalists}


def test_metrics_between_sets_are_measured_of_finalists_once(
    study: Study, pipe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For real; the first one is broken off in between, and its figure is of all pictures nevertheless."""
    monkeypatch.setenv("FRDIFF_TUNE_CACHE", str(tmp_path / "cache"))
    measure = study.file.measure.model_copy(update={"metrics": ("psnr", "fd_alex"), "finalists": 2})
    cases = study.file.cases.model_copy(update={"quality_batch": 2})
    found = front(study)
    study = replace(study, file=study.file.model_copy(update={"measure": measure, "cases": cases}))
    run = again(study, found, Pick(), pipe)
    while next(run) != (2, 2 * COUNT):
        pass
    run.close()
    ranking = ended(study, found, Pick(), pipe)
    point, finalists = ranking.points[0], ranking.finalists
    assert len(finalists) == 2 and point in [each.point for each in finalists]
    fresh = load_cases(pipe, study.file.cases.search, COUNT, first_seed=FRESH_SEED)
    options: dict[str, Any] = {"cache_dir": tmp_path / "cache", "latency_calls": 2, "metrics": ["lpips", "fd_alex"]}
    first, second = finalists
    stated = verify(pipe, first.point.policy, shuffled(fresh), **setting.measuring(study), **options)
    assert first.sets == {"fd_alex_4": pytest.approx(stated.sets[0].value, abs=1e-6)} and first.sets != second.sets
    assert first.figures["lpips"].value == pytest.approx(stated.quality[0].value, abs=1e-6)
    made = measured_by(monkeypatch, Recorded)
    assert ended(study, found, Pick(), pipe) == ranking and not made, "what is known is not measured again"
    export = Export(point.policy.model_copy(update={"measured": MEASURED}), point, (), finalists)
    shown = export_json(export, tmp_path / "policy.json")["finalists"]
    assert [(each["trial"], each["sets"]) for each in shown] == [(each.point.trial.number, each.sets) for each in finalists]
    table = finalists_table(export, found.objectives)
    assert [column.header for column in table.columns][3:] == ["lpips", "fd_alex_4", ""]
    assert list(table.columns[-1].cells).count("chosen") == 1
