"""Jumps are reduced NFE: with DDIM they equal the run that walks only the keyframes."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from frdiff_tune import apply_policy, keyframe_policy
from frdiff_tune.runtime import find_denoiser
from tests.runtime.rendering import relative, render
from tests.tiny import tiny_dit, tiny_sd

IRREGULAR = [0, 1, 2, 4, 7, 11, 16, 22, 29, 37, 44]


@pytest.fixture(scope="module", params=[tiny_sd, tiny_dit])
def tiny(request: pytest.FixtureRequest) -> Any:
    make: Callable[[], Any] = request.param
    return make()


def latents_of(call: Callable[..., Any], pipe: Any, **arguments: Any) -> Tensor:
    """Returns the final latents of one call: what the pipeline hands to its autoencoder."""
    seen: list[Tensor] = []
    decode = pipe.vae.decode

    def spy(z: Tensor, *args: Any, **kwargs: Any) -> Any:
        seen.append(z * pipe.vae.config.scaling_factor)
        return decode(z, *args, **kwargs)

    pipe.vae.decode = spy
    try:
        render(call, pipe, **arguments)
    finally:
        del pipe.vae.decode
    return seen[0]


def closed_form(pipe: Any, steps: int, keyframes: Sequence[int]) -> Tensor:
    """Walks DDIM's formula from keyframe to keyframe: x' = a' (x - s e) / a + s' e, with guidance.

    The noise level after step t is that of timestep t - 1000 / steps, as diffusers' DDIM has it.
    """
    denoiser = find_denoiser(pipe).module
    scheduler = type(pipe.scheduler).from_config(pipe.scheduler.config)
    scheduler.set_timesteps(steps)
    times = scheduler.timesteps.tolist()
    squares = scheduler.alphas_cumprod.double()
    x = torch.randn((1, 4, 8, 8), generator=torch.Generator().manual_seed(0)).double()
    for k, following in zip(keyframes, [*keyframes[1:], steps], strict=True):
        last = times[following - 1] - scheduler.config.num_train_timesteps // steps
        now, then = squares[times[k]], squares[last] if last >= 0 else scheduler.final_alpha_cumprod.double()
        e = guided(pipe, denoiser, x.float(), times[k]).double()
        x = then.sqrt() * (x - (1 - now).sqrt() * e) / now.sqrt() + (1 - then).sqrt() * e
    return x


def guided(pipe: Any, denoiser: Any, x: Tensor, time: int) -> Tensor:
    """Returns the guided noise prediction of one network call."""
    with torch.no_grad():
        if hasattr(pipe, "unet"):
            prompt, negative = pipe.encode_prompt("a fox on a blue background", "cpu", 1, True)
            text = torch.cat([negative, prompt])
            free, bound = denoiser(torch.cat([x, x]), time, encoder_hidden_states=text).sample.chunk(2)
            guidance = 7.5
        else:
            labels, pair = torch.tensor([207, 1000]), torch.cat([x, x])
            bound, free = denoiser(pair, timestep=torch.tensor([time, time]), class_labels=labels).sample.chunk(2)
            guidance = 4.0
    result: Tensor = free + guidance * (bound - free)
    return result


def test_interval_two_is_half_the_steps(tiny: Any) -> None:
    plain = latents_of(tiny, tiny, num_inference_steps=25)
    with apply_policy(tiny, keyframe_policy(tiny, 50, range(0, 50, 2), mixing=0.0)) as applied:
        jumped = latents_of(applied, tiny)
        assert applied.trace.network == "10" * 25
    assert relative(jumped, plain) < 1e-4


@pytest.mark.parametrize("keyframes", [list(range(0, 50, 3)), IRREGULAR], ids=["every third", "irregular"])
def test_any_keyframes_are_ddim_from_keyframe_to_keyframe(tiny: Any, keyframes: list[int]) -> None:
    policy = keyframe_policy(tiny, 50, keyframes, mixing=0.0)
    with apply_policy(tiny, policy) as applied:
        jumped = latents_of(applied, tiny)
        assert applied.trace.network == policy.keyframes
    assert relative(jumped, closed_form(tiny, 50, keyframes)) < 1e-4


@pytest.mark.parametrize("name", ["emoji", "emoji_dit"])
def test_v_prediction_jumps_in_epsilon(name: str, request: pytest.FixtureRequest) -> None:
    pipe = request.getfixturevalue(name)
    plain = latents_of(pipe, pipe, num_inference_steps=10)
    with apply_policy(pipe, keyframe_policy(pipe, 20, range(0, 20, 2), mixing=0.0, variable="epsilon")) as applied:
        jumped = latents_of(applied, pipe)
        held = latents_of(applied.use(keyframe_policy(pipe, 20, range(0, 20, 2), mixing=0.0)), pipe)
    assert relative(jumped, plain) < 1e-4
    assert relative(held, plain) > 1e-3, "holding v is another thing than holding epsilon"


def test_half_precision_keeps_its_dtype() -> None:
    """Scores are converted in float32 and handed on in the network's own dtype."""
    pipe = tiny_sd("v_prediction").to(torch.bfloat16)
    policy = keyframe_policy(
        pipe,
        10,
        [0, 1, 3, 6],
        [0, 0, 0, 0, 0, 0.5, 0, 1, 0.3, 0],
        groups=["conv", "attention", "guidance"],
        order=1,
        variable="epsilon",
    )
    dtypes = set()
    step = pipe.scheduler.step

    def spy(score: Tensor, *args: Any, **kwargs: Any) -> Any:
        dtypes.add(score.dtype)
        return step(score, *args, **kwargs)

    pipe.scheduler.step = functools.wraps(step)(spy)
    with apply_policy(pipe, policy) as applied:
        picture = render(applied, pipe)
        assert {group: applied.trace.mask(group) for group in policy.masks} == policy.masks
    assert torch.isfinite(picture).all()
    assert dtypes == {torch.bfloat16}
