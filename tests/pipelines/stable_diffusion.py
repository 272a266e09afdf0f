"""Stable Diffusion and SDXL: every task."""

from typing import Any

import diffusers as typed_diffusers
import torch

from tests.pipelines.row import Row, randn, uniform
from tests.tiny import quiet, tiny_sd, tiny_sdxl

diffusers: Any = typed_diffusers


def _text(prompt: int, batch: int, width: int = 16) -> dict[str, Any]:
    embeds = {"prompt_embeds": randn(batch, 16, width, seed=prompt), "negative_prompt_embeds": randn(batch, 16, width, seed=-1)}
    return {**embeds, "guidance_scale": 5.0, "output_type": "latent"}


def _pooled(prompt: int, batch: int) -> dict[str, Any]:
    pooled = {"pooled_prompt_embeds": randn(batch, 16, seed=prompt), "negative_pooled_prompt_embeds": randn(batch, 16, seed=-2)}
    return {**_text(prompt, batch, 32), **pooled}


def sd(prompt: int, batch: int, size: int) -> dict[str, Any]:
    return {**_text(prompt, batch), "height": 32 * size, "width": 32 * size}


def sdxl(prompt: int, batch: int, size: int) -> dict[str, Any]:
    return {**_pooled(prompt, batch), "height": 32 * size, "width": 32 * size}


def picture(prompt: int, batch: int, size: int) -> Any:
    return uniform(batch, 3, 32 * size, 32 * size, seed=prompt)


def mask(batch: int, size: int) -> Any:
    half = torch.zeros(batch, 1, 32 * size, 32 * size)
    half[:, :, :, : 16 * size] = 1.0
    return half


def sd_img2img(prompt: int, batch: int, size: int) -> dict[str, Any]:
    return {**_text(prompt, batch), "image": picture(prompt, batch, size), "strength": 0.67}


def sdxl_img2img(prompt: int, batch: int, size: int) -> dict[str, Any]:
    return {**_pooled(prompt, batch), "image": picture(prompt, batch, size), "strength": 0.67}


def sd_inpaint(prompt: int, batch: int, size: int) -> dict[str, Any]:
    return {**sd(prompt, batch, size), "image": picture(prompt, batch, size), "mask_image": mask(batch, size), "strength": 1.0}


def sd_repaint(prompt: int, batch: int, size: int) -> dict[str, Any]:
    return {**sd_inpaint(prompt, batch, size), "strength": 0.67}


def sdxl_inpaint(prompt: int, batch: int, size: int) -> dict[str, Any]:
    return {
        **sdxl(prompt, batch, size),
        "image": picture(prompt, batch, size),
        "mask_image": mask(batch, size),
        "strength": 0.67,
    }


def sdxl_base(prompt: int, batch: int, size: int) -> dict[str, Any]:
    return {**sdxl(prompt, batch, size), "denoising_end": 0.8}


def sdxl_refiner(prompt: int, batch: int, size: int) -> dict[str, Any]:
    """Goes on with latents that a base has left."""
    latents = randn(batch, 4, 8 * size, 8 * size, seed=prompt)
    return {**_pooled(prompt, batch), "image": latents, "denoising_start": 0.3}


def controlled(call: Any, key: str = "image") -> Any:
    def with_picture(prompt: int, batch: int, size: int) -> dict[str, Any]:
        return {**call(prompt, batch, size), key: picture(prompt, batch, size), "controlnet_conditioning_scale": 1.0}

    return with_picture


def _parts(pipe: Any, *names: str) -> dict[str, Any]:
    parts = {name: part for name, part in pipe.components.items() if name in names or not names}
    return {**parts, "safety_checker": None, "requires_safety_checker": False} if "safety_checker" in pipe.components else parts


def sd_as(name: str, **more: Any) -> Any:
    """Returns another task's pipeline with the parts of a tiny Stable Diffusion."""
    pipe = tiny_sd()
    return quiet(getattr(diffusers, name)(**{**_parts(pipe), **more}))


def sdxl_as(name: str, **more: Any) -> Any:
    """Returns another task's pipeline with the parts of a tiny SDXL."""
    return quiet(getattr(diffusers, name)(**{**_parts(tiny_sdxl()), **more, "add_watermarker": False}))


