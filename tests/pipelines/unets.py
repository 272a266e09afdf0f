"""UNets without text, and over time."""

from typing import Any

import diffusers as typed_diffusers
import torch
import transformers as typed_transformers
from PIL import Image

from tests.pipelines.row import Row, randn, uniform
from tests.tiny import ddim, quiet, tiny_sd

diffusers: Any = typed_diffusers
transformers: Any = typed_transformers


def unconditional(channels: int = 3, out: int = 3) -> Any:
    torch.manual_seed(0)
    return diffusers.UNet2DModel(
        sample_size=8,
        in_channels=channels,
        out_channels=out,
        block_out_channels=(8, 16),
        down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"),
        layers_per_block=1,
        norm_num_groups=4,
        attention_head_dim=8,
    ).eval()


def vq() -> Any:
    torch.manual_seed(0)
    return diffusers.VQModel(
        block_out_channels=(8, 8, 8),
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        latent_channels=3,
        norm_num_groups=4,
        num_vq_embeddings=16,
    ).eval()


def pixels(prompt: int, batch: int, size: int) -> dict[str, Any]:
    return {"batch_size": batch, "output_type": "np"}


def super_resolution(prompt: int, batch: int, size: int) -> dict[str, Any]:
    return {"image": uniform(batch, 3, 32 * size, 32 * size, seed=prompt), "output_type": "np"}


def animate_diff() -> Any:
    torch.manual_seed(1)
    pipe = tiny_sd()
    adapter = diffusers.MotionAdapter(
        block_out_channels=(8, 16), motion_layers_per_block=1, motion_num_attention_heads=2, motion_norm_num_groups=4
    ).eval()
    parts = {name: pipe.components[name] for name in ("vae", "text_encoder", "tokenizer", "scheduler")}
    unet = diffusers.UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(8, 16),
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        layers_per_block=1,
        norm_num_groups=4,
        attention_head_dim=2,
        cross_attention_dim=16,
    )
    return quiet(diffusers.AnimateDiffPipeline(**parts, unet=unet.eval(), motion_adapter=adapter))


def animated(prompt: int, batch: int, size: int) -> dict[str, Any]:
    text = {"prompt_embeds": randn(batch, 16, 16, seed=prompt), "negative_prompt_embeds": randn(batch, 16, 16, seed=-1)}
    return {**text, "num_frames": 3, "height": 32 * size, "width": 32 * size, "output_type": "latent"}


def stable_video() -> Any:
    torch.manual_seed(0)
    unet = diffusers.UNetSpatioTemporalConditionModel(
        sample_size=8,
        block_out_channels=(32, 64),
        down_block_types=("CrossAttnDownBlockSpatioTemporal", "DownBlockSpatioTemporal"),
        up_block_types=("UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal"),
        layers_per_block=1,
        num_attention_heads=(2, 2),
        cross_attention_dim=16,
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=24,
    ).eval()
    seer = transformers.CLIPVisionModelWithProjection(
        transformers.CLIPVisionConfig(
            hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=224, patch_size=112,
            projection_dim=16,
        )
    ).eval()  # fmt: skip
    torch.manual_seed(0)
    vae = diffusers.AutoencoderKLTemporalDecoder(
        block_out_channels=(32, 32, 32), down_block_types=("DownEncoderBlock2D",) * 3, latent_channels=4
    ).eval()
    scheduler = diffusers.EulerDiscreteScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", interpolation_type="linear",
        prediction_type="v_prediction", sigma_max=700.0, sigma_min=0.002, steps_offset=1, timestep_spacing="leading",
        timestep_type="continuous", use_karras_sigmas=True,
    )  # fmt: skip
    extractor = transformers.CLIPImageProcessor(crop_size=224, size=224)
    return quiet(
        diffusers.StableVideoDiffusionPipeline(
            vae=vae, image_encoder=seer, unet=unet, scheduler=scheduler, feature_extractor=extractor
        )
    )


def from_picture(prompt: int, batch: int, size: int) -> dict[str, Any]:
    pixels = (255 * uniform(batch, 32 * size, 32 * size, 3, seed=prompt)).byte().numpy()
    return {
        "image": [Image.fromarray(first) for first in pixels],
        "num_frames": 3,
        "height": 32 * size,
        "width": 32 * size,
        "output_type": "latent",
    }


ROWS: dict[str, Row] = {
    "DDPM": Row(
        lambda: quiet(diffusers.DDPMPipeline(unconditional(), diffusers.DDPMScheduler())), pixels, sizes=(1,), guidance="none"
    ),
    "DDIM": Row(
        lambda: quiet(diffusers.DDIMPipeline(unconditional(), diffusers.DDIMScheduler())), pixels, sizes=(1,), guidance="none"
    ),
    "LDM unconditional": Row(
        lambda: quiet(diffusers.LDMPipeline(vq(), unconditional(), ddim("epsilon"))), pixels, sizes=(1,), guidance="none"
    ),
    "LDM super-resolution": Row(
        lambda: quiet(diffusers.LDMSuperResolutionPipeline(vq(), unconditional(6), ddim("epsilon"))),
        super_resolution,
        guidance="none",
    ),
    "AnimateDiff": Row(animate_diff, animated),
    "Stable Video Diffusion": Row(stable_video, from_picture),
}
