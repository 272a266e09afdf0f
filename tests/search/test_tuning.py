"""The search on recorded measurements: resumed, repeatable, and never measuring twice."""

import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import pytest

from frdiff_tune.errors import ModelError, StudyError
from frdiff_tune.measure import Failure
from frdiff_tune.policy import Policy
from frdiff_tune.search import Preparing, Study, TrialFailure, TrialOutcome, front, load_study, storage, tune
from frdiff_tune.search.designed import designed
from frdiff_tune.search.samplers import SAMPLERS
from frdiff_tune.search.space import Space
from tests.search.recorded import COUNT, Recorded, recorded, study_at
from tests.tiny import tiny_dit

ROOT = Path(__file__).parent.parent.parent
TABLE = ROOT / "benchmarks" / "tables" / "demo-dit.toml"


@pytest.fixture(scope="module")
def pipe() -> Any:  # noqa: ANN401
    return tiny_dit("v_prediction")


def outcomes(study: Study, pipe: Any, evaluator: Recorded | None = None, **options: Any) -> list[TrialOutcome]:  # noqa: ANN401
    run = tune(study, pipe=pipe, evaluator=evaluator or recorded(study, pipe), **options)
    return [event for event in run if isinstance(event, TrialOutcome)]


def optuna_study(study: Study) -> optuna.Study:
    return optuna.load_study(study_name=study.name, storage=study.file.search.storage)


def test_trials_are_yielded_kept_and_drawn_on_a_front(tmp_path: Path, pipe: Any) -> None:  # noqa: ANN401
    study = study_at(tmp_path, "demo-dit", trials=16)
    evaluator = recorded(study, pipe)
    events = list(tune(study, pipe=pipe, evaluator=evaluator))
    assert events[0] == Preparing(1, 1)
    found = [event for event in events if isinstance(event, TrialOutcome)]
    assert [outcome.number for outcome in found] == list(range(len(found)))
    families = {outcome.number: outcome.family for outcome in found if outcome.family != "searched"}
    assert families == {0: "known: full", 10: "known: fewer steps"}, "every tenth"
    assert evaluator.closed == 1
    full = found[0]
    assert (full.nfe, full.count, full.latency_ms.value) == (50, COUNT, 105.0)
    assert full.lpips.value == 0.0
    assert full.speedup.value == 1.0
    shown = front(study)
    assert [point.trial for point in shown.points] == [outcome for outcome in found if outcome.duplicate_of is None]
    assert all(point.policy.digest == point.trial.digest for point in shown.points)
    kept = optuna_study(study)
    assert kept.metric_names == ["latency_ms", "lpips"]
    assert kept.trials[0].constraints == {"lpips <= 0.05": -0.05}


@pytest.mark.parametrize("sampler", [name for name in SAMPLERS if name not in ("gp", "cmaes", "brute_force", "guided")])
def test_two_runs_make_the_same_proposals(tmp_path: Path, pipe: Any, sampler: str) -> None:  # noqa: ANN401
    proposals = 20 if sampler == "auto" else 5  # "auto" is "guided": what six proposals share is drawn anew three times
    runs = []
    for name in ("one", "two"):
        study = study_at(tmp_path / name, "demo-dit", sampler=sampler)
        starting = outcomes(study, pipe, trials=11)  # four starting points, seven proposals: enough for a model
        runs.append([*starting, *outcomes(study, pipe, trials=4 + max(proposals, 8))])
    assert sum(outcome.family == "searched" for outcome in runs[0]) >= proposals
    assert runs[0] == runs[1]


def test_gp_proposes(tmp_path: Path, pipe: Any) -> None:  # noqa: ANN401
    study = study_at(tmp_path, "demo-dit", sampler="gp", trials=11)
    space = study.space.model_copy(update={"groups": {}})
    space = space.model_copy(update={"keyframes": space.keyframes.model_copy(update={"encodings": ("uniform",)})})
    space = space.model_copy(update={"mixing": space.mixing.model_copy(update={"families": ("jump", "none")})})
    found = outcomes(replace(study, space=space), pipe)
    assert sum(outcome.family == "searched" for outcome in found) >= 7


def test_cmaes_proposes(tmp_path: Path, pipe: Any) -> None:  # noqa: ANN401
    runs = []
    for name in ("one", "two"):
        objectives = {"objectives": ("latency_ms",), "limits": ("lpips <= 0.05",)}
        runs.append(outcomes(study_at(tmp_path / name, "demo-dit", sampler="cmaes", trials=16, **objectives), pipe))
    assert runs[0] == runs[1]
    assert sum(outcome.family == "searched" for outcome in runs[0]) >= 5


