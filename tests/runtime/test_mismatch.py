"""What does not belong together is refused, with both sides and the cure in the message, and nothing half-applied."""

from typing import Any

import pytest
import torch

from frdiff_tune import apply_policy, frdiff_policy, full_policy, keyframe_policy
from frdiff_tune.demo import model_folder
from frdiff_tune.errors import MismatchError, ModelError, PolicyError
from frdiff_tune.policy import Policy, SchedulerInfo
from frdiff_tune.runtime import load_pipeline, make_scheduler, match_groups
from tests.pipelines import ROWS
from tests.runtime.rendering import render, snapshot
from tests.tiny import tiny_dit, tiny_pixart, tiny_sd

STEPS = 6


@pytest.fixture
def pipe() -> Any:
    return tiny_sd()


def refused(pipe: Any, policy: Policy, message: str) -> None:
    """Checks that a policy is refused and that the pipeline is untouched."""
    before, scheduler = snapshot(pipe), pipe.scheduler
    with pytest.raises(MismatchError, match=message):
        apply_policy(pipe, policy)
    assert snapshot(pipe) == before
    assert pipe.scheduler is scheduler
    apply_policy(pipe, full_policy(pipe, STEPS)).remove()


def test_another_denoiser(pipe: Any) -> None:
    refused(pipe, full_policy(tiny_dit(), STEPS), "is for DiTTransformer2DModel .* but the pipeline has UNet2DConditionModel")


def test_another_prediction_type(pipe: Any) -> None:
    theirs = full_policy(tiny_sd("v_prediction"), STEPS)
    refused(pipe, theirs, "`prediction_type` must be the model's.*'v_prediction'.*'epsilon'")


def test_another_noise_schedule(pipe: Any) -> None:
    refused(pipe, full_policy(tiny_sd(beta_end=0.02), STEPS), "`beta_end` must be the model's.*0.02.*0.012")


def test_unknown_sites(pipe: Any) -> None:
    policy = full_policy(pipe, STEPS).replace(groups={"a": ("unet.nowhere",)}, masks={"a": "100000"})
    refused(pipe, policy, "sites that the model has but 'unet.nowhere' is none of its")


def test_an_unknown_scheduler_class(pipe: Any) -> None:
    sampling = full_policy(pipe, STEPS).sampling
    odd = SchedulerInfo(name="StableDiffusionPipeline", config=sampling.scheduler.config)
    policy = full_policy(pipe, STEPS).replace(sampling=sampling.model_copy(update={"scheduler": odd}))
    refused(pipe, policy, "must be a scheduler of diffusers")


def test_apply_twice(pipe: Any) -> None:
    with apply_policy(pipe, full_policy(pipe, STEPS)) as applied:
        with pytest.raises(MismatchError, match="already follows one.*`.use"):
            apply_policy(pipe, full_policy(pipe, STEPS))
        render(applied, pipe)
    apply_policy(pipe, full_policy(pipe, STEPS)).remove()


def test_a_swapped_scheduler(pipe: Any) -> None:
    with apply_policy(pipe, frdiff_policy(pipe, STEPS, 2)) as applied:
        right = render(applied, pipe)
        ours = pipe.scheduler
        pipe.scheduler = make_scheduler(pipe, "EulerDiscreteScheduler")
        with pytest.raises(MismatchError, match="`pipe.scheduler` must stay.*DDIMScheduler.*EulerDiscreteScheduler"):
            render(applied, pipe)
        pipe.scheduler = ours
        assert torch.equal(render(applied, pipe), right)


def test_a_user_s_new_scheduler_survives_removal(pipe: Any) -> None:
    applied = apply_policy(pipe, full_policy(pipe, STEPS))
    pipe.scheduler = theirs = make_scheduler(pipe, "EulerDiscreteScheduler")
    applied.remove()
    assert pipe.scheduler is theirs


def test_a_policy_that_was_removed(pipe: Any) -> None:
    applied = apply_policy(pipe, full_policy(pipe, STEPS))
    applied.remove()
    applied.remove()
    with pytest.raises(MismatchError, match="was removed"):
        applied("a fox")
    with pytest.raises(MismatchError, match="was removed"):
        applied.use(full_policy(pipe, STEPS))


def test_use_keeps_the_old_policy_if_the_new_one_does_not_fit(pipe: Any) -> None:
    first = frdiff_policy(pipe, STEPS, 2)
    with apply_policy(pipe, first) as applied:
        right = render(applied, pipe)
        with pytest.raises(MismatchError):
            applied.use(full_policy(tiny_dit(), STEPS))
        assert applied.policy == first
        assert torch.equal(render(applied, pipe), right)


def test_a_run_that_walks_another_length(pipe: Any) -> None:
    """As img2img does: the loop begins in the middle of the scheduler's timesteps."""
    policy = frdiff_policy(pipe, STEPS, 2)
    with apply_policy(pipe, policy) as applied, pytest.raises(MismatchError, match="the policy has 6 but the call walks 4"):
        with applied.run():
            pipe.scheduler.set_timesteps(STEPS)
            late = pipe.scheduler.timesteps[2]
            pipe.unet(torch.zeros(1, 4, 8, 8), late, encoder_hidden_states=torch.zeros(1, 16, 16))


@pytest.mark.parametrize("make", [tiny_dit])
def test_scaled_noise_is_refused_where_the_pipeline_does_not_scale(make: Any) -> None:
    with pytest.raises(MismatchError, match="does not scale its noise.*EulerDiscreteScheduler asks for"):
        make_scheduler(make(), "EulerDiscreteScheduler")


