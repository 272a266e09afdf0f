"""The text model's stage: a UNet and the text encoder that is trained with it, saved as `emoji`."""

from pathlib import Path
from shutil import copytree, rmtree
from typing import ClassVar

import torch
from torch import Tensor, nn

from frdiff_tune.demo import model_folder
from tools.train_demo.checkpoint import whole_folder
from tools.train_demo.diffusion import DiffusionStage
from tools.train_demo.prompts import token_table, tokenizer, tokens
from tools.train_demo.recipe import BACKGROUNDS, TEXT_ENCODER, UNET, Phase, Recipe


class TextStage(DiffusionStage):
    """Trains on every picture, background and prompt form alike; the empty prompt stands for no condition."""

    name = "text"
    reads: ClassVar[tuple[str, ...]] = (*DiffusionStage.reads, "text")

    def __init__(self, recipe: Recipe, out: Path, device: torch.device) -> None:
        super().__init__(recipe, out, device)
        colours = tuple(BACKGROUNDS)
        self.tables = {every: token_table(recipe.names, colours, every).to(device) for every in (False, True)}
        self.nothing = tokens([""])[0].to(device)

    @property
    def phases(self) -> tuple[Phase, ...]:
        """First the plain prompts, then every form."""
        return self.recipe.text

    def build(self) -> dict[str, nn.Module]:
        """Returns the UNet and the text encoder."""
        from diffusers import UNet2DConditionModel
        from transformers import CLIPTextConfig, CLIPTextModel

        return {
            "unet": UNet2DConditionModel(**UNET),
            "text_encoder": CLIPTextModel(CLIPTextConfig(**TEXT_ENCODER)),
        }

    def draw(self, phase: Phase) -> tuple[Tensor, Tensor]:
        """Returns latents with prompts that fit them, (N, 16) tokens."""
        table = self.tables[phase.every_form]
        picture, background = self.indices(len(table)), self.indices(len(BACKGROUNDS))
        latents = self.latents[picture, background, self.indices(self.recipe.moves)].float()
        prompts = table[picture, background, self.indices(table.shape[2])]
        return latents, self.without(prompts, self.nothing)

    def predict(self, noisy: Tensor, timesteps: Tensor, conditions: Tensor) -> Tensor:
        """Returns the UNet's v under the encoded prompts."""
        hidden = self.networks["text_encoder"](conditions)[0]
        predicted: Tensor = self.networks["unet"](noisy, timesteps, encoder_hidden_states=hidden).sample
        return predicted

    def finish(self) -> Path:
        """Writes a `StableDiffusionPipeline` folder: float16, but float32 for the text encoder."""
        from diffusers import StableDiffusionPipeline

        pipe = StableDiffusionPipeline(
            vae=self.vae(),
            text_encoder=self.averaged("text_encoder"),
            tokenizer=tokenizer(),
            unet=self.averaged("unet").half(),
            scheduler=self.scheduler,
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
        with whole_folder(self.out / "emoji") as folder:
            self.write(pipe, folder)
            rmtree(folder / "tokenizer")  # transformers rewrites it in its own version's manner
            copytree(model_folder("emoji") / "tokenizer", folder / "tokenizer")
        return self.out / "emoji"
