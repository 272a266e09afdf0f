"""The guidance pair: on a reuse step only the conditional half runs, and separate passes share nothing."""

from typing import Any

import pytest
import torch
from torch import Tensor

from frdiff_tune import apply_policy, frdiff_policy, keyframe_policy
from frdiff_tune.errors import MismatchError
from frdiff_tune.runtime import default_groups, find_denoiser
from tests.pipelines import ROWS
from tests.pipelines.stable_diffusion import sd_as
from tests.runtime.mixed import guidance_ends
from tests.runtime.rendering import relative, render
from tests.tiny import tiny_dit, tiny_pixart, tiny_sd, tiny_sdxl

STEPS = 6
MAKERS = [tiny_sd, tiny_sdxl, tiny_dit, tiny_pixart]


@pytest.fixture(params=MAKERS)
def pipe(request: pytest.FixtureRequest) -> Any:
    return request.param()


def batches(pipe: Any) -> tuple[list[int], Any]:
    """Returns a list that grows by the batch of each network call, and the hook's handle."""
    seen: list[int] = []
    first = next(m for m in find_denoiser(pipe).module.modules() if type(m).__name__ in ("Conv2d",))
    return seen, first.register_forward_hook(lambda module, inputs, output: seen.append(int(inputs[0].shape[0])))


def test_a_reuse_step_runs_half_the_batch(pipe: Any) -> None:
    policy = keyframe_policy(pipe, STEPS, [0, 3], mixing=1.0, groups=["guidance"])
    seen, handle = batches(pipe)
    with apply_policy(pipe, policy) as applied:
        render(applied, pipe)
        handle.remove()
        assert seen[:6] == [2, 1, 1, 2, 1, 1]
        assert applied.trace.mask("guidance") == "100100"
        assert applied.trace.forced == ()


def test_pair_of_constant_difference_is_exact(pipe: Any) -> None:
    """Where unconditional minus conditional never changes, reusing it changes nothing: here it is zero."""
    if hasattr(pipe, "unet") or "PixArt" in type(pipe).__name__:
        arguments: dict[str, Any] = {"negative_prompt": ["a fox on a blue background"]}
        if "XL" in type(pipe).__name__:
            arguments["negative_prompt_2"] = arguments["negative_prompt"]
    else:
        pytest.skip("DiT's unconditional label is fixed")
    full = render(pipe, pipe, num_inference_steps=STEPS, **arguments)
    policy = keyframe_policy(pipe, STEPS, [0, 3], mixing=1.0, groups=["guidance"])
    with apply_policy(pipe, policy) as applied:
        assert relative(render(applied, pipe, **arguments), full) < 1e-5


def test_order_of_the_halves(pipe: Any) -> None:
    """The step right after a keyframe differs from the full run by far less than dropping guidance would."""
    full = render(pipe, pipe, num_inference_steps=STEPS)
    none = render(pipe, pipe, num_inference_steps=STEPS, guidance_scale=1.0)
    policy = keyframe_policy(pipe, STEPS, [0, 2, 4], mixing=1.0, groups=["guidance"])
    with apply_policy(pipe, policy) as applied:
        near = relative(render(applied, pipe), full)
    assert near < 0.5 * relative(none, full)


def test_without_guidance_nothing_is_saved_and_nothing_forced(pipe: Any) -> None:
    full = render(pipe, pipe, num_inference_steps=STEPS, guidance_scale=1.0)
    policy = keyframe_policy(pipe, STEPS, [0, 3], mixing=1.0, groups=["guidance"])
    with apply_policy(pipe, policy) as applied:
        assert torch.equal(render(applied, pipe, guidance_scale=1.0), full)
        assert applied.trace.forced == ()
        assert applied.trace.mask("guidance") == "000000", "there was no pair"
        render(applied, pipe)
        assert applied.trace.forced == ()
        assert applied.trace.mask("guidance") == "100100"


@pytest.mark.parametrize("batch", [1, 2])
def test_with_other_groups_of_other_rhythm(pipe: Any, batch: int) -> None:
    policy = keyframe_policy(pipe, STEPS, [0, 3], mixing=1.0, groups=["guidance", "attention"])
    policy = policy.replace(masks={"guidance": "100100", "attention": "101010"})
    with apply_policy(pipe, policy) as applied:
        first = render(applied, pipe, batch=batch)
        assert {group: applied.trace.mask(group) for group in policy.masks} == policy.masks
        assert torch.isfinite(first).all()
        assert torch.equal(render(applied, pipe, batch=batch), first)


