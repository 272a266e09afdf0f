"""What users do to a pipeline while a policy is on: it works, or the next call says what changed."""

from typing import Any

import pytest
import torch
from accelerate.hooks import ModelHook, add_hook_to_module, remove_hook_from_module
from diffusers.hooks import FirstBlockCacheConfig

from frdiff_tune import apply_policy, full_policy, keyframe_policy
from frdiff_tune.errors import MismatchError
from frdiff_tune.runtime import find_denoisers
from tests.pipelines import ROWS
from tests.pipelines.stable_diffusion import add_lora
from tests.runtime.mixed import SD, mixed
from tests.runtime.rendering import relative


def test_a_lora_inside_a_site_may_come_and_go() -> None:
    pipe = SD.make()
    with apply_policy(pipe, mixed(pipe)) as applied:
        without = SD.render(applied)
        add_lora(pipe)
        with_lora = SD.render(applied)
        assert not torch.equal(with_lora, without)
        pipe.unload_lora_weights()
        assert torch.equal(SD.render(applied), without)
    add_lora(pipe)
    with apply_policy(pipe, mixed(pipe)) as applied:
        assert torch.equal(SD.render(applied), with_lora)


def test_a_lora_on_a_site_that_comes_or_goes_is_named() -> None:
    pipe = SD.make()
    with apply_policy(pipe, mixed(pipe)) as applied:
        without = SD.render(applied)
        add_lora(pipe, "conv1")
        with pytest.raises(MismatchError, match=r"resnets.0` must be the module.*there is now another Conv2d \(was Conv2d\)"):
            SD.render(applied)
    with apply_policy(pipe, mixed(pipe)) as applied:
        assert not torch.equal(SD.render(applied), without)
        pipe.unload_lora_weights()
        with pytest.raises(MismatchError, match="must be the module that the policy was put on"):
            SD.render(applied)
    with apply_policy(pipe, mixed(pipe)) as applied:
        assert torch.equal(SD.render(applied), without)


@pytest.mark.parametrize("name", ["SD text to image", "SDXL text to image", "SD 3", "FLUX text to image", "HunyuanDiT"])
def test_fused_projections_keep_the_policy(name: str) -> None:
    row = ROWS[name]
    pipe = row.make()
    with apply_policy(pipe, keyframe_policy(pipe, row.steps, [0, 2, 4])) as applied:
        apart = row.render(applied)
        trace = applied.trace
        module: Any = find_denoisers(pipe)[0].module
        module.fuse_qkv_projections()
        assert relative(row.render(applied), apart) < 1e-3
        assert applied.trace == trace


def test_casting_by_layers_before_is_right_and_after_is_named() -> None:
    pipe = SD.make()
    pipe.unet.enable_layerwise_casting(storage_dtype=torch.bfloat16, compute_dtype=torch.float32)
    bare = SD.render(pipe)
    with apply_policy(pipe, full_policy(pipe, SD.steps)) as applied:
        assert torch.equal(SD.render(applied), bare)
        applied.use(mixed(pipe))
        assert not torch.equal(SD.render(applied), bare)
    assert torch.equal(SD.render(pipe), bare)
    pipe = SD.make()
    with apply_policy(pipe, mixed(pipe)) as applied:
        pipe.unet.enable_layerwise_casting(storage_dtype=torch.bfloat16, compute_dtype=torch.float32)
        with pytest.raises(MismatchError, match="replaced the `forward` of.*as hooks of offloading, casting"):
            SD.render(applied)


def test_hooks_of_accelerate_before_and_after() -> None:
    """As offloading puts them on the whole denoiser; here one that counts."""

    class Counting(ModelHook):  # type: ignore[misc]
        calls = 0

        def pre_forward(self, module: Any, *args: Any, **kwargs: Any) -> Any:
            self.calls += 1
            return args, kwargs

    pipe, hook = SD.make(), Counting()
    bare = SD.render(pipe)
    with apply_policy(pipe, mixed(pipe)) as applied:
        right = SD.render(applied)
        add_hook_to_module(pipe.unet, hook)
        assert torch.equal(SD.render(applied), right)
        assert hook.calls == 6, "the hook is outside"
    assert torch.equal(SD.render(pipe), bare)
    with apply_policy(pipe, mixed(pipe)) as applied:
        hook.calls = 0
        assert torch.equal(SD.render(applied), right)
        assert hook.calls == 5, "the policy is outside: at a jump nothing is fetched"
    remove_hook_from_module(pipe.unet)
    assert pipe.unet.forward.__func__ is type(pipe.unet).forward
    assert torch.equal(SD.render(pipe), bare)


def test_another_cache_is_refused() -> None:
    pipe = ROWS["FLUX text to image"].make()
    pipe.transformer.enable_cache(FirstBlockCacheConfig(threshold=0.1))
    with pytest.raises(MismatchError, match=r"FluxTransformer2DModel has one of diffusers'.*disable_cache"):
        apply_policy(pipe, full_policy(pipe, 6))
    pipe.transformer.disable_cache()
    apply_policy(pipe, full_policy(pipe, 6)).remove()


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


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs two devices")
def test_a_denoiser_on_another_device_between_calls() -> None:
    pipe = SD.make()
    with apply_policy(pipe, mixed(pipe)) as applied:
        right = SD.render(applied)
        pipe.to("cuda")
        words = {key: value.cuda() for key, value in SD.call(0, 1, 1).items() if "embeds" in key}
        assert SD.render(applied, **words).isfinite().all()
        pipe.to("cpu")
        assert torch.equal(SD.render(applied), right)