def test_brute_force_measures_every_policy_once(tmp_path: Path, pipe: Any) -> None:  # noqa: ANN401
    study = study_at(tmp_path, "demo-dit", sampler="brute_force", trials=1_000, race=0.0)
    with pytest.raises(StudyError, match="'brute_force' and '.*' has no end of values"):
        outcomes(study, pipe)
    study = study_at(tmp_path / "small", "demo-dit", sampler="brute_force", trials=1_000, race=0.0)
    space = load_study(TABLE).space
    keyframes = space.keyframes.model_copy(update={"count": (6, 12), "exponent": (1.0, 1.0)})
    steps = space.steps.model_copy(update={"num_inference_steps": (30, 50), "scheduler": space.steps.scheduler[:1]})
    forecast = space.forecast.model_copy(update={"fit": (0.0, 0.0)})
    mixing = space.mixing.model_copy(update={"families": ("jump", "none")})
    parts = {"keyframes": keyframes, "steps": steps, "forecast": forecast, "mixing": mixing}
    study = replace(study, space=space.model_copy(update=parts))
    found = outcomes(study, pipe)
    wanted = designed(Space(study.space, pipe, 50), None)
    measured = [outcome.digest for outcome in found if outcome.duplicate_of is None]
    assert 20 < len(measured) == len(set(measured)) < 1_000
    assert {policy.digest for _, policy in wanted} <= set(measured)
    assert outcomes(study, pipe) == [], "a study whose every policy is measured has nothing left to do"


def test_another_seed_proposes_something_else(tmp_path: Path, pipe: Any) -> None:  # noqa: ANN401
    runs = [outcomes(study_at(tmp_path / str(seed), "demo-dit", trials=6, seed=seed), pipe) for seed in (0, 1)]
    assert [outcome.params for outcome in runs[0][:1]] == [outcome.params for outcome in runs[1][:1]]
    assert runs[0][-1].params != runs[1][-1].params


@pytest.mark.parametrize(("trial", "sampler"), [(3, "auto"), (11, "nsga2")])
def test_kill_in_the_middle_of_a_trial_loses_nothing(tmp_path: Path, pipe: Any, trial: int, sampler: str) -> None:  # noqa: ANN401
    command = [sys.executable, "-m", "tests.search.killed", str(tmp_path), str(trial), sampler]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(1200):
            if (tmp_path / "now").exists() or process.poll() is not None:
                break
            time.sleep(0.1)
        assert process.poll() is None, "it waits in the middle of a trial"
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    digest = (tmp_path / "now").read_text()

    study = study_at(tmp_path, "demo-dit", trials=14, sampler=sampler)
    evaluator = recorded(study, pipe)
    found = outcomes(study, pipe, evaluator)
    shown = front(study)
    assert len(shown.points) == 14
    assert found[0].digest == digest, "the broken-off trial comes first"
    assert evaluator.measured[0] == (digest, 1), "its first block was kept"

    whole = study_at(tmp_path / "whole", "demo-dit", trials=14, sampler=sampler)
    outcomes(whole, pipe)
    assert [point.trial.params for point in shown.points] == [point.trial.params for point in front(whole).points]
    assert [point.trial.family for point in shown.points] == [point.trial.family for point in front(whole).points]


def test_ctrl_c_marks_the_trial_restores_the_pipeline_and_goes_on(tmp_path: Path, pipe: Any) -> None:  # noqa: ANN401
    study = study_at(tmp_path, "demo-dit", trials=5)

    def interrupt(policy: Policy, b: int) -> None:
        if len({digest for digest, _ in evaluator.measured}) == 3 and b == 1:
            raise KeyboardInterrupt

    evaluator = recorded(study, pipe, interrupt)
    with pytest.raises(KeyboardInterrupt):
        outcomes(study, pipe, evaluator)
    assert evaluator.closed == 1
    states = [trial.state.name for trial in optuna_study(study).trials]
    assert states == ["COMPLETE", "COMPLETE", "FAIL", "WAITING"]
    again = recorded(study, pipe)
    assert len(outcomes(study, pipe, again)) == 3
    assert again.measured[0] == (evaluator.measured[-1][0], 1)
    assert len(front(study).points) == 5


def test_a_run_in_another_thread_is_not_taken_for_one_that_is_gone(tmp_path: Path, pipe: Any) -> None:  # noqa: ANN401
    study = study_at(tmp_path, "demo-dit", trials=3)

    def begin_another(policy: Policy, b: int) -> None:
        storage.restore(optuna_study(study), "another run")

    found = outcomes(study, pipe, recorded(study, pipe, begin_another))
    assert [outcome.number for outcome in found] == [0, 1, 2]
    assert [trial.state.name for trial in optuna_study(study).trials] == ["COMPLETE"] * 3


