"""Export with real measurements on a tiny pipeline: figures of held-out cases, limits, and no file where they break."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from frdiff_tune.errors import LimitError
from frdiff_tune.measure import Failure, Measurement
from frdiff_tune.measure.bench import Bench
from frdiff_tune.policy import Policy
from frdiff_tune.runtime import Capture
from frdiff_tune.search import (
    Export,
    Pick,
    Study,
    TrialOutcome,
    estimate,
    export_policy,
    front,
    held_out_cases,
    search_cases,
    setting,
    tune,
)
from frdiff_tune.search.choice import ranked
from frdiff_tune.search.fitted_part import make_fit
from frdiff_tune.search.space_file import FitSection
from frdiff_tune.search.verification import broken_limits
from tests.search.recorded import COUNT, Recorded, study_at
from tests.tiny import tiny_dit


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Study, Any]:
    """A short study of a tiny pipeline, measured for real: eight steps, so that it takes seconds."""
    folder = tmp_path_factory.mktemp("export")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FRDIFF_TUNE_CACHE", str(folder / "cache"))
        study = study_at(folder, "demo-dit", trials=7, limits=())
        call = study.file.call.model_copy(update={"num_inference_steps": 8})
        study = replace(study, file=study.file.model_copy(update={"call": call}))
        pipe = tiny_dit("v_prediction")
        found = [event for event in tune(study, pipe=pipe) if isinstance(event, TrialOutcome)]
    assert len(found) >= 7
    assert found[0].lpips.value == 0.0
    assert not hasattr(pipe.transformer, "forward") or "forward" not in vars(pipe.transformer)
    return study, pipe


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRDIFF_TUNE_CACHE", str(tmp_path))


def test_the_file_says_what_was_measured_where_and_by_whom(measured: tuple[Study, Any], tmp_path: Path) -> None:
    study, pipe = measured
    steps: Any = export_policy(study, "trial:1", tmp_path / "policy.json", pipe=pipe)
    policy = Policy.load(tmp_path / "policy.json")
    assert policy == steps.policy
    assert policy.digest == front(study).points[1].policy.digest
    assert policy.measured is not None and policy.machine is not None and policy.provenance is not None
    assert (policy.measured.held_out, policy.measured.case_count, policy.measured.within_limits) == (True, COUNT, None)
    assert {row.statistic for row in policy.measured.quality} == {"mean", "median", "p90", "flips"}
    assert (policy.provenance.study, policy.provenance.trial, policy.provenance.sampler) == ("demo-dit", 1, "auto")
    assert policy.provenance.parameters == front(study).points[1].trial.params
    assert policy.model.source == "demo:emoji-dit"
    assert (policy.machine.batch, policy.machine.height) == (1, 32)


def test_a_limit_that_held_out_cases_break_writes_no_file_unless_forced(measured: tuple[Study, Any], tmp_path: Path) -> None:
    study, pipe = measured
    path = tmp_path / "policy.json"
    worst = max(front(study).points, key=lambda point: point.trial.lpips.value)
    wanted = Pick(trial=worst.trial.number, max_lpips=1e-9)
    with pytest.raises(LimitError, match="`lpips` reaches .* above 1e-09.*--force"):
        export_policy(study, wanted, path, pipe=pipe)
    assert not path.exists()
    forced = export_policy(study, wanted, path, pipe=pipe, force=True)
    assert len(forced.broken) == 1
    written = Policy.load(path).measured
    assert written is not None and written.within_limits is False
    limits = ("speedup >= 1000", "speedup >= 0.001", "cache_mib <= 1e6", "latency_ms <= 1e-6")
    search = study.file.search.model_copy(update={"limits": limits})
    strict = replace(study, file=study.file.model_copy(update={"search": search}))
    broken = broken_limits(strict, Pick(), written)
    assert [line.split()[0] for line in broken] == ["`speedup`", "`latency_ms`"] and "lower end" in broken[0]
    kept = export_policy(study, Pick(trial=worst.trial.number, max_lpips=1.0), path, pipe=pipe).policy.measured
    assert kept is not None and kept.within_limits is True


def test_held_out_cases_share_no_seed_with_the_search(measured: tuple[Study, Any]) -> None:
    study, pipe = measured
    held_out = held_out_cases(study, pipe, seeds=3)
    assert len(held_out) == 3 * COUNT
    assert not {case.seed for case in held_out} & {case.seed for case in search_cases(study, pipe)}


def test_the_estimate_counts_pictures(measured: tuple[Study, Any]) -> None:
    study, pipe = measured
    said = estimate(study, pipe)
    assert (said.trials, said.pictures) == (7, COUNT * 9)
    assert said.minutes > 0
    assert said.megabytes > 0
    short = estimate(study, pipe, trials=10_000_000, minutes=0.5)
    assert 0 < short.minutes <= 0.5 + said.minutes, "trials within the budget, and the references before them"
    assert 0 < short.trials < 10_000_000


def test_the_estimate_counts_fits_and_the_bytes_of_states(measured: tuple[Study, Any], tmp_path: Path) -> None:
    study, pipe = measured
    plain = estimate(study, pipe)
    assert (plain.fits, plain.states) == (0, 0.0), "this space fits nothing"
    steps = study.space.steps.model_copy(update={"scheduler": (*study.space.steps.scheduler, "fitted")})
    section = FitSection(tries=5, memory=1)
    fits = replace(study, space=study.space.model_copy(update={"steps": steps, "fit": section}))
    call = study.file.call
    with Bench(pipe) as bench:
        walk: dict[str, Any] = {"steps": call.num_inference_steps, "call": call.arguments}
        fit = make_fit(bench, search_cases(study, pipe), section, **walk, folder=tmp_path, batch=COUNT)
        assert fit is not None
        recorded = fit.states.states.nbytes
    more = estimate(fits, pipe)
    assert (more.trials, more.fits) == (7, 6 * (5 + 1)), "neighbours and the nearest of them; the full run needs none"
    long = estimate(fits, pipe, trials=40)
    assert (long.trials, long.fits) == (40, 3 + 36 * (5 + 1)), "and three starts one each"
    assert more.states * 2**20 == recorded
    assert more.megabytes == pytest.approx(plain.megabytes + more.states)
    few = fits.space.model_copy(update={"fit": FitSection()})
    assert estimate(replace(fits, space=few), pipe).fits == 0, "four cases are too few for four weights"


class Lucky(Recorded):
    """Measures policies nearly equal to the reference, so that only held-out pictures tell them apart."""

    def __call__(self, policy: Policy, first: int = 0, capture: Capture = "eager") -> Iterator[Measurement | Failure]:
        for block in super().__call__(policy, first, capture):
            assert isinstance(block, Measurement)
            yield replace(block, values={"lpips": tuple(1e-6 * x for x in block.values["lpips"])})


def test_who_breaks_a_limit_on_held_out_cases_makes_place_for_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe, path = tiny_dit("v_prediction"), tmp_path / "policy.json"
    study = study_at(tmp_path, "demo-dit", trials=7, limits=(), sampler="random")
    call = study.file.call.model_copy(update={"num_inference_steps": 8})
    measure = study.file.measure.model_copy(update={"floor_count": 0, "latency_calls": 8, "metrics": (), "finalists": 2})
    study = replace(study, file=study.file.model_copy(update={"call": call, "measure": measure}))
    list(tune(study, pipe=pipe, evaluator=Lucky(search_cases(study, pipe))))
    monkeypatch.setattr(setting, "make_evaluator", lambda study, pipe, cases, further: Lucky(cases))
    first, second = ranked(front(study), Pick(max_lpips=1.0))[:2]
    ends = [end_of(export_policy(study, Pick(trial=each.trial.number), path, pipe=pipe)) for each in (first, second)]
    assert ends[0] > ends[1] > 0
    timed: list[Policy] = []
    monkeypatch.setattr("frdiff_tune.search.verification.verification", lambda pipe, policy, *_, **__: timed.append(policy))
    done = export_policy(study, Pick(max_lpips=sum(ends) / 2), path, pipe=pipe)
    assert done.point.trial.number == second.trial.number and not done.broken
    said = f"Trial {first.trial.number} was passed over: on the held-out cases `lpips` reaches {ends[0]:.4g}"
    assert len(done.remarks) == 1 and done.remarks[0].startswith(said)
    assert not timed, "what was measured is kept"
    path.unlink()
    words = f"One of 2 finalists must .* `lpips` .*: trial {second.trial.number}, the nearest. Loosen"
    with pytest.raises(LimitError, match=words):
        export_policy(study, Pick(max_lpips=ends[1] / 2), path, pipe=pipe)
    assert not path.exists()
    forced = export_policy(study, Pick(max_lpips=ends[1] / 2), path, pipe=pipe, force=True)
    assert forced.point.trial.number == second.trial.number and len(forced.broken) == 1 and not timed


def end_of(export: Export) -> float:
    measured = export.policy.measured
    assert measured is not None
    return next(row.high for row in measured.quality if (row.metric, row.statistic) == ("lpips", "mean"))
