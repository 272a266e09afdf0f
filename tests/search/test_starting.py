"""Starting points: all kinds among the first, none twice, none outside the space."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import DDIMScheduler
from diffusers.schedulers import AysSchedules

from frdiff_tune.runtime import apply_policy, keyframe_policy
from frdiff_tune.runtime.solver import timesteps_of
from frdiff_tune.search import Space, autofr, load_space, setting, starting_points
from frdiff_tune.search.starting import ramp
from frdiff_tune.search.starting.timestep_lists import aligned_keyframes
from tests.pipelines import ROWS
from tests.search.recorded import study_at
from tests.tiny import tiny_dit, tiny_pixart, tiny_sd, tiny_sdxl

PIPES: dict[str, Any] = {
    "stable-diffusion": tiny_sd,
    "sdxl": tiny_sdxl,
    "dit": tiny_dit,
    "pixart": tiny_pixart,
    "transformer": lambda _: ROWS["SD 3"].make(),
    "flux": lambda _: ROWS["FLUX text to image"].make(),
}
FAMILIES = {"known: full", "known: fewer steps", "known: FRDiff", "known: jump", "starting: whole blocks"}
LISTED = "known: align your steps"


def test_ramp_by_hand() -> None:
    assert ramp(50, 5, 1e9) == (0, 1, 2, 18, 34)  # 1, 1, then three gaps of 16
    assert ramp(12, 6, 2.0) == (0, 1, 2, 4, 7, 9)  # 1, 1, 2, then three gaps of 8/3
    assert ramp(6, 6, 2.0) == (0, 1, 2, 3, 4, 5)
    assert ramp(50, 4, 1.5) == (0, 1, 2, 4)  # too few to reach a plateau
    assert ramp(15, 9, 2.0, (2, 1)) == (0, 1, 2, 4, 6, 8, 10, 12, 14)  # gaps 1, 1, 2 and four of 2 fill 12; then 2 and 1


@pytest.mark.parametrize("name", PIPES)
def test_all_kinds_are_among_the_first_and_none_repeats(name: str) -> None:
    space = Space(load_space(name), PIPES[name]("v_prediction"), 50)
    points = starting_points(space, 80)
    assert len(points) == (36 if hasattr(space.pipe.scheduler, "alphas_cumprod") else 20), "45 % of 80, or all there are"
    assert {point.family for point in points[:11]} - {LISTED} == FAMILIES
    assert (LISTED in {point.family for point in points}) == hasattr(space.pipe.scheduler, "alphas_cumprod")
    policies = [space.decode(point.params) for point in points]
    assert len({policy.digest for policy in policies}) == len(points)
    for point, policy in zip(points, policies, strict=True):
        assert space.holds(point.params)
        again = space.encode(policy)
        assert again is not None
        assert space.decode(again).digest == policy.digest
        if point.family == "starting: whole blocks":
            assert policy.nfe == 50 and set(policy.masks.values()) == {policy.keyframes}
            named = {name for name in ("deep", "shallow", "block") if name in space.groups}
            assert set(policy.masks) == named


def test_their_share_follows_the_trials() -> None:
    space = Space(load_space("dit"), tiny_dit("epsilon"), 50)
    assert [len(starting_points(space, trials)) for trials in (1, 10, 40, 1000, None)] == [0, 4, 18, 40, 40]


def test_what_a_space_does_not_hold_is_left_out() -> None:
    file = load_space("dit")
    steps = file.steps.model_copy(update={"num_inference_steps": (15, 50), "spacing": ("trailing",)})
    keyframes = file.keyframes.model_copy(update={"encodings": ("keyframes",), "count": (10, 30)})
    space = Space(file.model_copy(update={"steps": steps, "keyframes": keyframes}), tiny_dit("epsilon"), 50)
    points = starting_points(space)
    families = {"known: full", "known: fewer steps", "starting: whole blocks", LISTED}
    assert {point.family for point in points} == families
    assert all(point.params["num_inference_steps"] >= 15 for point in points)
    for point in points:
        if point.family.startswith("starting"):
            assert 10 <= space.decode(point.params).keyframes.count("1") <= 30


def test_a_timestep_list_is_a_keyframe_set() -> None:
    pipe: Any = tiny_sd("epsilon")
    betas: dict[str, Any] = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
    pipe.scheduler = DDIMScheduler(**betas, timestep_spacing="trailing")
    keyframes = aligned_keyframes(pipe, 50, 50, 10)
    assert keyframes is not None and len(keyframes) == 10
    times = timesteps_of(pipe.scheduler, 50)
    for t, listed in zip(keyframes, AysSchedules["StableDiffusionTimesteps"], strict=True):
        assert abs(times[t] - listed) <= 11, "half of the reference's gap of 20, and the list's own rounding"
    assert aligned_keyframes(ROWS["SD 3"].make(), 50, 50, 10) is None, "flow matching has other noise levels"


def test_held_scores_of_ddim_are_ddim_at_fewer_steps() -> None:
    pipe = tiny_dit("epsilon")
    pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config, timestep_spacing="trailing", clip_sample=False)
    call: dict[str, Any] = {"class_labels": [1, 2], "output_type": "np", "guidance_scale": 2.0}

    def drawn(steps: int) -> Any:  # noqa: ANN401
        return pipe(**call, num_inference_steps=steps, generator=torch.manual_seed(0)).images

    few = drawn(10)
    with apply_policy(pipe, keyframe_policy(pipe, 50, range(0, 50, 5), 0.0, {}, variable="epsilon")):
        jumped = drawn(50)
    assert abs(few - drawn(50)).max() > 1e-3
    assert abs(few - jumped).max() < 1e-4


def test_gates_are_learnt_once_where_a_study_begins_with_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRDIFF_TUNE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(autofr, "PASSES", 2)
    pipe = tiny_dit("epsilon")
    spaces = []
    for kinds in (("autofr",), ("autofr",), None):
        study = study_at(tmp_path, "demo-dit", starting_points=kinds)
        call = study.file.call.model_copy(update={"num_inference_steps": 12})
        study = replace(study, file=study.file.model_copy(update={"call": call}))
        spaces.append(setting.space_of(study, pipe, setting.search_cases(study, pipe)))
    first, again, without = spaces
    assert first.gates == again.gates and len(first.gates) == len(autofr.PRICES)
    assert len(list((tmp_path / "cache" / "gates").glob("*/*"))) == 1
    assert without.gates == ()
    points = starting_points(first, 40, ("autofr",))
    assert [point.family for point in points[:2]] == ["known: full", "starting: Auto-FR"]
    assert first.decode(points[1].params).keyframes.count("1") == round(17 * 12 / 50)
    assert {point.family for point in starting_points(without, 40, ("autofr",))} == {"known: full"}
