"""Phase: what a run is made of comes from what really runs, never from what a policy expects."""

from typing import Any

import diffusers as typed_diffusers
import pytest
import torch
from torch import Tensor

from frdiff_tune import apply_policy, frdiff_policy, full_policy, keyframe_policy
from frdiff_tune.errors import MismatchError
from tests.pipelines import ROWS
from tests.pipelines.stable_diffusion import sd_as
from tests.runtime.mixed import SD, guidance_ends, mixed

diffusers: Any = typed_diffusers


def test_a_loop_written_by_hand_equals_the_pipeline_s() -> None:
    pipe = SD.make()
    with apply_policy(pipe, mixed(pipe)) as applied:
        right = SD.render(applied, guidance_scale=1.0)
        trace = applied.trace
        assert torch.equal(_by_hand(pipe, applied), right)
        assert applied.trace == trace
        with pytest.raises(MismatchError, match="must be the policy's 6 but the loop walks 5"), applied.run(5):
            pass


def _by_hand(pipe: Any, applied: Any) -> Tensor:
    text = SD.call(0, 1, 1)["prompt_embeds"]
    torch.manual_seed(0)
    latents = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    with applied.run(SD.steps), torch.no_grad():
        pipe.scheduler.set_timesteps(SD.steps)
        for time in pipe.scheduler.timesteps:
            score = pipe.unet(latents, time, encoder_hidden_states=text).sample
            latents = pipe.scheduler.step(score, time, latents).prev_sample
    return latents


def test_guidance_in_part_of_the_run_runs_in_full_where_it_begins_and_ends() -> None:
    """A callback switches guidance off after step 2: from a pair of samples to one, between two keyframes."""
    pipe = SD.make()
    with apply_policy(pipe, keyframe_policy(pipe, 6, [0, 1], 1.0)) as applied:
        first = SD.render(applied, **guidance_ends())
        assert applied.trace.forced == (3,)
        assert applied.trace.mask("conv") == "110100"
        assert torch.equal(SD.render(applied, **guidance_ends()), first)


def test_guidance_switched_between_calls_and_batches_that_alternate() -> None:
    pipe = SD.make()
    calls: list[dict[str, Any]] = [{"guidance_scale": 1.0}, {"guidance_scale": 5.0}, {"guidance_scale": 1.0}]
    policy = mixed(pipe)
    alone = []
    for call in calls:
        with apply_policy(pipe, policy) as applied:
            alone.append(SD.render(applied, **call))
    with apply_policy(pipe, policy) as applied:
        for call, right in zip(calls, alone, strict=True):
            assert torch.equal(SD.render(applied, **call), right)
            assert applied.trace.forced == ()