def test_a_trial_that_another_run_took_away_is_measured_again(tmp_path: Path, pipe: Any) -> None:  # noqa: ANN401
    """Another run may see a queued trial in the moment in which it still bears the name of a run that is gone."""
    study = study_at(tmp_path, "demo-dit", trials=3)

    def take_away(policy: Policy, b: int) -> None:
        if len(evaluator.measured) == 1:
            kept = optuna_study(study)
            running = kept.trials[-1]
            kept.tell(running.number, state=optuna.trial.TrialState.FAIL)
            storage.enqueue_again(kept, running, "another run")

    evaluator = recorded(study, pipe, take_away)
    assert len(outcomes(study, pipe, evaluator)) == 3
    assert len(front(study).points) == 3
    assert [trial.state.name for trial in optuna_study(study).trials] == ["FAIL", "COMPLETE", "COMPLETE", "COMPLETE"]
    assert len(evaluator.measured) == len(set(evaluator.measured)), "no block is measured twice"


def test_a_trial_that_fails_is_marked_and_says_why(tmp_path: Path, pipe: Any) -> None:  # noqa: ANN401
    study = study_at(tmp_path, "demo-dit", trials=4)

    def fail(policy: Policy, b: int) -> None:
        if evaluator.measured:
            raise RuntimeError("out of memory")

    evaluator = recorded(study, pipe, fail)
    with pytest.raises(RuntimeError):
        outcomes(study, pipe, evaluator)
    failed = optuna_study(study).trials[-1]
    assert failed.state.name == "FAIL"
    assert failed.user_attrs["failure"] == "RuntimeError: out of memory"


def test_identical_policies_are_measured_once_within_and_across_studies(tmp_path: Path, pipe: Any) -> None:  # noqa: ANN401
    study = study_at(tmp_path, "demo-dit", trials=20)
    first = recorded(study, pipe)
    found = outcomes(study, pipe, first)
    assert len(first.measured) == len(set(first.measured)), "no block of a policy twice"
    other = replace(study, name="other")
    second = recorded(other, pipe)
    assert [outcome.digest for outcome in outcomes(other, pipe, second)] == [outcome.digest for outcome in found]
    assert second.measured == []


def test_how_the_network_is_launched_is_searched(tmp_path: Path, pipe: Any) -> None:  # noqa: ANN401
    """One policy launched in two ways is two measurements, and only then."""
    study = study_at(tmp_path, "demo-dit", capture=("eager", "compile"), trials=50, sampler="local")
    found = outcomes(study, pipe, recorded(study, pipe))
    assert all(outcome.params["capture"] == outcome.capture for outcome in found)
    assert [(o.family, o.capture) for o in found[:2]] == [("known: full", "eager"), ("known: full", "compile")]
    assert {outcome.capture for outcome in found if outcome.family == "searched"} == {"eager", "compile"}
    fresh = [outcome for outcome in found if outcome.duplicate_of is None]
    assert len({(outcome.digest, outcome.capture) for outcome in fresh}) == len(fresh)
    shown = front(study)
    assert all(point.trial.capture in ("eager", "compile") for point in shown.points)
    other = study_at(tmp_path, "demo-dit", capture=("compile",), trials=5)
    object.__setattr__(other, "name", "other")
    evaluator = recorded(other, pipe)
    once = outcomes(other, pipe, evaluator)
    assert {outcome.capture for outcome in once} == {"compile"}
    known = {(outcome.digest, outcome.capture) for outcome in fresh}
    assert {digest for digest, _ in evaluator.measured} == {o.digest for o in once if (o.digest, "compile") not in known}


def test_a_longer_budget_goes_on(tmp_path: Path, pipe: Any) -> None:  # noqa: ANN401
    study = study_at(tmp_path, "demo-dit", trials=8)
    outcomes(study, pipe)
    more = outcomes(study, pipe, trials=12)
    assert {outcome.family for outcome in more} == {"searched"}
    assert len(front(study).points) == 12
    assert outcomes(study, pipe, minutes=0.0, trials=20) == []