def test_separate_passes_equal_one_batch() -> None:
    """The same loop by hand, with guidance in one batch and in two passes: nothing leaks from pass to pass."""
    pipe = tiny_sd()
    policy = frdiff_policy(pipe, STEPS, 2, bias=0.3)
    prompt, negative = pipe.encode_prompt("a fox", "cpu", 1, True)

    def walk(separate: bool) -> Tensor:
        x = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(1))
        pipe.scheduler.set_timesteps(STEPS)
        for time in pipe.scheduler.timesteps:
            if separate:
                free = pipe.unet(x, time, encoder_hidden_states=negative).sample
                bound = pipe.unet(x, time, encoder_hidden_states=prompt).sample
            else:
                both = pipe.unet(torch.cat([x, x]), time, encoder_hidden_states=torch.cat([negative, prompt])).sample
                free, bound = both.chunk(2)
            x = pipe.scheduler.step(free + 7.5 * (bound - free), time, x).prev_sample
        return x

    with torch.no_grad(), apply_policy(pipe, policy) as applied:
        with applied.run():
            together = walk(separate=False)
        with applied.run():
            apart = walk(separate=True)
        calls = [step.network_calls for step in applied.trace.steps]
    assert relative(apart, together) < 1e-5
    assert calls == [2 if lam else 0 for lam in policy.mixing]


def test_a_batch_that_changes_in_the_middle_runs_in_full() -> None:
    """Guidance that ends early halves the batch: the next step computes, and the trace says so."""
    pipe = tiny_sd()
    policy = keyframe_policy(pipe, STEPS, [0, 4], mixing=[1, 1, 1, 0, 1, 0], groups=["conv", "attention"])
    with torch.no_grad(), apply_policy(pipe, policy) as applied, applied.run():
        pipe.scheduler.set_timesteps(STEPS)
        x = torch.randn(1, 4, 8, 8)
        for t, time in enumerate(pipe.scheduler.timesteps):
            batch = 2 if t < 2 else 1
            score = pipe.unet(x.repeat(batch, 1, 1, 1), time, encoder_hidden_states=torch.zeros(batch, 16, 16)).sample
            assert score.shape[0] == batch
            x = pipe.scheduler.step(score[:1], time, x).prev_sample
        assert applied.trace.forced == (2,)
        assert applied.trace.network == "111010"
        assert applied.trace.mask("conv") == "101010"


def _batches(pipe: Any, applied: Any) -> tuple[list[tuple[int, int]], Any]:
    """Returns a list that grows by (step, batch) of each network call, and the hook's handle."""
    seen: list[tuple[int, int]] = []
    first = next(m for m in find_denoiser(pipe).module.modules() if type(m).__name__ == "Conv2d")
    return seen, first.register_forward_hook(lambda _, inputs, output: seen.append((applied.step, int(inputs[0].shape[0]))))


def test_a_pass_beside_the_pair_is_no_pair() -> None:
    """SD 3's skip-layer guidance runs the conditional half once more: two prompts there are not two halves."""
    row = ROWS["SD 3"]
    pipe = row.make()
    options: dict[str, Any] = {"skip_guidance_layers": [1], "skip_layer_guidance_start": 0.01, "skip_layer_guidance_stop": 1.0}
    with apply_policy(pipe, keyframe_policy(pipe, row.steps, [0, 1, 2], groups=["guidance"])) as applied:
        seen, handle = _batches(pipe, applied)
        row.render(applied, 0, 2, **options)
        handle.remove()
    assert [batch for t, batch in seen if t == 1] == [4, 2]
    assert [batch for t, batch in seen if t == 4] == [2, 2]


def test_guidance_that_ends_with_two_prompts_halves_nothing_more() -> None:
    row = ROWS["SD text to image"]
    pipe = row.make()
    with apply_policy(pipe, keyframe_policy(pipe, row.steps, [0], groups=["guidance"])) as applied:
        seen, handle = _batches(pipe, applied)
        row.render(applied, 0, 2, **guidance_ends())
        handle.remove()
    assert seen == [(0, 4), (1, 2), (2, 2), (3, 2), (4, 2), (5, 2)]
    assert applied.trace.mask("guidance") == "100000"


def test_perturbed_attention_has_no_guidance_group() -> None:
    """Its batches are halves of another kind, or thirds."""
    pipe = sd_as("StableDiffusionPAGPipeline", pag_applied_layers=["mid"])
    assert "guidance" not in default_groups(pipe)
    with pytest.raises(MismatchError, match="'guidance'"):
        keyframe_policy(pipe, 6, [0], groups=["guidance"])