def unet(channels: int, **more: Any) -> Any:
    torch.manual_seed(0)
    return diffusers.UNet2DConditionModel(
        **{
            "sample_size": 8,
            "in_channels": channels,
            "block_out_channels": (8, 16),
            "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
            "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
            "layers_per_block": 1,
            "norm_num_groups": 4,
            "attention_head_dim": 2,
            "cross_attention_dim": 16,
            **more,
        }
    ).eval()


def kl_vae(shift: float | None = None) -> Any:
    """An autoencoder with factor 4 that gives a distribution, as depth and upscale pipelines ask for."""
    torch.manual_seed(0)
    return diffusers.AutoencoderKL(
        block_out_channels=(8, 8, 8),
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        latent_channels=4,
        norm_num_groups=4,
        sample_size=32,
        shift_factor=shift,
    ).eval()


def sd_upscale() -> Any:
    pipe = tiny_sd()
    low = diffusers.DDPMScheduler(beta_schedule="scaled_linear", prediction_type="epsilon")
    parts = {key: part for key, part in pipe.components.items() if key in ("text_encoder", "tokenizer", "scheduler")}
    return quiet(
        diffusers.StableDiffusionUpscalePipeline(
            **parts, vae=kl_vae(), unet=unet(7, num_class_embeds=1000), low_res_scheduler=low, max_noise_level=350
        )
    )


def sd_depth() -> Any:
    pipe = tiny_sd()
    parts = {key: part for key, part in pipe.components.items() if key in ("text_encoder", "tokenizer", "scheduler")}
    return quiet(
        diffusers.StableDiffusionDepth2ImgPipeline(
            **parts, vae=kl_vae(), unet=unet(5), depth_estimator=None, feature_extractor=None
        )
    )


def upscale(prompt: int, batch: int, size: int) -> dict[str, Any]:
    return {**_text(prompt, batch), "image": uniform(batch, 3, 8 * size, 8 * size, seed=prompt), "noise_level": 20}


def depth(prompt: int, batch: int, size: int) -> dict[str, Any]:
    near = uniform(batch, 32 * size, 32 * size, seed=prompt + 7)
    return {**_text(prompt, batch), "image": picture(prompt, batch, size), "depth_map": near, "strength": 0.67}


def _controlnet(denoiser: Any) -> Any:
    torch.manual_seed(3)
    net = diffusers.ControlNetModel.from_unet(denoiser, conditioning_embedding_out_channels=(8, 8, 8)).eval()
    for parameter in net.parameters():  # a new one's last layers are zero: it would change nothing
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.1)
    return net


def sd_controlnet() -> Any:
    pipe = tiny_sd()
    return quiet(diffusers.StableDiffusionControlNetPipeline(**_parts(pipe), controlnet=_controlnet(pipe.unet)))


def sd_controlnets() -> Any:
    pipe = tiny_sd()
    nets = [_controlnet(pipe.unet), _controlnet(pipe.unet)]
    return quiet(diffusers.StableDiffusionControlNetPipeline(**_parts(pipe), controlnet=nets))


def twice_controlled(prompt: int, batch: int, size: int) -> dict[str, Any]:
    pictures = [picture(prompt, batch, size), picture(prompt + 1, batch, size)]
    return {**sd(prompt, batch, size), "image": pictures, "controlnet_conditioning_scale": [1.0, 0.5]}


def sdxl_controlnet() -> Any:
    pipe = tiny_sdxl()
    net = _controlnet(pipe.unet)
    return quiet(diffusers.StableDiffusionXLControlNetPipeline(**_parts(pipe), controlnet=net, add_watermarker=False))


def ip_adapter() -> Any:
    """Stable Diffusion with an adapter of random weights for pictures as prompts."""
    pipe = tiny_sd()
    pipe.unet._load_ip_adapter_weights([_adapter_weights(pipe.unet)])
    return pipe


