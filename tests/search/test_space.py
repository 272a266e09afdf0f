"""The space on the right architecture: every vector is a valid policy, and every policy of it is found again."""

from typing import Any

import optuna
import pytest

from frdiff_tune.errors import MismatchError, SpaceError
from frdiff_tune.measure import Case, Walk
from frdiff_tune.policy import Policy
from frdiff_tune.runtime import full_policy, keyframe_policy
from frdiff_tune.search import Space, load_space, load_study, shipped
from frdiff_tune.search.grouping import without_nesting
from frdiff_tune.search.starting import starting_points
from tests.pipelines import ROWS
from tests.search.recorded import made_up
from tests.tiny import tiny_dit, tiny_pixart, tiny_sd, tiny_sdxl

PIPES: dict[str, Any] = {
    "stable-diffusion": tiny_sd,
    "sdxl": tiny_sdxl,
    "dit": tiny_dit,
    "pixart": tiny_pixart,
    "transformer": lambda _: ROWS["SD 3"].make(),
    "flux": lambda _: ROWS["FLUX text to image"].make(),
}


def draws(space: Space, count: int, seed: int = 0) -> list[dict[str, Any]]:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    return [study.ask(space.distributions).params for _ in range(count)]


@pytest.fixture(scope="module")
def space() -> Space:
    return Space(load_space("stable-diffusion"), tiny_sd("v_prediction"), 50, made_up)


def test_every_shipped_space_has_its_architecture_here() -> None:
    assert set(shipped("search_spaces")) == set(PIPES)


@pytest.mark.parametrize(
    ("name", "prediction_type"), [*((name, "v_prediction") for name in PIPES), ("stable-diffusion", "epsilon")]
)
def test_vectors_are_policies_that_encode_back(name: str, prediction_type: str) -> None:
    space = Space(load_space(name), PIPES[name](prediction_type), 50, made_up)
    for params in draws(space, 40):
        policy = space.decode(params)
        assert Policy.model_validate_json(policy.model_dump_json(by_alias=True)).digest == policy.digest
        again = space.encode(policy)
        assert again is not None
        assert list(again) == list(space.distributions)
        assert space.holds(again)
        assert space.decode(again).digest == policy.digest


@pytest.mark.parametrize("study", sorted(shipped("studies")))
def test_shipped_studies_decode_on_their_architecture(study: str) -> None:
    loaded = load_study(study)
    pipe = PIPES[loaded.file.space.name]("v_prediction")
    space = Space(loaded.space, pipe, loaded.file.call.num_inference_steps, made_up)
    assert all(space.decode(params).nfe >= 1 for params in draws(space, 5))


def test_where_nothing_is_reused_or_jumped_it_is_the_full_policy(space: Space) -> None:
    params = draws(space, 1)[0]
    off = dict.fromkeys((name for name in params if name.startswith("group.")), False)
    shape = {"mixing": "none", "num_inference_steps": 20, "scheduler": "DDIMScheduler/trailing"}
    policy = space.decode({**params, **off, **shape})
    assert policy.digest == full_policy(space.pipe, 20, scheduler=space.schedulers["DDIMScheduler/trailing"]).digest


def test_policies_outside_the_space_are_not_encoded(space: Space) -> None:
    pipe = space.pipe
    assert space.encode(full_policy(pipe, 60)) is None
    assert space.encode(full_policy(pipe, 20, scheduler="DDPMScheduler")) is None
    assert space.encode(keyframe_policy(pipe, 50, [0, 3], mixing=0.0)) is None  # fewer keyframes than the space allows
    assert space.encode(keyframe_policy(pipe, 50, range(0, 50, 3), mixing=0.123, groups=[])) is None


def test_a_policy_made_by_hand_is_encoded(space: Space) -> None:
    policy = keyframe_policy(space.pipe, 50, [0, 1, 3, 9, 30], mixing=0.0, groups=[], order=1, variable="epsilon")
    params = space.encode(policy)
    assert params is not None
    assert params["keyframes.encoding"] == "keyframes"
    assert (params["mixing"], params["forecast.order"], params["forecast.variable"]) == ("jump", 1, "epsilon")
    assert [params[f"keyframes.gap_0{i}"] for i in range(1, 5)] == [1, 2, 6, 21]


@pytest.mark.parametrize("strength", [-0.5, -0.25, 0.05, 1.0])
def test_the_strength_of_a_forecast_is_found_again(space: Space, strength: float) -> None:
    policy = keyframe_policy(space.pipe, 50, [0, 1, 3, 9, 30], 0.0, [], order=2, variable="epsilon", strength=strength)
    params = space.encode(policy)
    assert params is not None
    assert (params["forecast.order"], params["forecast.strength"]) == (2, strength)


