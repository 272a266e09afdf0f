"""What the released FRDiff code gives on a tiny UNet, and the latents of the first policy file."""

import json
from pathlib import Path
from typing import Any

import pytest
from diffusers import AutoencoderTiny, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from safetensors.torch import load_file
from torch import Tensor

from frdiff_tune import Policy, apply_policy, frdiff_policy
from tests.runtime.rendering import relative

DATA = Path(__file__).parents[1] / "data"
EXAMPLE = DATA / "frdiff_example"


@pytest.fixture(scope="module")
def pipe() -> Any:
    unet: Any = UNet2DConditionModel(**json.loads((EXAMPLE / "unet_config.json").read_text()))
    unet.load_state_dict({name: value.float() for name, value in load_file(EXAMPLE / "unet.safetensors").items()})
    scheduler = DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        timestep_spacing="leading",
    )
    pipe: Any = StableDiffusionPipeline(
        vae=AutoencoderTiny(),
        text_encoder=None,
        tokenizer=None,
        unet=unet.eval(),
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture(scope="module")
def example() -> dict[str, Tensor]:
    found: dict[str, Tensor] = load_file(EXAMPLE / "example.safetensors")
    return found


def run(call: Any, example: dict[str, Tensor], **arguments: Any) -> Tensor:
    result: Tensor = call(
        prompt_embeds=example["prompt_embeds"],
        negative_prompt_embeds=example["negative_prompt_embeds"],
        latents=example["latents"].clone(),
        guidance_scale=7.5,
        output_type="latent",
        **arguments,
    ).images
    return result


@pytest.mark.parametrize(
    ("result", "interval", "score_mixing", "network"),
    [("i2_20", 2, False, "1" * 20), ("i3mix_20", 3, True, "10010010011111111111")],
)
def test_released_code_is_reproduced(
    pipe: Any, example: dict[str, Tensor], result: str, interval: int, score_mixing: bool, network: str
) -> None:
    policy = frdiff_policy(pipe, 20, interval, score_mixing=score_mixing)
    with apply_policy(pipe, policy) as applied:
        latents = run(applied, example)
        assert applied.trace.network == network
        assert {group: applied.trace.mask(group) for group in policy.masks} == policy.masks
    assert relative(latents, example[result]) < 1e-4


def test_full_run_is_reproduced(pipe: Any, example: dict[str, Tensor]) -> None:
    assert relative(run(pipe, example, num_inference_steps=20), example["full_20"]) < 1e-4


def test_version_1_file_gives_its_latents(pipe: Any, example: dict[str, Tensor]) -> None:
    """A file of schema version 1 means the same for ever: every kind of table is in it."""
    policy = Policy.load(DATA / "policy_v1.json")
    assert policy.forecast and policy.masks.keys() >= {"attention", "conv", "guidance"} and policy.variable == "epsilon"
    with apply_policy(pipe, policy) as applied:
        latents = run(applied, example)
        assert applied.trace.network == "".join("1" if lam else "0" for lam in policy.mixing)
        assert {group: applied.trace.mask(group) for group in policy.masks} == policy.masks
    assert relative(latents, load_file(DATA / "policy_v1_latents.safetensors")["latents"]) < 1e-4