def _adapter_weights(denoiser: Any) -> dict[str, Any]:
    """Returns an adapter's state: a projection of 8 numbers to 4 tokens, and keys and values per cross-attention."""
    width = denoiser.config.cross_attention_dim
    weights: dict[str, Any] = {}
    index = 1
    for name in denoiser.attn_processors:
        if name.endswith("attn2.processor"):
            to_k = denoiser.get_submodule(name.removesuffix(".processor")).to_k
            for part, seed in (("to_k_ip", 1), ("to_v_ip", 2)):
                weights[f"{index}.{part}.weight"] = 0.1 * randn(to_k.out_features, width, seed=seed + index)
            index += 2
    projection = {
        "proj.weight": randn(4 * width, 8, seed=3),
        "proj.bias": randn(4 * width, seed=4),
        "norm.weight": torch.ones(width),
        "norm.bias": torch.zeros(width),
    }
    return {"image_proj": projection, "ip_adapter": weights}


def with_adapter(prompt: int, batch: int, size: int) -> dict[str, Any]:
    pair = torch.cat([torch.zeros(batch, 1, 8), randn(batch, 1, 8, seed=prompt + 5)])
    return {**sd(prompt, batch, size), "ip_adapter_image_embeds": [pair]}


def lora() -> Any:
    """Stable Diffusion with a LoRA of random weights on its attention."""
    pipe = tiny_sd()
    add_lora(pipe)
    return pipe


def add_lora(pipe: Any, *targets: str) -> None:
    """Puts a LoRA of random weights on modules of a pipeline's denoiser, by name; its attention if none are given."""
    from peft import LoraConfig

    torch.manual_seed(5)
    pipe.unet.add_adapter(LoraConfig(r=2, target_modules=list(targets or ("to_q", "to_v")), init_lora_weights="gaussian"))
    for name, parameter in pipe.unet.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)


def ldm_text() -> Any:
    from diffusers.pipelines.latent_diffusion.pipeline_latent_diffusion import LDMBertConfig, LDMBertModel

    torch.manual_seed(0)
    config = LDMBertConfig(
        vocab_size=1600, d_model=16, encoder_layers=1, encoder_ffn_dim=16, encoder_attention_heads=2, head_dim=8
    )
    pipe = tiny_sd()
    return quiet(
        diffusers.LDMTextToImagePipeline(
            vqvae=kl_vae(), bert=LDMBertModel(config).eval(), tokenizer=pipe.tokenizer, unet=unet(4), scheduler=pipe.scheduler
        )
    )


def ldm(prompt: int, batch: int, size: int) -> dict[str, Any]:
    words = [("a fox", "an owl", "a bee")[prompt % 3]] * batch
    return {"prompt": words, "guidance_scale": 3.0, "height": 32 * size, "width": 32 * size, "output_type": "np"}


ROWS: dict[str, Row] = {
    "SD text to image": Row(tiny_sd, sd),
    "SD img2img": Row(lambda: sd_as("StableDiffusionImg2ImgPipeline"), sd_img2img, walked=4, strengths=(0.7, 0.5)),
    "SD inpaint, 4 channels": Row(lambda: sd_as("StableDiffusionInpaintPipeline"), sd_inpaint),
    "SD inpaint, 9 channels": Row(
        lambda: sd_as("StableDiffusionInpaintPipeline", unet=unet(9)), sd_repaint, walked=4, strengths=(0.7, 0.5)
    ),
    "SD upscale": Row(sd_upscale, upscale),
    "SD depth": Row(sd_depth, depth, walked=4, strengths=(0.7, 0.5)),
    "SD ControlNet": Row(sd_controlnet, controlled(sd)),
    "SD, two ControlNets": Row(sd_controlnets, twice_controlled),
    "SD IP-Adapter": Row(ip_adapter, with_adapter),
    "SD LoRA": Row(lora, sd),
    "SDXL text to image": Row(tiny_sdxl, sdxl),
    "SDXL img2img": Row(lambda: sdxl_as("StableDiffusionXLImg2ImgPipeline"), sdxl_img2img, walked=4, strengths=(0.7, 0.5)),
    "SDXL inpaint": Row(lambda: sdxl_as("StableDiffusionXLInpaintPipeline"), sdxl_inpaint, walked=4, strengths=(0.7, 0.5)),
    "SDXL base of a refiner": Row(tiny_sdxl, sdxl_base, walked=5),
    "SDXL refiner": Row(lambda: sdxl_as("StableDiffusionXLImg2ImgPipeline"), sdxl_refiner, walked=4),
    "SDXL ControlNet": Row(sdxl_controlnet, controlled(sdxl)),
    "LDM text to image": Row(ldm_text, ldm),
}