def test_an_interrupted_run_is_followed_by_a_right_one() -> None:
    pipe = SD.make()

    def stop(pipe: Any, step: int, time: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        pipe._interrupt = step == 2
        return tensors

    with apply_policy(pipe, mixed(pipe)) as applied:
        right = SD.render(applied)
        SD.render(applied, callback_on_step_end=stop)
        assert len(applied.trace.steps) == 3
        assert torch.equal(SD.render(applied), right)
        assert applied.stored_bytes == 0


def test_another_strength_is_refused_and_a_stretched_policy_fits() -> None:
    row = ROWS["SD img2img"]
    pipe = row.make()
    policy = keyframe_policy(pipe, row.steps, [0, 2], T=4)
    with apply_policy(pipe, policy) as applied:
        right = row.render(applied)
        with pytest.raises(MismatchError, match=r"the policy has 4 but the call walks 3.*policy.resample\(6, 3\)"):
            row.render(applied, strength=0.5)
        assert torch.equal(row.render(applied), right)
        applied.use(policy.resample(6, 3))
        row.render(applied, strength=0.5)
        assert applied.trace.network == "111"


def test_serving_runs_plainly_what_does_not_fit() -> None:
    pipe = SD.make()
    plain = SD.render(pipe, num_inference_steps=8)
    with apply_policy(pipe, mixed(pipe), on_mismatch="plain") as applied:
        right = SD.render(applied)
        with pytest.warns(UserWarning, match="runs unaccelerated: `num_inference_steps` must be the policy's 6"):
            assert torch.equal(SD.render(applied, num_inference_steps=8), plain)
        assert "the call asks for 8" in applied.trace.plain
        assert applied.trace.steps == ()
        assert torch.equal(SD.render(applied), right)
        assert applied.trace.plain == ""
    img = ROWS["SD img2img"]
    pipe = img.make()
    plain = img.render(pipe, strength=0.5)
    with apply_policy(pipe, keyframe_policy(pipe, 6, [0, 2], T=4), on_mismatch="plain") as applied:
        with pytest.warns(UserWarning, match="the call walks 3"):
            assert torch.equal(img.render(applied, strength=0.5), plain)
        assert "the call walks 3" in applied.trace.plain


def test_a_controlnet_is_not_called_at_a_jump() -> None:
    row = ROWS["SD ControlNet"]
    pipe = row.make()
    calls = []
    handle = pipe.controlnet.conv_in.register_forward_hook(lambda *_: calls.append(1))
    with apply_policy(pipe, keyframe_policy(pipe, row.steps, [0, 1, 3], 0.0)) as applied:
        first = row.render(applied)
        assert len(calls) == 3
        assert applied.trace.network == "110100"
    handle.remove()
    bare = row.render(pipe)
    assert not torch.equal(first, bare)
    assert "forward" not in vars(pipe.controlnet), "it is its own again"


def test_a_controlnet_that_ends_early_is_not_reused_past_its_end() -> None:
    row = ROWS["SD ControlNet"]
    pipe = row.make()
    policy = keyframe_policy(pipe, row.steps, [0, 1], groups=["controlnet"])
    with apply_policy(pipe, policy) as applied:
        row.render(applied, control_guidance_end=0.5)
        assert applied.trace.mask("controlnet") == "110100"
        assert applied.trace.forced == (3,)


def test_a_refiner_goes_on_where_the_base_ended() -> None:
    row = ROWS["SDXL img2img"]
    pipe = row.make()
    latents = ROWS["SDXL base of a refiner"].render(ROWS["SDXL base of a refiner"].make())
    call = {"image": latents, "denoising_start": 0.5, "strength": None}
    arguments: dict[str, Any] = {key: value for key, value in call.items() if value is not None}
    bare = row.render(pipe, **arguments)
    policy = frdiff_policy(pipe, row.steps, 2, T=3)
    with apply_policy(pipe, full_policy(pipe, row.steps, T=3)) as applied:
        assert torch.equal(row.render(applied, **arguments), bare)
        applied.use(policy)
        assert not torch.equal(row.render(applied, **arguments), bare)
        assert applied.trace.network == "101"


def test_a_loop_written_by_hand_outside_of_run_is_plain_and_says_so() -> None:
    pipe = SD.make()
    text, x = SD.call(0, 1, 1)["prompt_embeds"], torch.randn(1, 4, 8, 8)

    def walk() -> Tensor:
        latents = x
        pipe.scheduler.set_timesteps(SD.steps)
        for time in pipe.scheduler.timesteps:
            score = pipe.unet(latents, time, encoder_hidden_states=text).sample
            latents = pipe.scheduler.step(score, time, latents).prev_sample
        return latents

    with torch.no_grad():
        plain = walk()
        with apply_policy(pipe, mixed(pipe)) as applied:
            with pytest.warns(UserWarning, match="only inside `with applied.run"):
                assert torch.equal(walk(), plain)
            assert "only inside `with applied.run" in applied.trace.plain
            with applied.run():
                assert not torch.equal(walk(), plain)
            assert applied.trace.plain == ""


def test_a_loop_written_by_hand_that_ends_early_is_told() -> None:
    pipe = SD.make()
    text = SD.call(0, 1, 1)["prompt_embeds"]
    with apply_policy(pipe, mixed(pipe)) as applied, torch.no_grad():
        with pytest.raises(MismatchError, match="must walk the policy's 6 steps.*but it walked 3"), applied.run():
            pipe.scheduler.set_timesteps(SD.steps)
            x = torch.randn(1, 4, 8, 8)
            for time in pipe.scheduler.timesteps[:3]:
                x = pipe.scheduler.step(pipe.unet(x, time, encoder_hidden_states=text).sample, time, x).prev_sample
        assert applied.stored_bytes == 0
        with pytest.raises(MismatchError, match="but it walked 0"), applied.run():
            pass
        with pytest.raises(ValueError, match="the user's own"), applied.run():
            raise ValueError("the user's own")


def test_a_network_called_from_a_callback_is_no_part_of_the_run() -> None:
    pipe = SD.make()
    text = SD.call(0, 1, 1)["prompt_embeds"]

    def preview(_: Any, step: int, time: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        pipe.unet(30.0 * tensors["latents"], time, encoder_hidden_states=text)
        return tensors

    with apply_policy(pipe, mixed(pipe)) as applied:
        right = SD.render(applied)
        trace = applied.trace
        assert torch.equal(SD.render(applied, callback_on_step_end=preview), right)
        assert applied.trace == trace


def test_timesteps_of_the_user_s_own_are_refused() -> None:
    pipe = SD.make()
    pipe.scheduler = diffusers.DPMSolverMultistepScheduler.from_config(pipe.scheduler.config)
    own = [999, 800, 600, 400, 100, 20]
    policy = keyframe_policy(pipe, SD.steps, [0, 1, 3], 0.0, order=1)
    listed = policy.replace(sampling=policy.sampling.model_copy(update={"timesteps": tuple(float(time) for time in own)}))
    with apply_policy(pipe, policy) as applied:
        right = SD.render(applied)
        with pytest.raises(MismatchError, match="`timesteps` must be those that the policy was made for"):
            SD.render(applied, timesteps=own)
        assert torch.equal(SD.render(applied), right)
        applied.use(listed)
        walked = SD.render(applied)
        assert not torch.equal(walked, right)
        assert pipe.scheduler.timesteps.tolist() == own
        assert torch.equal(SD.render(applied, timesteps=own), walked)
        with pytest.raises(MismatchError, match="`timesteps` must be those"):
            SD.render(applied, timesteps=[999, 800, 600, 400, 100, 10])


def test_a_pipeline_that_steps_its_scheduler_for_every_view_is_refused() -> None:
    pipe = sd_as("StableDiffusionPanoramaPipeline")
    with apply_policy(pipe, keyframe_policy(pipe, 6, [0, 2, 4], 0.0)) as applied:
        with pytest.raises(MismatchError, match="must be called once per step of the walk.*several views"):
            SD.render(applied, width=768, height=512)


def test_a_step_count_given_by_position() -> None:
    pipe = SD.make()
    with apply_policy(pipe, mixed(pipe)) as applied, torch.no_grad():
        words = {key: value for key, value in SD.call(0, 1, 1).items() if "embeds" in key}
        applied(None, None, None, SD.steps, output_type="latent", **words)
        assert applied.trace.network == "111110"


def test_a_controlnet_that_returns_its_class() -> None:
    row = ROWS["SD ControlNet"]
    pipe = row.make()
    text, x, hint = torch.randn(1, 16, 16), torch.randn(1, 4, 8, 8), torch.rand(1, 3, 32, 32)
    calls: list[int] = []
    handle = pipe.controlnet.conv_in.register_forward_hook(lambda *_: calls.append(1))

    def walk() -> Tensor:
        latents = x
        pipe.scheduler.set_timesteps(6)
        for time in pipe.scheduler.timesteps:
            given = pipe.controlnet(latents, time, encoder_hidden_states=text, controlnet_cond=hint)
            options: dict[str, Any] = {
                "down_block_additional_residuals": given.down_block_res_samples,
                "mid_block_additional_residual": given.mid_block_res_sample,
            }
            score = pipe.unet(latents, time, encoder_hidden_states=text, **options).sample
            latents = pipe.scheduler.step(score, time, latents).prev_sample
        return latents

    with torch.no_grad():
        plain = walk()
        with apply_policy(pipe, full_policy(pipe, 6)) as applied:
            with applied.run():
                assert torch.equal(walk(), plain)
            applied.use(keyframe_policy(pipe, 6, [0, 2, 4], 0.0))
            calls.clear()
            with applied.run():
                walk()
            assert len(calls) == 3
    handle.remove()


def test_what_else_a_network_returns_is_passed_on() -> None:
    pipe = ROWS["a toy of the tests' own"].make()
    forward = pipe.transformer.forward
    object.__setattr__(pipe.transformer, "forward", lambda *args, **kwargs: (*forward(*args, **kwargs), "more"))
    with apply_policy(pipe, full_policy(pipe, 6)) as applied, torch.no_grad(), applied.run():
        pipe.scheduler.set_timesteps(6)
        x = torch.randn(1, 4, 8, 8)
        for time in pipe.scheduler.timesteps:
            score, more = pipe.transformer(x, time)
            assert more == "more"
            x = pipe.scheduler.step(score, time, x).prev_sample
