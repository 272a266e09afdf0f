"""Transformers, text or class to image."""

from typing import Any

import diffusers as typed_diffusers
import torch

from tests.pipelines.row import Row, randn, uniform
from tests.pipelines.stable_diffusion import kl_vae
from tests.tiny import ddim, quiet, tiny_dit, tiny_pixart

diffusers: Any = typed_diffusers
HEADS: dict[str, int] = {"num_attention_heads": 2, "attention_head_dim": 16}


def flow(**config: Any) -> Any:
    return diffusers.FlowMatchEulerDiscreteScheduler(**{"shift": 3.0, **config})


def shifting() -> Any:
    """As FLUX's own: shifted by the picture's size."""
    return flow(shift=1.0, use_dynamic_shifting=True)


def text(prompt: int, batch: int, width: int = 32, negative: bool = True) -> dict[str, Any]:
    embeds = {"prompt_embeds": randn(batch, 6, width, seed=prompt)}
    return {**embeds, "negative_prompt_embeds": randn(batch, 6, width, seed=-1)} if negative else embeds


def masked(prompt: int, batch: int, width: int = 32) -> dict[str, Any]:
    ones = torch.ones(batch, 6)
    return {**text(prompt, batch, width), "prompt_attention_mask": ones, "negative_prompt_attention_mask": ones}


def pooled(prompt: int, batch: int, negative: bool = True) -> dict[str, Any]:
    embeds = {"pooled_prompt_embeds": randn(batch, 32, seed=prompt + 3)}
    return {**embeds, "negative_pooled_prompt_embeds": randn(batch, 32, seed=-3)} if negative else embeds


def area(size: int, pixels: int = 64) -> dict[str, Any]:
    return {"height": pixels * size, "width": pixels * size, "output_type": "latent"}


def dit(prompt: int, batch: int, size: int) -> dict[str, Any]:
    return {"class_labels": [prompt % 3] * batch, "output_type": "np"}


def pixart(prompt: int, batch: int, size: int) -> dict[str, Any]:
    words = {"negative_prompt": None, **masked(prompt, batch, 16)}
    return {**words, **area(size, 32), "use_resolution_binning": False}


def pixart_alpha() -> Any:
    """Told the size of the picture, as the published alpha of 1024 pixels."""
    torch.manual_seed(0)
    transformer = diffusers.PixArtTransformer2DModel(
        sample_size=128, in_channels=4, out_channels=8, num_layers=3, cross_attention_dim=48, caption_channels=32,
        use_additional_conditions=True, num_attention_heads=3, attention_head_dim=16,
    ).eval()  # fmt: skip
    encoders = dict.fromkeys(("text_encoder", "tokenizer"))
    return quiet(
        diffusers.PixArtAlphaPipeline(transformer=transformer, scheduler=ddim("epsilon"), vae=kl_vae(), **encoders)
    )


def call_pixart_alpha(prompt: int, batch: int, size: int) -> dict[str, Any]:
    return {"negative_prompt": None, **masked(prompt, batch), **area(size, 32), "use_resolution_binning": False}


def sd3(*dual: int) -> Any:
    torch.manual_seed(0)
    transformer = diffusers.SD3Transformer2DModel(
        sample_size=8, in_channels=4, out_channels=4, num_layers=4, joint_attention_dim=32, caption_projection_dim=32,
        pooled_projection_dim=32, pos_embed_max_size=16, dual_attention_layers=dual,
        qk_norm="rms_norm" if dual else None, **HEADS,
    ).eval()  # fmt: skip
    encoders = dict.fromkeys(
        ("text_encoder", "tokenizer", "text_encoder_2", "tokenizer_2", "text_encoder_3", "tokenizer_3", "vae")
    )
    return quiet(diffusers.StableDiffusion3Pipeline(transformer=transformer, scheduler=flow(), **encoders))


def call_sd3(prompt: int, batch: int, size: int) -> dict[str, Any]:
    return {**text(prompt, batch), **pooled(prompt, batch), **area(size)}


def flux_network(guided: bool = True, channels: int = 16, out: int = 16, layers: int = 2, single: int = 3) -> Any:
    torch.manual_seed(0)
    return diffusers.FluxTransformer2DModel(
        in_channels=channels, out_channels=out, num_layers=layers, num_single_layers=single, joint_attention_dim=32,
        pooled_projection_dim=32, guidance_embeds=guided, axes_dims_rope=(4, 4, 8), **HEADS,
    ).eval()  # fmt: skip


def flux(name: str = "FluxPipeline", **network: Any) -> Any:
    encoders = dict.fromkeys(("text_encoder", "tokenizer", "text_encoder_2", "tokenizer_2"))
    vae = None if name == "FluxPipeline" else kl_vae(0.1)
    transformer = flux_network(**network)
    return quiet(getattr(diffusers, name)(transformer=transformer, scheduler=shifting(), vae=vae, **encoders))


