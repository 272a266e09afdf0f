"""What is trained and how: the architectures and the numbers, as values."""

from dataclasses import asdict, dataclass, replace
from math import cos, pi
from typing import Any, Self

from frdiff_tune.demo import names as known_names
from frdiff_tune.errors import ModelError

BACKGROUNDS: dict[str, tuple[int, int, int]] = {  # the colours of `demo.colours()`, sRGB, 0 to 255
    "white": (255, 255, 255),
    "yellow": (255, 236, 150),
    "orange": (255, 200, 140),
    "pink": (255, 196, 218),
    "purple": (214, 198, 250),
    "blue": (170, 212, 250),
    "green": (184, 234, 188),
    "gray": (198, 200, 206),
    "black": (34, 34, 40),
}
AUTOENCODER: dict[str, Any] = {
    "encoder_block_out_channels": (32, 32, 32),
    "decoder_block_out_channels": (24, 24, 24),
    "num_encoder_blocks": (1, 3, 3),
    "num_decoder_blocks": (3, 3, 1),
    "latent_channels": 4,
}
UNET: dict[str, Any] = {
    "sample_size": 32,
    "in_channels": 4,
    "out_channels": 4,
    "block_out_channels": (24, 48, 96, 160),
    "down_block_types": ("DownBlock2D", "DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
    "layers_per_block": 1,
    "norm_num_groups": 8,
    "attention_head_dim": 4,  # diffusers reads this as the number of heads here
    "cross_attention_dim": 96,
    "use_linear_projection": True,
    "time_embedding_dim": 128,
    "addition_embed_type": "text",
    "addition_embed_type_num_heads": 4,
}
TEXT_ENCODER: dict[str, Any] = {
    "vocab_size": 1528,
    "hidden_size": 96,
    "intermediate_size": 192,
    "projection_dim": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 16,
    "bos_token_id": 1500,
    "eos_token_id": 1501,
    "pad_token_id": 1501,
}
TRANSFORMER: dict[str, Any] = {
    "sample_size": 32,
    "in_channels": 4,
    "out_channels": 4,
    "num_layers": 8,
    "num_attention_heads": 6,
    "attention_head_dim": 32,
    "patch_size": 4,
    "norm_type": "ada_norm_zero",
    "num_embeds_ada_norm": 1000,
}
SCHEDULER: dict[str, Any] = {
    "num_train_timesteps": 1000,
    "beta_schedule": "squaredcos_cap_v2",
    "prediction_type": "v_prediction",
    "timestep_spacing": "trailing",
    "clip_sample": False,
    "steps_offset": 1,
}


@dataclass(frozen=True, slots=True)
class Phase:
    """A run of optimiser steps under one cosine of the learning rate.

    Arguments:
        steps: Optimiser steps, positive.
        rate: Learning rate at the first of them.
        floor: Learning rate at the last of them, as a fraction of the first.
        every_form: Whether prompts take every form, or only the plain ones.
    """

    steps: int
    rate: float
    floor: float = 0.01
    every_form: bool = True

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ModelError(f"`steps` must be at least 1 in each phase but got {self.steps}. Give `--steps 2` or more.")

    def rate_at(self, step: int) -> float:
        """Returns rate * (floor + (1 - floor) * (1 + cos(pi * step / (steps - 1))) / 2)."""
        wave = (1 + cos(pi * step / max(self.steps - 1, 1))) / 2
        return self.rate * (self.floor + (1 - self.floor) * wave)


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that a run depends on but its pictures and its device.

    Arguments:
        names: The classes in order, by emojibase's English labels.
        seed: Of every stage's random numbers.
        moves: Latents made per picture and background.
        autoencoder_batch: Pictures per step of the autoencoder.
        batch: Latents per step of the diffusion models.
        pull: Weight of the autoencoder's pull on its latents; small against L1. Not on record, chosen here.
        noise: Deviation of the noise on the latents that the decoder learns to undo.
        dropped: Share of the conditions that are left out, for guidance.
        decay: Of the average of the weights, per step.
        autoencoder: Phases of the autoencoder.
        text: Phases of the text model. The forms of the first are not on record; here they are the plain ones.
        classes: Phases of the class model.
    """

    names: tuple[str, ...] = known_names()
    seed: int = 0
    moves: int = 9
    autoencoder_batch: int = 96
    batch: int = 512
    pull: float = 0.01
    noise: float = 0.08
    dropped: float = 0.1
    decay: float = 0.9995
    autoencoder: tuple[Phase, ...] = (Phase(5_700, 2e-3, floor=0.0),)
    text: tuple[Phase, ...] = (Phase(11_400, 1.5e-3, every_form=False), Phase(5_800, 7e-4))
    classes: tuple[Phase, ...] = (Phase(35_900, 1e-3),)

    def shortened(self, steps: int) -> Self:
        """Returns the recipe with `steps` optimiser steps per network, its phases in proportion."""
        return replace(
            self,
            autoencoder=_shortened(self.autoencoder, steps),
            text=_shortened(self.text, steps),
            classes=_shortened(self.classes, steps),
        )

    def record(self, fields: tuple[str, ...]) -> dict[str, Any]:
        """Returns some of the fields as plain values, to compare a checkpoint's with."""
        return {field: value for field, value in asdict(self).items() if field in fields}


def phase_at(phases: tuple[Phase, ...], step: int) -> tuple[Phase, int]:
    """Returns the phase that a step of the whole run falls into, and the step counted within it."""
    for phase in phases:
        if step < phase.steps:
            return phase, step
        step -= phase.steps
    raise AssertionError(f"step {step} lies behind the last phase")


def _shortened(phases: tuple[Phase, ...], steps: int) -> tuple[Phase, ...]:
    total, ends, done = sum(phase.steps for phase in phases), [0], 0
    for phase in phases:
        done += phase.steps
        ends.append(round(steps * done / total))
    return tuple(replace(phase, steps=end - start) for phase, start, end in zip(phases, ends[:-1], ends[1:], strict=True))
