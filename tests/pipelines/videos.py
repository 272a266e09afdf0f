"""Transformers, text to video."""

from typing import Any

import diffusers as typed_diffusers
import torch

from tests.pipelines.row import Row
from tests.pipelines.transformers import HEADS, area, flow, masked, pooled, text
from tests.tiny import quiet

diffusers: Any = typed_diffusers
NONE: dict[str, None] = dict.fromkeys(("text_encoder", "tokenizer", "vae"))


def cogvideox() -> Any:
    torch.manual_seed(0)
    transformer = diffusers.CogVideoXTransformer3DModel(
        in_channels=4, out_channels=4, time_embed_dim=16, text_embed_dim=32, num_layers=3, sample_width=8, sample_height=8,
        sample_frames=9, max_text_seq_length=6, use_rotary_positional_embeddings=True, **HEADS,
    ).eval()  # fmt: skip
    scheduler = diffusers.CogVideoXDDIMScheduler(prediction_type="v_prediction", timestep_spacing="trailing")
    return quiet(diffusers.CogVideoXPipeline(transformer=transformer, scheduler=scheduler, **NONE))


def call_cogvideox(prompt: int, batch: int, size: int) -> dict[str, Any]:
    return {**text(prompt, batch), **area(size), "num_frames": 9, "max_sequence_length": 6}


def ltx() -> Any:
    torch.manual_seed(0)
    transformer = diffusers.LTXVideoTransformer3DModel(
        in_channels=8, out_channels=8, cross_attention_dim=32, num_layers=3, caption_channels=32, **HEADS
    ).eval()
    return quiet(diffusers.LTXPipeline(transformer=transformer, scheduler=flow(use_dynamic_shifting=True, shift=1.0), **NONE))


def call_ltx(prompt: int, batch: int, size: int) -> dict[str, Any]:
    return {**masked(prompt, batch), **area(size), "num_frames": 9}


def wan(two: bool = False) -> Any:
    def network(seed: int) -> Any:
        torch.manual_seed(seed)
        return diffusers.WanTransformer3DModel(
            in_channels=4, out_channels=4, text_dim=32, freq_dim=16, ffn_dim=32, num_layers=3, rope_max_seq_len=32, **HEADS
        ).eval()

    scheduler = diffusers.UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0)
    second = {"transformer_2": network(1), "boundary_ratio": 0.875} if two else {}
    return quiet(diffusers.WanPipeline(transformer=network(0), scheduler=scheduler, **second, **NONE))


def call_wan(prompt: int, batch: int, size: int) -> dict[str, Any]:
    return {**text(prompt, batch), **area(size), "num_frames": 5}


def hunyuan_video() -> Any:
    torch.manual_seed(0)
    transformer = diffusers.HunyuanVideoTransformer3DModel(
        in_channels=4, out_channels=4, num_layers=2, num_single_layers=3, num_refiner_layers=1, text_embed_dim=32,
        pooled_projection_dim=32, rope_axes_dim=(4, 6, 6), **HEADS,
    ).eval()  # fmt: skip
    more = dict.fromkeys(("text_encoder_2", "tokenizer_2"))
    return quiet(diffusers.HunyuanVideoPipeline(transformer=transformer, scheduler=flow(), **NONE, **more))


def call_hunyuan_video(prompt: int, batch: int, size: int) -> dict[str, Any]:
    words = {key: value for key, value in {**masked(prompt, batch), **pooled(prompt, batch)}.items() if "negative" not in key}
    return {**words, **area(size), "num_frames": 5}


def guided_hunyuan_video(prompt: int, batch: int, size: int) -> dict[str, Any]:
    words = {**masked(prompt, batch), **pooled(prompt, batch)}
    return {**words, **area(size), "num_frames": 5, "true_cfg_scale": 3.0}


def mochi() -> Any:
    torch.manual_seed(0)
    transformer = diffusers.MochiTransformer3DModel(
        in_channels=4,
        num_layers=3,
        pooled_projection_dim=16,
        text_embed_dim=32,
        time_embed_dim=16,
        max_sequence_length=6,
        **HEADS,
    ).eval()
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(invert_sigmas=True)
    return quiet(diffusers.MochiPipeline(transformer=transformer, scheduler=scheduler, **NONE))


def call_mochi(prompt: int, batch: int, size: int) -> dict[str, Any]:
    words = masked(prompt, batch)
    return {key: value.bool() if "mask" in key else value for key, value in words.items()} | area(size) | {"num_frames": 7}


ROWS: dict[str, Row] = {
    "CogVideoX": Row(cogvideox, call_cogvideox),
    "LTX-Video": Row(ltx, call_ltx),
    "Wan 2.1": Row(wan, call_wan, guidance="passes"),
    "Wan 2.2, two denoisers": Row(lambda: wan(two=True), call_wan, guidance="passes"),
    "HunyuanVideo": Row(hunyuan_video, call_hunyuan_video, guidance="none"),
    "HunyuanVideo with true guidance": Row(hunyuan_video, guided_hunyuan_video, guidance="passes"),
    "Mochi": Row(mochi, call_mochi),
}
