"""Phase: what a run is made of comes from what really runs, never from what a policy expects."""

import threading
from typing import Any

import pytest
import torch
from torch import Tensor

from frdiff_tune import apply_policy, frdiff_policy, full_policy, keyframe_policy
from frdiff_tune.errors import MismatchError
from frdiff_tune.policy import Policy
from tests.pipelines import ROWS, Row
from tests.pipelines.stable_diffusion import add_lora, sd_as

SD = ROWS["SD text to image"]


def jumps(pipe: Any, row: Row = SD, keyframes: tuple[int, ...] = (0, 1, 3)) -> Policy:
    return keyframe_policy(pipe, row.steps, keyframes, 0.0, T=row.walked)


def mixed(pipe: Any, row: Row = SD) -> Policy:
    """Reuses everything that FRDiff does at step 1, mixes at 3, jumps at 5."""
    return keyframe_policy(pipe, row.steps, [0, 2, 4], [1, 1, 1, 0.5, 1, 0], T=row.walked)


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
        assert applied._run.features == {}


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
    with apply_policy(pipe, jumps(pipe, row)) as applied:
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


def test_a_lora_loaded_after_apply_counts_and_one_on_a_site_is_noticed() -> None:
    pipe = SD.make()
    with apply_policy(pipe, mixed(pipe)) as applied:
        without = SD.render(applied)
        add_lora(pipe)
        with_lora = SD.render(applied)
        assert not torch.equal(with_lora, without)
    with apply_policy(pipe, mixed(pipe)) as applied:
        assert torch.equal(SD.render(applied), with_lora)


def test_a_site_that_was_replaced_is_named_at_the_next_call() -> None:
    pipe = SD.make()
    with apply_policy(pipe, mixed(pipe)) as applied:
        right = SD.render(applied)
        block = pipe.unet.mid_block.resnets[0]
        own = block.conv1
        block.conv1 = torch.nn.Conv2d(16, 16, 3, padding=1)
        with pytest.raises(MismatchError, match=r"`unet.mid_block.resnets.0` must be the module.*another Conv2d"):
            SD.render(applied)
        block.conv1 = own
        assert torch.equal(SD.render(applied), right)


def test_a_denoiser_in_another_dtype_between_calls() -> None:
    pipe = SD.make()
    with apply_policy(pipe, mixed(pipe)) as applied:
        latents = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(7))
        right = SD.render(applied, latents=latents)
        pipe.to(torch.float64)
        words = {key: value.double() for key, value in SD.call(0, 1, 1).items() if "embeds" in key}
        double = SD.render(applied, latents=latents.double(), **words)
        pipe.to(torch.float32)
        assert torch.equal(SD.render(applied, latents=latents), right)
    assert torch.allclose(double, right, rtol=1e-3, atol=1e-2)


def test_pipelines_that_share_a_denoiser() -> None:
    pipe = SD.make()
    other = sd_as("StableDiffusionPipeline", **{name: part for name, part in pipe.components.items() if part is not None})
    with apply_policy(pipe, mixed(pipe)) as applied:
        with pytest.raises(MismatchError, match="already follows one, put on through StableDiffusionPipeline"):
            apply_policy(other, mixed(other))
        right = SD.render(applied)
        assert torch.equal(SD.render(other), right), "the same scheduler object: the policy holds there, too"


def test_a_call_inside_another_call_is_refused_or_right() -> None:
    """A callback calls a second pipeline on the same denoiser: with the same scheduler refused, with its own right."""
    pipe = SD.make()
    shared = {name: part for name, part in pipe.components.items() if part is not None}
    same = sd_as("StableDiffusionPipeline", **shared)
    own = sd_as("StableDiffusionPipeline", **{**shared, "scheduler": type(pipe.scheduler).from_config(pipe.scheduler.config)})
    plain = SD.render(own)
    found: list[Any] = []

    def inside(_: Any, step: int, time: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        if step == 2:
            found.append(SD.render(own))
            with pytest.raises(MismatchError, match="must finish one call before the next begins"):
                SD.render(same)
        return tensors

    with apply_policy(pipe, mixed(pipe)) as applied:
        right = SD.render(applied)
        assert torch.equal(SD.render(applied, callback_on_step_end=inside), right)
    assert torch.equal(found[0], plain)


def test_two_threads_on_one_denoiser() -> None:
    pipe = SD.make()
    shared = {name: part for name, part in pipe.components.items() if part is not None}
    own = sd_as("StableDiffusionPipeline", **{**shared, "scheduler": type(pipe.scheduler).from_config(pipe.scheduler.config)})
    plain = SD.render(own)
    with apply_policy(pipe, mixed(pipe)) as applied:
        right = SD.render(applied)
        found: dict[str, Any] = {}
        inside, done = threading.Event(), threading.Event()

        def wait(_: Any, step: int, time: Any, tensors: dict[str, Any]) -> dict[str, Any]:
            if step == 2:
                inside.set()
                done.wait(60)
            return tensors

        def second() -> None:
            inside.wait(60)
            found["own scheduler"] = SD.render(own)
            try:
                SD.render(pipe)
            except MismatchError as error:
                found["same scheduler"] = str(error)
            done.set()

        thread = threading.Thread(target=second)
        thread.start()
        mine = SD.render(applied, callback_on_step_end=wait)
        thread.join()
        assert torch.equal(mine, right)
        assert torch.equal(found["own scheduler"], plain)
        assert "must finish one call before the next begins" in found["same scheduler"]
        assert torch.equal(SD.render(applied), right)


def test_a_policy_of_two_denoisers_is_not_one_of_the_first() -> None:
    one, two = ROWS["Wan 2.1"], ROWS["Wan 2.2, two denoisers"]
    policy = full_policy(one.make(), 6)
    with pytest.raises(MismatchError, match="must be the pipeline's denoiser"):
        apply_policy(two.make(), policy)


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