def test_builders_refuse_bad_numbers(pipe: Any) -> None:
    for wrong, message in [
        (lambda: full_policy(pipe, 0), "`steps` must be a whole number"),
        (lambda: full_policy(pipe, True), "`steps`"),
        (lambda: full_policy(pipe, 5, T=6), r"`T` must lie in \[1, 5\]"),
        (lambda: frdiff_policy(pipe, 5, 0), "`interval` must be a whole number from 1"),
        (lambda: keyframe_policy(pipe, 5, [1, 2]), "must hold step 0"),
        (lambda: keyframe_policy(pipe, 5, [0, 5]), r"must lie in \[0, 5\) but got 5"),
        (lambda: keyframe_policy(pipe, 5, [0], mixing=True), "`mixing` must be a number or one per step but got True"),
        (lambda: keyframe_policy(pipe, 5, [0], mixing=[1.0, 0.5]), "`mixing` must have length T = 5 but got 2"),
        (lambda: keyframe_policy(pipe, 5, [0], order=-1), "`order`"),
        (lambda: keyframe_policy(pipe, 5, [0], order=1, strength=float("nan")), "`strength`"),
    ]:
        with pytest.raises(PolicyError, match=message):
            wrong()
    with pytest.raises(MismatchError, match="It has .*'attention', 'conv'"):
        keyframe_policy(pipe, 5, [0], groups=["convolutions"])
    with pytest.raises(MismatchError, match="'unet.*.resnet' matches none. Near: unet"):
        match_groups(pipe, {"conv": ["unet.*.resnet"]})


def test_models_that_are_not_to_be_had() -> None:
    for source, message in [
        ("demo:emoij", "emoij"),
        ("nowhere/at-all", "'nowhere/at-all' could not be loaded"),
        ("no_such_module:factory", "is not importable"),
        ("tests.tiny:no_such_function", "is not importable"),
    ]:
        with pytest.raises(ModelError, match=message):
            load_pipeline(source, device="cpu")
    with pytest.raises(ModelError, match="`dtype` must be one of"):
        load_pipeline("demo:emoji", dtype="half", device="cpu")
    with pytest.raises(ModelError, match="`device` must name a device"):
        load_pipeline("demo:emoji", device="gpu")
    assert type(load_pipeline("tests.tiny:tiny_pixart", device="cpu")) is type(tiny_pixart())


def test_a_model_as_another_class() -> None:
    pipe = load_pipeline("demo:emoji", device="cpu", pipeline="StableDiffusionInpaintPipeline")
    assert type(pipe).__name__ == "StableDiffusionInpaintPipeline"
    made = load_pipeline("tests.tiny:tiny_sd", device="cpu", pipeline="StableDiffusionImg2ImgPipeline")
    assert type(made).__name__ == "StableDiffusionImg2ImgPipeline" and made.unet.config.sample_size == 8
    for name, message in [
        ("StableDiffusionImg2Img", "must be a pipeline class of diffusers .* Did you mean .*StableDiffusionImg2ImgPipeline"),
        ("DiTPipeline", "must be a class that '.*' has all parts of but got 'DiTPipeline', which needs transformer too"),
        ("StableDiffusionControlNetPipeline", "has all parts of but got .*needs controlnet too.* source = 'package"),
    ]:
        for source in ("demo:emoji", str(model_folder("emoji")), "tests.tiny:tiny_sd"):
            with pytest.raises(ModelError, match=message):
                load_pipeline(source, device="cpu", pipeline=name)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_cuda_asked_for_where_there_is_none() -> None:
    with pytest.raises(ModelError, match="sees no CUDA device"):
        load_pipeline("demo:emoji", device="cuda")


def test_timesteps_for_a_solver_that_takes_none(pipe: Any) -> None:
    sampling = full_policy(pipe, STEPS).sampling.model_copy(update={"timesteps": (999.0, 800.0, 600.0, 400.0, 100.0, 20.0)})
    refused(pipe, full_policy(pipe, STEPS).replace(sampling=sampling), "`sampling.timesteps` must be null for DDIMScheduler")


def test_another_shift_of_the_flow() -> None:
    """Solvers of flow matching call the shift by two names; a policy may change the solver, not the shift."""
    pipe = ROWS["Wan 2.1"].make()
    other = make_scheduler(pipe, "FlowMatchEulerDiscreteScheduler")
    assert other.config["shift"] == pipe.scheduler.config["flow_shift"] == 3.0
    with apply_policy(pipe, full_policy(pipe, STEPS, scheduler=other)) as applied:
        assert torch.isfinite(ROWS["Wan 2.1"].render(applied)).all()
        assert type(pipe.scheduler) is type(other)
    theirs = full_policy(pipe, STEPS)
    config = {**theirs.sampling.scheduler.config, "flow_shift": 1.0}
    info = SchedulerInfo(name="UniPCMultistepScheduler", config=config)
    policy = theirs.replace(sampling=theirs.sampling.model_copy(update={"scheduler": info}))
    with pytest.raises(MismatchError, match="`shift` must be the model's: UniPCMultistepScheduler of the policy has 1.0.*3.0"):
        apply_policy(pipe, policy)
    sd3 = ROWS["SD 3"].make()
    with apply_policy(sd3, full_policy(sd3, STEPS, scheduler="UniPCMultistepScheduler")) as applied:
        assert torch.isfinite(ROWS["SD 3"].render(applied)).all()


def test_a_block_that_diffusers_registers_otherwise_than_it_works() -> None:
    toy = ROWS["a toy of the tests' own"]
    pipe = toy.make()
    policy = keyframe_policy(pipe, toy.steps, [0, 2], groups=["block"])
    pipe.transformer.layers[0].forward = lambda hidden_states, scale: hidden_states[:, :4]
    with apply_policy(pipe, policy) as applied, pytest.raises(MismatchError, match="diffusers registers this block otherwise"):
        toy.render(applied)