@pytest.mark.parametrize("change", ["use", "remove"])
def test_a_change_in_the_middle_of_a_run_is_refused(change: str) -> None:
    pipe = SD.make()
    other = full_policy(pipe, SD.steps, scheduler="EulerDiscreteScheduler")

    def meddle(_: Any, step: int, time: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        if step == 2:
            with pytest.raises(MismatchError, match="must wait for the end of the run, but a call is at step 3 of 6"):
                applied.use(other) if change == "use" else applied.remove()
        return tensors

    with apply_policy(pipe, mixed(pipe)) as applied:
        right = SD.render(applied)
        assert torch.equal(SD.render(applied, callback_on_step_end=meddle), right)
        applied.use(other)
        assert not torch.equal(SD.render(applied), right)


@pytest.mark.parametrize(("name", "component"), [("SD text to image", "unet"), ("SD ControlNet", "controlnet")])
def test_a_whole_network_that_was_replaced_is_named_at_the_next_call(name: str, component: str) -> None:
    row = ROWS[name]
    pipe = row.make()
    own, kind = getattr(pipe, component), type(getattr(pipe, component)).__name__
    with apply_policy(pipe, keyframe_policy(pipe, row.steps, [0, 2])) as applied:
        right = row.render(applied)
        setattr(pipe, component, getattr(row.make(), component))
        with pytest.raises(MismatchError, match=f"`pipe.{component}` must be the {kind} .* but now it is another {kind}"):
            row.render(applied)
        setattr(pipe, component, own)
        assert torch.equal(row.render(applied), right)


def test_freeu_writes_into_nothing_that_is_kept() -> None:
    pipe = SD.make()
    pipe.enable_freeu(s1=0.9, s2=0.2, b1=1.5, b2=1.6)
    gave: list[torch.Tensor] = []
    with apply_policy(pipe, keyframe_policy(pipe, SD.steps, [0, 3], groups={"a": ["unet.mid_block"]})) as applied:
        handle = pipe.unet.mid_block.register_forward_hook(lambda *given: gave.append(given[2].clone()))
        SD.render(applied)
        handle.remove()
    assert [torch.equal(gave[t], gave[t - 1]) for t in range(1, 6)] == [True, True, False, True, True]


def test_an_adapter_writes_into_nothing_that_is_kept() -> None:
    """A T2I-Adapter's residuals are added in place to what the blocks on the way down return."""
    pipe = SD.make()
    text = SD.call(0, 1, 1)["prompt_embeds"]
    extra = [torch.randn(1, 8, 4, 4), torch.randn(1, 16, 4, 4)]
    gave: list[torch.Tensor] = []
    policy = keyframe_policy(pipe, SD.steps, [0], groups={"a": ["unet.down_blocks.*", "unet.mid_block"]})
    handle = pipe.unet.down_blocks[1].register_forward_hook(lambda *given: gave.append(given[2][0].clone()))
    with apply_policy(pipe, policy) as applied, torch.no_grad(), applied.run():
        pipe.scheduler.set_timesteps(SD.steps)
        x = torch.randn(1, 4, 8, 8)
        for time in pipe.scheduler.timesteps:
            options: dict[str, Any] = {"down_intrablock_additional_residuals": [part.clone() for part in extra]}
            x = pipe.scheduler.step(pipe.unet(x, time, encoder_hidden_states=text, **options).sample, time, x).prev_sample
    handle.remove()
    assert all(torch.equal(gave[t], gave[0]) for t in range(6))


def test_whoever_else_writes_into_what_is_kept_is_named() -> None:
    pipe = SD.make()
    with apply_policy(pipe, keyframe_policy(pipe, SD.steps, [0, 3], groups={"a": ["unet.mid_block"]})) as applied:
        handle = pipe.unet.mid_block.register_forward_hook(lambda *given: given[2].mul_(2.0))
        with pytest.raises(MismatchError, match="`unet.mid_block` must keep what it returns, but the network has written"):
            SD.render(applied)
        handle.remove()
        SD.render(applied)


@pytest.mark.parametrize("name", ["SD 3", "Stable Video Diffusion"])
def test_a_site_that_is_called_in_chunks_is_refused(name: str) -> None:
    row = ROWS[name]
    pipe = row.make()
    module: Any = find_denoisers(pipe)[0].module
    module.enable_forward_chunking(chunk_size=1, dim=1)
    with apply_policy(pipe, keyframe_policy(pipe, row.steps, [0, 2], groups=["feed_forward"])) as applied:
        with pytest.raises(MismatchError, match="ff` must be called once per network call.*disable_forward_chunking"):
            row.render(applied)
        applied.use(keyframe_policy(pipe, row.steps, [0, 2], groups=["guidance"]))
        row.render(applied)