def call_flux(prompt: int, batch: int, size: int) -> dict[str, Any]:
    return {**text(prompt, batch, negative=False), **pooled(prompt, batch, negative=False), **area(size)}


def flux_true_guidance(prompt: int, batch: int, size: int) -> dict[str, Any]:
    return {**text(prompt, batch), **pooled(prompt, batch), **area(size), "true_cfg_scale": 3.0}


def flux_picture(prompt: int, batch: int, size: int) -> dict[str, Any]:
    return {**call_flux(prompt, batch, size), "image": uniform(batch, 3, 64 * size, 64 * size, seed=prompt), "strength": 0.67}


def flux_guided_picture(prompt: int, batch: int, size: int) -> dict[str, Any]:
    return {**flux_picture(prompt, batch, size), **flux_true_guidance(prompt, batch, size)}


def flux_fill(prompt: int, batch: int, size: int) -> dict[str, Any]:
    hole = torch.zeros(batch, 1, 64 * size, 64 * size)
    hole[:, :, :, : 32 * size] = 1.0
    return {**flux_picture(prompt, batch, size), "mask_image": hole, "strength": 1.0}


def flux_kontext(prompt: int, batch: int, size: int) -> dict[str, Any]:
    picture = {key: value for key, value in flux_picture(prompt, batch, size).items() if key != "strength"}
    return {**picture, "max_area": (64 * size) ** 2, "_auto_resize": False}


def flux2() -> Any:
    torch.manual_seed(0)
    transformer = diffusers.Flux2Transformer2DModel(
        in_channels=16, num_layers=2, num_single_layers=3, joint_attention_dim=32, timestep_guidance_channels=16,
        axes_dims_rope=(4, 4, 4, 4), **HEADS,
    ).eval()  # fmt: skip
    encoders = dict.fromkeys(("text_encoder", "tokenizer", "vae"))
    return quiet(diffusers.Flux2Pipeline(transformer=transformer, scheduler=shifting(), **encoders))


def call_flux2(prompt: int, batch: int, size: int) -> dict[str, Any]:
    return {**text(prompt, batch, negative=False), **area(size)}


def sana() -> Any:
    torch.manual_seed(0)
    transformer = diffusers.SanaTransformer2DModel(
        in_channels=4, out_channels=4, num_layers=3, num_cross_attention_heads=2, cross_attention_head_dim=16,
        cross_attention_dim=32, caption_channels=32, sample_size=8, **HEADS,
    ).eval()  # fmt: skip
    encoders = dict.fromkeys(("text_encoder", "tokenizer", "vae"))
    return quiet(diffusers.SanaPipeline(transformer=transformer, scheduler=flow(), **encoders))


def call_sana(prompt: int, batch: int, size: int) -> dict[str, Any]:
    return {**masked(prompt, batch), **area(size, 256), "negative_prompt": None, "use_resolution_binning": False}


def hunyuan_dit() -> Any:
    torch.manual_seed(0)
    transformer = diffusers.HunyuanDiT2DModel(
        in_channels=4, patch_size=2, sample_size=8, hidden_size=32, num_layers=4, cross_attention_dim=32,
        cross_attention_dim_t5=32, pooled_projection_dim=32, text_len=6, text_len_t5=6,
        use_style_cond_and_image_meta_size=False, **HEADS,
    ).eval()  # fmt: skip
    none = dict.fromkeys(("text_encoder", "tokenizer", "text_encoder_2", "tokenizer_2", "safety_checker", "feature_extractor"))
    pipe = diffusers.HunyuanDiTPipeline(
        transformer=transformer, scheduler=ddim("v_prediction"), vae=None, requires_safety_checker=False, **none
    )
    return quiet(pipe)


def call_hunyuan_dit(prompt: int, batch: int, size: int) -> dict[str, Any]:
    second = {f"{key}_2": value for key, value in masked(prompt + 1, batch).items()}
    return {**masked(prompt, batch), **second, **area(size), "use_resolution_binning": False}


def auraflow() -> Any:
    torch.manual_seed(0)
    transformer = diffusers.AuraFlowTransformer2DModel(
        sample_size=8, in_channels=4, out_channels=4, num_mmdit_layers=2, num_single_dit_layers=3, joint_attention_dim=32,
        caption_projection_dim=32, pos_embed_max_size=256, **HEADS,
    ).eval()  # fmt: skip
    encoders = dict.fromkeys(("text_encoder", "tokenizer", "vae"))
    return quiet(diffusers.AuraFlowPipeline(transformer=transformer, scheduler=flow(), **encoders))


def call_auraflow(prompt: int, batch: int, size: int) -> dict[str, Any]:
    return {**masked(prompt, batch), **area(size)}


