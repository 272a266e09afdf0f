"""Phase: what a run is made of comes from what really runs, never from what a policy expects."""

from typing import Any

import pytest
import torch
from torch import Tensor

from frdiff_tune import apply_policy, frdiff_policy, full_policy, keyframe_policy
from frdiff_tune.errors import MismatchError
from tests.pipelines import ROWS
from tests.runtime.mixed import SD, mixed


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

    def off(pipe: Any, step: int, time: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        if step == 2:
            pipe._guidance_scale = 1.0
            tensors["prompt_embeds"] = tensors["prompt_embeds"].chunk(2)[1]
        return tensors

    options: dict[str, Any] = {"callback_on_step_end": off, "callback_on_step_end_tensor_inputs": ["latents", "prompt_embeds"]}
    with apply_policy(pipe, keyframe_policy(pipe, 6, [0, 1], 1.0)) as applied:
        first = SD.render(applied, **options)
        assert applied.trace.forced == (3,)
        assert applied.trace.mask("conv") == "110100"
        assert torch.equal(SD.render(applied, **options), first)


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
        assert list(applied._run._tensors()) == []


def test_separate_passes_share_nothing() -> None:
    """FLUX with true guidance runs the network twice per step; each half alone gives what it gives in the pair."""
    row = ROWS["FLUX with true guidance"]
    pipe = row.make()
    policy = keyframe_policy(pipe, row.steps, [0, 3], [1, 0.5, 0, 1, 0.5, 0])
    with apply_policy(pipe, policy) as applied:
        right = row.render(applied)
        assert [step.network_calls for step in applied.trace.steps] == [2, 2, 0, 2, 2, 0]
        assert torch.equal(row.render(applied), right)
        other = row.render(applied, negative_prompt_embeds=torch.zeros(1, 6, 32))
        assert not torch.equal(other, right)
    row_one = ROWS["FLUX text to image"]
    with apply_policy(pipe, policy) as applied:
        same = {
            "true_cfg_scale": 3.0,
            **{f"negative_{key}": value for key, value in row_one.call(0, 1, 1).items() if "embeds" in key},
        }
        both = row.render(applied, **same)  # both passes are equal: guidance changes nothing
        one = row.render(applied, true_cfg_scale=1.0)
    assert torch.allclose(both, one, atol=1e-4)


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
