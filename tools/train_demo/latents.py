"""The latents' stage: every picture on every background, moved several times, encoded once."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from tools.train_demo.augmentation import laid_on, moved, premultiplied
from tools.train_demo.autoencoder import AutoencoderStage
from tools.train_demo.pictures import DataStage
from tools.train_demo.recipe import BACKGROUNDS, Recipe
from tools.train_demo.stage import Stage


class LatentsStage(Stage):
    """Makes `latents`: float16, (N, 9 backgrounds, moves, 4, 32, 32), unit variance; one picture per step."""

    name = "latents"
    reads: ClassVar[tuple[str, ...]] = (*AutoencoderStage.reads, "moves")

    def __init__(self, recipe: Recipe, out: Path, device: torch.device) -> None:
        super().__init__(recipe, out, device)
        from diffusers import AutoencoderTiny

        self.result(AutoencoderStage)
        self.rgba: Tensor = self.result(DataStage)["rgba"]
        self.network = AutoencoderTiny.from_pretrained(out / AutoencoderStage.name).to(device).eval()
        self.latents = torch.zeros(len(recipe.names), len(BACKGROUNDS), recipe.moves, 4, 32, 32, dtype=torch.float16)

    @property
    def total(self) -> int:
        """One step per picture."""
        return len(self.recipe.names)

    @torch.inference_mode()
    def advance(self, step: int) -> Mapping[str, Tensor]:
        """Encodes one picture: each background has moves of its own."""
        count = len(BACKGROUNDS) * self.recipe.moves
        backgrounds = torch.arange(len(BACKGROUNDS), device=self.device).repeat_interleave(self.recipe.moves)
        picture = premultiplied(self.rgba[step : step + 1].to(self.device)).expand(count, -1, -1, -1)
        latents = self.network.encode(laid_on(moved(picture, self.generator), backgrounds)).latents
        scaled = latents * self.network.config.scaling_factor
        self.latents[step] = scaled.half().cpu().view_as(self.latents[step])
        return {"deviation": scaled.std()}

    def state(self) -> dict[str, Any]:
        """Returns the latents so far."""
        return {"latents": self.latents}

    def restore(self, state: dict[str, Any]) -> None:
        """Takes back the latents so far."""
        self.latents = state["latents"]

    def finish(self) -> Path:
        """Returns the checkpoint, which is the result."""
        return self.checkpoint(self.out)