def lumina2() -> Any:
    torch.manual_seed(0)
    transformer = diffusers.Lumina2Transformer2DModel(
        sample_size=8, in_channels=4, hidden_size=32, num_layers=3, num_refiner_layers=1, num_attention_heads=2, num_kv_heads=1,
        axes_dim_rope=(4, 6, 6), axes_lens=(64, 64, 64), cap_feat_dim=32, multiple_of=32,
    ).eval()  # fmt: skip
    encoders = dict.fromkeys(("text_encoder", "tokenizer", "vae"))
    return quiet(diffusers.Lumina2Pipeline(transformer=transformer, scheduler=flow(), **encoders))


def call_lumina2(prompt: int, batch: int, size: int) -> dict[str, Any]:
    words = masked(prompt, batch)
    return {key: value.long() if "mask" in key else value for key, value in words.items()} | area(size)


def qwen_image() -> Any:
    torch.manual_seed(0)
    transformer = diffusers.QwenImageTransformer2DModel(
        in_channels=16, out_channels=4, num_layers=3, joint_attention_dim=32, axes_dims_rope=(4, 4, 8), **HEADS
    ).eval()
    encoders = dict.fromkeys(("text_encoder", "tokenizer", "vae"))
    return quiet(diffusers.QwenImagePipeline(transformer=transformer, scheduler=shifting(), **encoders))


def call_qwen_image(prompt: int, batch: int, size: int) -> dict[str, Any]:
    ones = torch.ones(batch, 6, dtype=torch.int64)
    return {**text(prompt, batch), **area(size), "prompt_embeds_mask": ones, "negative_prompt_embeds_mask": ones}


def z_image() -> Any:
    torch.manual_seed(0)
    transformer = diffusers.ZImageTransformer2DModel(
        in_channels=4, dim=32, n_layers=3, n_refiner_layers=1, n_heads=2, n_kv_heads=2, cap_feat_dim=32, axes_dims=[4, 6, 6],
        axes_lens=[64, 64, 64],
    ).eval()  # fmt: skip
    encoders = dict.fromkeys(("text_encoder", "tokenizer", "vae"))
    return quiet(diffusers.ZImagePipeline(transformer=transformer, scheduler=flow(), **encoders))


def call_z_image(prompt: int, batch: int, size: int) -> dict[str, Any]:
    return {key: list(value) for key, value in text(prompt, batch).items()} | area(size)


def cogview4() -> Any:
    torch.manual_seed(0)
    transformer = diffusers.CogView4Transformer2DModel(
        in_channels=4, out_channels=4, num_layers=3, text_embed_dim=32, time_embed_dim=16, condition_dim=8,
        pos_embed_max_size=16, sample_size=8, rope_axes_dim=(8, 8), **HEADS,
    ).eval()  # fmt: skip
    encoders = dict.fromkeys(("text_encoder", "tokenizer", "vae"))
    return quiet(diffusers.CogView4Pipeline(transformer=transformer, scheduler=flow(), **encoders))


def call_cogview4(prompt: int, batch: int, size: int) -> dict[str, Any]:
    return {**text(prompt, batch), **area(size)}


ROWS: dict[str, Row] = {
    "DiT": Row(tiny_dit, dit, sizes=(1,)),
    "PixArt-alpha": Row(pixart_alpha, call_pixart_alpha),
    "PixArt-Sigma": Row(tiny_pixart, pixart),
    "SD 3": Row(sd3, call_sd3),
    "SD 3.5": Row(lambda: sd3(0, 1), call_sd3),
    "FLUX text to image": Row(flux, call_flux, guidance="none"),
    "FLUX with true guidance": Row(lambda: flux(guided=False), flux_true_guidance, guidance="passes"),
    "FLUX img2img": Row(lambda: flux("FluxImg2ImgPipeline"), flux_picture, walked=5, guidance="none", strengths=(0.8, 0.5)),
    "FLUX img2img with true guidance": Row(
        lambda: flux("FluxImg2ImgPipeline", guided=False),
        flux_guided_picture,
        walked=5,
        guidance="passes",
        strengths=(0.8, 0.5),
    ),
    "FLUX fill": Row(lambda: flux("FluxFillPipeline", channels=16 + 16 + 64), flux_fill, guidance="none"),
    "FLUX Kontext": Row(lambda: flux("FluxKontextPipeline"), flux_kontext, guidance="none"),
    "FLUX.2": Row(flux2, call_flux2, guidance="none"),
    "Sana": Row(sana, call_sana),
    "HunyuanDiT": Row(hunyuan_dit, call_hunyuan_dit),
    "AuraFlow": Row(auraflow, call_auraflow),
    "Lumina 2": Row(lumina2, call_lumina2, guidance="passes"),
    "Qwen-Image": Row(qwen_image, call_qwen_image, guidance="passes"),
    "Z-Image": Row(z_image, call_z_image),
    "CogView 4, by whole blocks": Row(cogview4, call_cogview4, guidance="passes"),
}