def test_a_budget_of_time_begins_when_the_references_are_ready(
    tmp_path: Path,
    pipe: Any,  # noqa: ANN401
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, study = [0.0], study_at(tmp_path, "demo-dit", trials=3)
    for module in ("tuning", "run"):
        monkeypatch.setattr(f"frdiff_tune.search.{module}.time", SimpleNamespace(monotonic=lambda: now[0]))
    run = tune(study, pipe=pipe, evaluator=recorded(study, pipe), minutes=1.0)
    assert isinstance(next(run), Preparing)
    now[0] = 60.0  # references that take as long as the whole budget
    assert isinstance(next(event for event in run if not isinstance(event, Preparing)), TrialOutcome)
    now[0] = 119.0
    assert isinstance(next(run), TrialOutcome)
    now[0] = 120.0
    assert list(run) == []


def test_another_definition_in_the_same_storage_is_refused(tmp_path: Path, pipe: Any) -> None:  # noqa: ANN401
    outcomes(study_at(tmp_path, "demo-dit", trials=2), pipe)
    other = study_at(tmp_path, "demo-dit", trials=2, limits=("lpips <= 0.01",))
    message = r"`search.limits` was \['lpips <= 0.05'\] and is \['lpips <= 0.01'\].*name another storage"
    with pytest.raises(StudyError, match=message):
        outcomes(other, pipe)
    with pytest.raises(StudyError, match=message):
        front(other)


def test_storages_that_cannot_be_opened_are_explained(tmp_path: Path, pipe: Any) -> None:  # noqa: ANN401
    (tmp_path / "file").write_text("")
    (tmp_path / "junk.db").write_text("no database " * 100)
    for url in (f"sqlite:///{tmp_path}/file/study.db", f"sqlite:///{tmp_path}/junk.db", "nonsense", "oracle://x"):
        with pytest.raises(StudyError, match="`search.storage` must be a database that can be opened but got"):
            outcomes(study_at(tmp_path, "demo-dit", storage=url), pipe)


def test_reading_what_was_never_begun_is_explained(tmp_path: Path, pipe: Any) -> None:  # noqa: ANN401
    study = study_at(tmp_path, "demo-dit", trials=1)
    with pytest.raises(StudyError, match="Run `frdiff-tune tune` first"):
        front(study)
    assert not (tmp_path / "study.db").exists()
    outcomes(replace(study, name="another"), pipe)
    with pytest.raises(StudyError, match="must hold the study 'demo-dit'"):
        front(study)


def test_a_missing_model_and_a_missing_device_are_explained(tmp_path: Path) -> None:
    study = study_at(tmp_path, "demo-dit")
    for key, value, message in (("source", str(tmp_path / "none"), "could not be"), ("device", "cuda:99", "`device` must")):
        model = study.file.model.model_copy(update={key: value})
        with pytest.raises(ModelError, match=message):
            next(iter(tune(replace(study, file=study.file.model_copy(update={"model": model})))))


def test_a_policy_that_cannot_be_had_is_recorded_and_not_tried_again(tmp_path: Path, pipe: Any) -> None:  # noqa: ANN401
    study = study_at(tmp_path, "demo-dit", trials=4)

    def fails(policy: Policy, b: int) -> Failure | None:
        return Failure("out_of_memory", "no 80 GiB here", b) if len(evaluator.tried) == 3 and b == 1 else None

    evaluator = recorded(study, pipe)
    evaluator.fails = fails
    events = [event for event in tune(study, pipe=pipe, evaluator=evaluator) if not isinstance(event, Preparing)]
    assert [type(event) for event in events] == [TrialOutcome, TrialOutcome, TrialFailure, TrialOutcome], "it counts"
    failed = events[2]
    assert isinstance(failed, TrialFailure) and (failed.reason, failed.message) == ("out_of_memory", "no 80 GiB here")
    shown = front(study)
    assert len(shown.points) == 3 and shown.failures == (failed,)
    assert [trial.state.name for trial in optuna_study(study).trials] == ["COMPLETE", "COMPLETE", "FAIL", "COMPLETE"]

    other = replace(study, name="other")
    again = recorded(other, pipe)
    events = [event for event in tune(other, pipe=pipe, evaluator=again) if not isinstance(event, Preparing)]
    assert isinstance(events[2], TrialFailure) and events[2].reason == "out_of_memory"
    assert again.measured == [], "what failed on this machine is known as well"


def test_any_figure_may_be_a_limit(tmp_path: Path, pipe: Any) -> None:  # noqa: ANN401
    study = study_at(tmp_path, "demo-dit", trials=3, limits=("psnr >= 30", "lpips_p90 <= 0.001"))
    outcomes(study, pipe)
    kept = optuna_study(study).trials
    for trial in kept:
        (psnr, *_), (p90, *_) = trial.user_attrs["psnr"], trial.user_attrs["lpips_p90"]
        assert trial.constraints == {"psnr >= 30": 30 - psnr, "lpips_p90 <= 0.001": p90 - 0.001}
    assert [point.within_limits for point in front(study).points] == [
        all(excess <= 0 for excess in trial.constraints.values()) for trial in kept
    ]
