"""Tiny pipelines with random weights: the real classes of diffusers, small enough to run in milliseconds.

Weights come from a fixed seed, so that two calls give the same pipeline. Nothing is read from a hub; the tokenizer is
that of the embedded emoji model.
"""

from typing import Any

import diffusers as typed_diffusers
import torch
import transformers as typed_transformers

from frdiff_tune.demo import model_folder

diffusers: Any = typed_diffusers  # neither package's constructors are typed
transformers: Any = typed_transformers

WORDS = 1600
"""At least the vocabulary of the embedded tokenizer."""


def ddim(prediction_type: str, **config: Any) -> Any:  # noqa: ANN401 - diffusers' own arguments
    options: dict[str, Any] = {
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "clip_sample": False,
        "set_alpha_to_one": False,
        "steps_offset": 1,
        "timestep_spacing": "trailing",
    }
    return diffusers.DDIMScheduler(prediction_type=prediction_type, **options | config)


def _vae() -> Any:  # noqa: ANN401
    """An autoencoder with factor 4: 8x8 latents are 32x32 pictures."""
    width = (8, 8, 8)
    return diffusers.AutoencoderTiny(
        encoder_block_out_channels=width,
        decoder_block_out_channels=width,
        num_encoder_blocks=(1, 1, 1),
        num_decoder_blocks=(1, 1, 1),
    ).eval()


def _tokenizer() -> Any:  # noqa: ANN401
    return transformers.CLIPTokenizer.from_pretrained(model_folder("emoji") / "tokenizer")


def _text_config(width: int = 16) -> Any:  # noqa: ANN401
    return transformers.CLIPTextConfig(
        vocab_size=WORDS,
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=16,
        projection_dim=width,
        eos_token_id=_tokenizer().eos_token_id,
        bos_token_id=_tokenizer().bos_token_id,
        pad_token_id=_tokenizer().pad_token_id,
    )


def tiny_sd(prediction_type: str = "epsilon", seed: int = 0, **scheduler: Any) -> Any:  # noqa: ANN401
    """A Stable Diffusion pipeline: 8x8 latents, two resolutions, attention at the lower one and in the middle."""
    torch.manual_seed(seed)
    unet = diffusers.UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(8, 16),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        layers_per_block=1,
        norm_num_groups=4,
        attention_head_dim=2,
        cross_attention_dim=16,
    ).eval()
    pipe = diffusers.StableDiffusionPipeline(
        vae=_vae(),
        text_encoder=transformers.CLIPTextModel(_text_config()).eval(),
        tokenizer=_tokenizer(),
        unet=unet,
        scheduler=ddim(prediction_type, **scheduler),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    return quiet(pipe)


def tiny_sdxl(prediction_type: str = "epsilon", seed: int = 0, **scheduler: Any) -> Any:  # noqa: ANN401
    """An SDXL pipeline: two text encoders, pooled text and size embeddings, 8x8 latents."""
    torch.manual_seed(seed)
    unet = diffusers.UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(8, 16),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        layers_per_block=1,
        norm_num_groups=4,
        attention_head_dim=2,
        cross_attention_dim=32,
        transformer_layers_per_block=(1, 2),
        addition_embed_type="text_time",
        addition_time_embed_dim=4,
        projection_class_embeddings_input_dim=6 * 4 + 16,
    ).eval()
    pipe = diffusers.StableDiffusionXLPipeline(
        vae=_vae(),
        text_encoder=transformers.CLIPTextModel(_text_config()).eval(),
        text_encoder_2=transformers.CLIPTextModelWithProjection(_text_config()).eval(),
        tokenizer=_tokenizer(),
        tokenizer_2=_tokenizer(),
        unet=unet,
        scheduler=ddim(prediction_type, **scheduler),
        add_watermarker=False,
    )
    return quiet(pipe)


def tiny_dit(prediction_type: str = "epsilon", seed: int = 0, layers: int = 3, **scheduler: Any) -> Any:  # noqa: ANN401
    """A class-conditional DiT pipeline: 8x8 latents, patch 2, named classes "fox", "owl" and "bee"."""
    torch.manual_seed(seed)
    transformer = diffusers.DiTTransformer2DModel(
        sample_size=8,
        in_channels=4,
        out_channels=4,
        num_layers=layers,
        num_attention_heads=2,
        attention_head_dim=8,
        attention_bias=True,
        patch_size=2,
        activation_fn="gelu-approximate",
        num_embeds_ada_norm=1000,
        norm_type="ada_norm_zero",
        norm_elementwise_affine=False,
    ).eval()
    names = {0: "fox", 1: "owl", 2: "bee"}
    return quiet(diffusers.DiTPipeline(transformer, _vae(), ddim(prediction_type, **scheduler), id2label=names))


def tiny_pixart(prediction_type: str = "epsilon", seed: int = 0, **scheduler: Any) -> Any:  # noqa: ANN401
    """A PixArt pipeline with a T5 encoder; its tokenizer is the embedded CLIP one, which encodes just as well here."""
    torch.manual_seed(seed)
    transformer = diffusers.PixArtTransformer2DModel(
        sample_size=8,
        in_channels=4,
        out_channels=4,
        num_layers=3,
        num_attention_heads=2,
        attention_head_dim=8,
        patch_size=2,
        cross_attention_dim=16,
        caption_channels=16,
        use_additional_conditions=False,
    ).eval()
    text = transformers.T5Config(
        vocab_size=WORDS, d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2, dropout_rate=0.0, pad_token_id=0
    )
    pipe = diffusers.PixArtSigmaPipeline(
        tokenizer=_tokenizer(),
        text_encoder=transformers.T5EncoderModel(text).eval(),
        vae=_vae(),
        transformer=transformer,
        scheduler=ddim(prediction_type, **scheduler),
    )
    return quiet(pipe)


def quiet(pipe: Any) -> Any:  # noqa: ANN401 - one function for every pipeline class
    pipe.set_progress_bar_config(disable=True)
    return pipe