def test_a_forecast_of_no_strength_holds(space: Space) -> None:
    held = keyframe_policy(space.pipe, 50, [0, 1, 3, 9, 30], 0.0, [], variable="epsilon")
    still = keyframe_policy(space.pipe, 50, [0, 1, 3, 9, 30], 0.0, [], order=1, variable="epsilon", strength=0.0)
    assert still.digest == held.digest


def test_a_space_without_strength_has_no_such_parameter() -> None:
    file = load_space("dit")
    fixed = file.model_copy(update={"forecast": file.forecast.model_copy(update={"strength": (0.25, 0.25)})})
    space = Space(fixed, tiny_dit("v_prediction"), 50)
    assert "forecast.strength" not in space.distributions
    policy = keyframe_policy(space.pipe, 50, [0, 1, 3, 9, 30], 0.0, [], order=1, variable="epsilon", strength=0.25)
    params = space.encode(policy)
    assert params is not None
    assert space.decode(params).digest == policy.digest


def test_only_solvers_that_the_pipeline_can_run_are_in() -> None:
    file = load_space("stable-diffusion")
    assert any(name.startswith("Euler") for name in Space(file, tiny_sd(), 50).schedulers)
    asked = load_space("dit").steps.model_copy(update={"scheduler": ("DDIMScheduler", "EulerDiscreteScheduler")})
    space = Space(load_space("dit").model_copy(update={"steps": asked}), tiny_dit(), 50)
    assert not any(name.startswith("Euler") for name in space.schedulers)
    none = asked.model_copy(update={"scheduler": ("EulerDiscreteScheduler",)})
    with pytest.raises(SpaceError, match=r"`steps.scheduler` must name a solver that DiTPipeline can run"):
        Space(load_space("dit").model_copy(update={"steps": none}), tiny_dit(), 50)


def test_the_networks_own_output_is_no_second_variable() -> None:
    assert Space(load_space("dit"), tiny_dit("epsilon"), 50).variables == ("output", "sample")
    assert Space(load_space("dit"), tiny_dit("v_prediction"), 50).variables == ("epsilon", "output", "sample")


def test_steps_above_the_references_are_cut_off() -> None:
    space = Space(load_space("dit"), tiny_dit(), 20)
    assert space.steps == (4, 20)
    assert "keyframes.gap_19" in space.distributions
    assert "keyframes.gap_20" not in space.distributions


def test_a_strength_shortens_every_policy() -> None:
    pipe = ROWS["SD img2img"].make()
    space = Space(load_space("stable-diffusion"), pipe, 20, made_up, walk=Walk(pipe, call={"strength": 0.2}))
    for params in draws(space, 30):
        policy = space.decode(params)
        steps = policy.sampling.num_inference_steps
        assert steps == max(params["num_inference_steps"], 5), "of 4 steps none is walked: it means 5"
        assert policy.T == int(0.2 * steps)
        again = space.encode(policy)
        assert again is not None and space.decode(again).digest == policy.digest
    points = starting_points(space)
    assert {space.decode(point.params).T for point in points} >= {4, 2, 1}
    assert {point.family for point in points} >= {"known: full", "known: fewer steps", "known: FRDiff", "known: jump"}


def test_cases_that_part_leave_their_common_step_counts() -> None:
    pipe = ROWS["SD img2img"].make()
    cases = [Case({"prompt": "a fox", "strength": strength}) for strength in (0.7, 0.65)]
    space = Space(load_space("stable-diffusion"), pipe, 8, made_up, walk=Walk(pipe, cases))
    label = next(iter(space.schedulers))
    found = [space.full(steps, label).sampling for steps in (4, 5, 6, 7, 8)]
    assert [(sampling.num_inference_steps, sampling.T) for sampling in found] == [(4, 2), (5, 3), (7, 4), (7, 4), (8, 5)]
    with pytest.raises(SpaceError, match="must leave steps to walk, for every case the same, but up to 9 no solver"):
        Space(load_space("stable-diffusion"), pipe, 9, made_up, walk=Walk(pipe, cases))


def test_the_outer_of_nested_groups_wins() -> None:
    groups = {"deep": ("unet.mid",), "conv": ("unet.mid.conv", "unet.up.conv"), "both": ("unet.up.conv.norm",)}
    assert without_nesting(groups, ["conv", "deep"]) == {"deep": ("unet.mid",), "conv": ("unet.up.conv",)}
    assert without_nesting(groups, ["conv", "both"]) == {"conv": groups["conv"]}
    assert without_nesting(groups, ["both"]) == {"both": groups["both"]}


def test_a_group_that_matches_nothing_is_refused() -> None:
    file = load_space("dit").model_copy(update={"groups": {"odd": ("transformer.nowhere.*",)}})
    with pytest.raises(MismatchError, match=r"`groups.odd` must name sites of the model but 'transformer.nowhere"):
        Space(file, tiny_dit(), 50)
