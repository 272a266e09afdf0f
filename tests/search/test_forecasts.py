"""The forecast of features as a dimension of the search: found again, idle where nothing is reused, the same when resumed."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from shutil import rmtree
from typing import Any

import pytest

from frdiff_tune.errors import SpaceError
from frdiff_tune.policy import Policy
from frdiff_tune.runtime import Basis, Fitted, Recording, Taylor, apply_policy, forecast_features
from frdiff_tune.runtime.solver import timesteps_of
from frdiff_tune.search import Space, SpaceFile, Study, TrialOutcome, front, load_space, tune
from frdiff_tune.search.forecasts import FORECASTS
from frdiff_tune.search.space_file import FEATURES
from tests.search.recorded import made_up, recorded, study_at
from tests.tiny import tiny_dit

STEPS = 20
CUT = [0, 1, 2, 5, 6, 7, 12, 13]
"""Keyframes with three steps behind each gap, so that three computing steps can be weighed."""


def reusing(features: Sequence[str], **changes: Any) -> SpaceFile:
    """Returns the space of DiT, without the lam families that jump, and with these forecasts of features."""
    file = load_space("dit")
    mixing = file.mixing.model_copy(update={"families": ("none",)})
    forecast = file.forecast.model_copy(update={"features": tuple(features)})
    return file.model_copy(update={"mixing": mixing, "forecast": forecast, **changes})


@pytest.fixture(scope="module")
def pipe() -> Any:  # noqa: ANN401
    return tiny_dit("v_prediction")


@pytest.fixture(scope="module")
def space(pipe: Any) -> Space:  # noqa: ANN401
    return Space(reusing(list(FORECASTS)), pipe, STEPS, made_up)


def point(space: Space, *groups: str, features: str | None = None, **changes: Any) -> dict[str, Any]:
    """Returns parameters that reuse these groups between the keyframes of ``CUT``."""
    params: dict[str, Any] = {
        "num_inference_steps": STEPS,
        "scheduler": "DDIMScheduler/trailing",
        "keyframes.encoding": "keyframes",
        **space.gaps(CUT, STEPS),
        "mixing": "none",
        **space.mixing.idle,
        "forecast.order": 0,
        "forecast.strength": 1.0,
        "forecast.variable": "output",
        **{f"group.{name}": name in groups for name in space.file.groups},
    }
    return params | ({} if features is None else {FEATURES: features}) | changes


def times_of(space: Space) -> Sequence[float]:
    """Returns the timesteps that the policies of ``point`` walk."""
    return timesteps_of(space.schedulers["DDIMScheduler/trailing"], STEPS)


def test_every_forecast_is_another_policy_and_is_found_again(space: Space) -> None:
    policies = {name: space.decode(point(space, "attention", "feed_forward", features=name)) for name in FORECASTS}
    assert len({policy.digest for policy in policies.values()}) == len(FORECASTS)
    assert not policies["hold"].forecast
    for name, policy in policies.items():
        again = space.encode(policy)
        assert again is not None
        assert list(again) == list(space.distributions)
        assert space.holds(again)
        assert again[FEATURES] == name
        assert space.decode(again).digest == policy.digest
        basis = FORECASTS[name]
        longest = max((len(row) for table in policy.forecast.values() for row in table), default=1)
        assert longest == min(basis.nodes if isinstance(basis, Basis) else basis, 8), name


def test_it_is_what_forecast_features_makes(space: Space) -> None:
    held = space.decode(point(space, "attention", "guidance", features="hold"))
    assert space.decode(point(space, "attention", "guidance", features="taylor-1")) == forecast_features(held, Taylor(1))
    fitted = space.decode(point(space, "attention", "guidance", features="fitted-2"))
    assert set(fitted.forecast) == {"attention"}, "the guidance pair is held"
    assert space.recording is not None
    gram = space.recording.gram(held.groups["attention"], times_of(space))
    assert gram is not None
    assert fitted == forecast_features(held, {"attention": Fitted(gram, 2)})


def test_where_nothing_is_forecast_it_is_idle(space: Space) -> None:
    for groups in ((), ("guidance",)):
        assert len({space.decode(point(space, *groups, features=name)).digest for name in FORECASTS}) == 1
    again = space.encode(space.decode(point(space, "guidance", features="taylor-2")))
    assert again is not None
    assert again[FEATURES] == "hold"


def test_of_nested_groups_the_outer_one_is_forecast_by_its_own_sites(space: Space) -> None:
    both = space.decode(point(space, "attention", "block", features="fitted-2"))
    assert set(both.forecast) == {"block"}
    assert both.digest == space.decode(point(space, "block", features="fitted-2")).digest
    halves = {"front": ("transformer.transformer_blocks.0",), "attention": ("attention",)}
    mixed = Space(reusing(("hold", "fitted-2"), groups=halves), space.pipe, STEPS, made_up)
    policy = mixed.decode(point(mixed, "front", "attention", features="fitted-2"))
    assert [name.rpartition(".")[0][-1] for name in policy.groups["attention"]] == ["1", "2"], "of block 0 the block is reused"
    assert mixed.recording is not None
    gram = mixed.recording.gram(policy.groups["attention"], times_of(mixed))
    assert gram is not None
    alone = forecast_features(policy.replace(forecast={}), {"attention": Fitted(gram, 2)})
    assert policy.forecast["attention"] == alone.forecast["attention"]


@pytest.mark.parametrize("scheduler", ["DDIMScheduler/leading", "DPMSolverMultistepScheduler/trailing"])
def test_a_fit_is_read_at_another_walks_times(space: Space, scheduler: str) -> None:
    policy = space.decode(point(space, "block", features="fitted-2", num_inference_steps=15, scheduler=scheduler))
    assert policy.T == 15
    assert max(abs(weight) for row in policy.forecast["block"] for weight in row) < 10
    apply_policy(space.pipe, policy).remove()


def test_parameters_without_it_are_read_where_there_is_no_choice(space: Space) -> None:
    for only in ("hold", "taylor-1", "fitted-1"):
        fixed = Space(reusing([only]), space.pipe, STEPS, made_up)
        params = point(fixed, "block")
        assert FEATURES not in fixed.distributions
        assert fixed.holds(params)
        assert fixed.decode(params).digest == space.decode(point(space, "block", features=only)).digest
        again = fixed.encode(fixed.decode(params))
        assert again is not None
        assert FEATURES not in again


def test_recording_is_left_alone_where_nothing_is_fitted(pipe: Any) -> None:  # noqa: ANN401
    def record(groups: Mapping[str, Sequence[str]]) -> Recording:
        raise AssertionError("nothing is to be recorded")

    assert Space(reusing(["hold", "taylor-1"]), pipe, STEPS, record).recording is None
    without = Space(reusing(["hold", "fitted-2"]), pipe, STEPS)
    held = without.decode(point(without, "block", features="hold"))
    assert without.encode(held) is not None
    with pytest.raises(SpaceError, match="`record` must be given for a space .* but got 'fitted-2' and none"):
        without.decode(point(without, "block", features="fitted-2"))
    assert without.encode(forecast_features(held, Taylor(1))) is None


def test_a_group_that_was_not_recorded_is_held(pipe: Any) -> None:  # noqa: ANN401
    partly = Space(reusing(["hold", "fitted-2"]), pipe, STEPS, lambda groups: made_up({"a": groups["attention"]}))
    policy = partly.decode(point(partly, "attention", "feed_forward", features="fitted-2"))
    assert set(policy.groups) == {"attention", "feed_forward"}
    assert set(policy.forecast) == {"attention"}


def test_a_study_that_was_begun_before_there_was_a_choice_has_the_same_definition(tmp_path: Path) -> None:
    study = study_at(tmp_path, "demo-dit")
    assert study.definition["space_file.forecast"]["features"] == ["hold", "taylor-1"]
    space = reusing(["hold"])
    unfitted = space.forecast.model_copy(update={"fit": (0.0, 0.0)})
    before = replace(study, space=space.model_copy(update={"forecast": unfitted}))
    assert set(before.definition["space_file.forecast"]) == {"order", "strength", "variable"}


def fitting(folder: Path, **search: Any) -> Study:
    """Returns a small study of DiT whose reused features are held or fitted."""
    study = study_at(folder, "demo-dit", sampler="random", **search)
    call = study.file.call.model_copy(update={"num_inference_steps": STEPS})
    forecast = study.space.forecast.model_copy(update={"features": ("hold", "fitted-2")})
    mixing = study.space.mixing.model_copy(update={"families": ("none",)})
    space = study.space.model_copy(update={"forecast": forecast, "mixing": mixing})
    return replace(study, file=study.file.model_copy(update={"call": call}), space=space)


def outcomes(study: Study, count: int | None = None) -> list[TrialOutcome]:
    """Runs a study on a pipeline of its own, as another process would, to its end or for so many trials."""
    pipe = tiny_dit("v_prediction")
    run = (event for event in tune(study, pipe=pipe, evaluator=recorded(study, pipe)) if isinstance(event, TrialOutcome))
    return list(islice(run, count))


def test_a_study_that_is_resumed_decodes_to_the_same_policies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRDIFF_TUNE_CACHE", str(tmp_path / "cache"))
    whole = outcomes(fitting(tmp_path / "whole", trials=16))
    study = fitting(tmp_path / "parts", trials=16)
    first = outcomes(study, 10)
    assert len(list((tmp_path / "cache").rglob("output.pkl"))) == 1, "recorded once"
    rmtree(tmp_path / "cache")
    parts = [*first, *outcomes(study)]
    assert [outcome.params for outcome in parts] == [outcome.params for outcome in whole]
    assert [outcome.digest for outcome in parts] == [outcome.digest for outcome in whole], "recorded again, bit for bit"
    policies: list[Policy] = [found.policy for found in front(study).points]
    assert any(set(policy.forecast) & set(policy.groups) for policy in policies), "some were fitted"
