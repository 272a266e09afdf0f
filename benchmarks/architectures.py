"""Networks with random weights, by their published configurations; latency does not depend on weights.

The reduced ones have the same blocks in fewer and narrower stages, so that a processor runs a step in a fraction of a second.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import diffusers as typed_diffusers
import torch

from frdiff_tune.runtime import load_pipeline

diffusers: Any = typed_diffusers  # its constructors are not typed

BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "clip_sample": False, "steps_offset": 1}


@dataclass(frozen=True, slots=True)
class Architecture:
    """A pipeline to time.

    Arguments:
        make: Makes it, on the processor, in float32.
        arguments: What it is called with on a device, in a dtype, besides the step count.
        groups: The groups of sites whose reuse is timed, those of the paper.
        smaller: The same class with few layers on small pictures, where what a policy adds to a step stands out from a
            processor's noise.
    """

    make: Callable[[], Any]
    arguments: Callable[[torch.device, torch.dtype], dict[str, Any]]
    groups: tuple[str, ...]
    smaller: "Architecture | None" = None


def _autoencoder(factor: int = 8) -> Any:  # noqa: ANN401
    """A tiny one: pictures are not decoded here."""
    width = (8,) * (factor.bit_length())
    blocks = {"num_encoder_blocks": (1,) * len(width), "num_decoder_blocks": (1,) * len(width)}
    return diffusers.AutoencoderTiny(encoder_block_out_channels=width, decoder_block_out_channels=width, **blocks).eval()


def _stable_diffusion(**config: Any) -> Any:  # noqa: ANN401
    unet = diffusers.UNet2DConditionModel(**config).eval()
    parts = {"text_encoder": None, "tokenizer": None, "safety_checker": None, "feature_extractor": None}
    return diffusers.StableDiffusionPipeline(
        vae=_autoencoder(), unet=unet, scheduler=diffusers.DDIMScheduler(**BETAS), requires_safety_checker=False, **parts
    )


def _sdxl(**config: Any) -> Any:  # noqa: ANN401
    embeddings = {"addition_embed_type": "text_time", "addition_time_embed_dim": 256}
    unet = diffusers.UNet2DConditionModel(**embeddings, **config).eval()
    with torch.device("cpu"):  # also where the network is made without memory
        scheduler = diffusers.EulerDiscreteScheduler(**{name: value for name, value in BETAS.items() if name != "clip_sample"})
    parts = {"text_encoder": None, "text_encoder_2": None, "tokenizer": None, "tokenizer_2": None}
    return diffusers.StableDiffusionXLPipeline(
        vae=_autoencoder(),
        unet=unet,
        scheduler=scheduler,
        add_watermarker=False,
        **parts,
    )


def _dit(**config: Any) -> Any:  # noqa: ANN401
    fixed = {"in_channels": 4, "out_channels": 8, "attention_bias": True, "patch_size": 2, "norm_type": "ada_norm_zero"}
    fixed |= {"activation_fn": "gelu-approximate", "num_embeds_ada_norm": 1000, "norm_elementwise_affine": False}
    transformer = diffusers.DiTTransformer2DModel(**fixed, **config).eval()
    return diffusers.DiTPipeline(transformer, _autoencoder(), diffusers.DDIMScheduler(**BETAS))


def _flux(**config: Any) -> Any:  # noqa: ANN401
    transformer = diffusers.FluxTransformer2DModel(in_channels=64, guidance_embeds=True, **config).eval()
    parts = {"text_encoder": None, "text_encoder_2": None, "tokenizer": None, "tokenizer_2": None}
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True)
    autoencoder = diffusers.AutoencoderKL(
        block_out_channels=(8, 8, 8, 8), down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
        latent_channels=16, norm_num_groups=4, shift_factor=0.1,
    )  # fmt: skip
    return diffusers.FluxPipeline(scheduler=scheduler, vae=autoencoder, transformer=transformer, **parts)


def _text(tokens: int, width: int, batch: int = 1) -> Callable[[torch.device, torch.dtype], dict[str, Any]]:
    def arguments(device: torch.device, dtype: torch.dtype) -> dict[str, Any]:
        seeded = torch.Generator().manual_seed(0)
        found = {
            name: torch.randn(batch, tokens, width, generator=seeded).to(device, dtype)
            for name in ("prompt_embeds", "negative_prompt_embeds")
        }
        return {**found, "guidance_scale": 7.5}

    return arguments


def _pooled(
    tokens: int, width: int, pooled: int, size: int, negative: bool
) -> Callable[[torch.device, torch.dtype], dict[str, Any]]:
    def arguments(device: torch.device, dtype: torch.dtype) -> dict[str, Any]:
        seeded = torch.Generator().manual_seed(0)
        names = ("", "negative_") if negative else ("",)
        made: dict[str, Any] = {"height": size, "width": size}
        for name in names:
            made[f"{name}prompt_embeds"] = torch.randn(1, tokens, width, generator=seeded).to(device, dtype)
            made[f"{name}pooled_prompt_embeds"] = torch.randn(1, pooled, generator=seeded).to(device, dtype)
        return made

    return arguments


def _classes(device: torch.device, dtype: torch.dtype) -> dict[str, Any]:
    return {"class_labels": [3], "guidance_scale": 4.0}


def _fox(device: torch.device, dtype: torch.dtype) -> dict[str, Any]:
    return {"prompt": "a fox", "guidance_scale": 7.5}


SD_BLOCKS = {
    "down_block_types": ("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
    "up_block_types": ("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
}
XL_BLOCKS = {
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "use_linear_projection": True,
}
UNET_GROUPS, DIT_GROUPS, FLUX_GROUPS = ("conv", "attention"), ("attention", "feed_forward"), ("block",)

FULL: Mapping[str, Architecture] = {
    "sd-1.5": Architecture(
        lambda: _stable_diffusion(sample_size=64, cross_attention_dim=768, attention_head_dim=8, **SD_BLOCKS),
        _text(77, 768),
        UNET_GROUPS,
    ),
    "sdxl": Architecture(
        lambda: _sdxl(
            sample_size=128, block_out_channels=(320, 640, 1280), transformer_layers_per_block=(1, 2, 10),
            attention_head_dim=(5, 10, 20), cross_attention_dim=2048, projection_class_embeddings_input_dim=2816, **XL_BLOCKS,
        ),
        _pooled(77, 2048, 1280, 1024, negative=True),
        UNET_GROUPS,
    ),
    "dit-xl-2": Architecture(
        lambda: _dit(sample_size=32, num_layers=28, num_attention_heads=16, attention_head_dim=72), _classes, DIT_GROUPS
    ),
    "flux-1-dev": Architecture(
        lambda: _flux(joint_attention_dim=4096, pooled_projection_dim=768),
        _pooled(512, 4096, 768, 1024, negative=False),
        FLUX_GROUPS,
    ),
}  # fmt: skip


ONE_LEVEL: dict[str, Any] = {
    "block_out_channels": (32,), "down_block_types": ("CrossAttnDownBlock2D",), "up_block_types": ("CrossAttnUpBlock2D",),
}  # fmt: skip


def _sd_like(size: int, **less: Any) -> Architecture:  # noqa: ANN401
    config = {
        "block_out_channels": (32, 64, 96, 96), "layers_per_block": 1, "cross_attention_dim": 128, "attention_head_dim": 1,
        **SD_BLOCKS, **less,
    }  # fmt: skip
    return Architecture(lambda: _stable_diffusion(sample_size=size, **config), _text(77, 128), UNET_GROUPS)


def _sdxl_like(size: int, **less: Any) -> Architecture:  # noqa: ANN401
    config = {
        "block_out_channels": (32, 64, 96), "layers_per_block": 1, "transformer_layers_per_block": (1, 1, 3),
        "attention_head_dim": (1, 2, 3), "cross_attention_dim": 128, "projection_class_embeddings_input_dim": 6 * 256 + 64,
        **XL_BLOCKS, **less,
    }  # fmt: skip
    return Architecture(lambda: _sdxl(sample_size=size, **config), _pooled(77, 128, 64, 8 * size, negative=True), UNET_GROUPS)


def _dit_like(size: int, layers: int = 4) -> Architecture:
    config = {"num_layers": layers, "num_attention_heads": 4, "attention_head_dim": 48}
    return Architecture(lambda: _dit(sample_size=size, **config), _classes, DIT_GROUPS)


def _flux_like(size: int, single_layers: int = 3) -> Architecture:
    config = {
        "joint_attention_dim": 128, "pooled_projection_dim": 64, "num_layers": 1, "num_single_layers": single_layers,
        "attention_head_dim": 64, "num_attention_heads": 4, "axes_dims_rope": (16, 24, 24),
    }  # fmt: skip
    return Architecture(lambda: _flux(**config), _pooled(64, 128, 64, 8 * size, negative=False), FLUX_GROUPS)


REDUCED: Mapping[str, Architecture] = {
    "sd-like": replace(_sd_like(24), smaller=_sd_like(8, **ONE_LEVEL)),
    "sdxl-like": replace(
        _sdxl_like(24), smaller=_sdxl_like(8, **ONE_LEVEL, transformer_layers_per_block=1, attention_head_dim=1)
    ),
    "dit-like": replace(_dit_like(24), smaller=_dit_like(8, layers=1)),
    "flux-like": replace(_flux_like(24), smaller=_flux_like(8, single_layers=1)),
}
EMBEDDED: Mapping[str, Architecture] = {
    "demo:emoji": Architecture(lambda: load_pipeline("demo:emoji"), _fox, UNET_GROUPS),
    "demo:emoji-dit": Architecture(lambda: load_pipeline("demo:emoji-dit"), _classes, DIT_GROUPS),
}
