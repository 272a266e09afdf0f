"""The autoencoder's stage: pictures to latents and back, 128x128x3 to 32x32x4."""

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from frdiff_tune.demo import alexnet_weights
from tools.train_demo.augmentation import laid_on, moved, premultiplied
from tools.train_demo.checkpoint import whole_folder
from tools.train_demo.pictures import DataStage
from tools.train_demo.recipe import AUTOENCODER, BACKGROUNDS, Recipe, phase_at
from tools.train_demo.stage import Stage

DEVIATION = 0.8
LIMIT = 2.4


class AutoencoderStage(Stage):
    """Trains `AutoencoderTiny` on L1 + 2 MSE + LPIPS / 2, with noise on the latents and a weak pull on their spread."""

    name = "autoencoder"
    reads: ClassVar[tuple[str, ...]] = (*DataStage.reads, "seed", "autoencoder", "autoencoder_batch", "pull", "noise")

    def __init__(self, recipe: Recipe, out: Path, device: torch.device) -> None:
        super().__init__(recipe, out, device)
        from diffusers import AutoencoderTiny

        self.pictures = self.result(DataStage)["rgba"].to(device)
        with torch.random.fork_rng():
            torch.manual_seed(recipe.seed)
            self.network = AutoencoderTiny(**AUTOENCODER).to(device).train()
        self.optimizer = torch.optim.AdamW(self.network.parameters())
        self.lpips = load_lpips().to(device)

    @property
    def total(self) -> int:
        """One step per batch."""
        return sum(phase.steps for phase in self.recipe.autoencoder)

    def advance(self, step: int) -> Mapping[str, Tensor]:
        """Does one step of AdamW."""
        phase, within = phase_at(self.recipe.autoencoder, step)
        self.optimizer.param_groups[0]["lr"] = phase.rate_at(within)
        images = self.draw(self.recipe.autoencoder_batch, self.generator)
        latents = self.network.encode(images).latents
        noise = torch.randn(latents.shape, device=self.device, generator=self.generator)
        drawn = self.network.decode(latents + self.recipe.noise * noise).sample
        figures = {
            "l1": functional.l1_loss(drawn, images),
            "mse": functional.mse_loss(drawn, images),
            "lpips": self.lpips(drawn, images).mean(),
            "pull": pull(latents),
        }
        loss = figures["l1"] + 2 * figures["mse"] + 0.5 * figures["lpips"] + self.recipe.pull * figures["pull"]
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        self.optimizer.step()
        return {name: figure.detach() for name, figure in figures.items()}

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Returns random pictures, moved, on random backgrounds: (count, 3, 128, 128) in [-1, 1]."""
        picked, backgrounds = (
            torch.randint(size, (count,), device=self.device, generator=generator)
            for size in (len(self.pictures), len(BACKGROUNDS))
        )
        return laid_on(moved(premultiplied(self.pictures[picked]), generator), backgrounds)

    def state(self) -> dict[str, Any]:
        """Returns weights and optimiser."""
        return {"network": self.network.state_dict(), "optimizer": self.optimizer.state_dict()}

    def restore(self, state: dict[str, Any]) -> None:
        """Takes back weights and optimiser."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])

    @torch.inference_mode()
    def finish(self) -> Path:
        """Writes the autoencoder's folder, float16, scaled so that latents have unit variance."""
        generator = torch.Generator(self.device).manual_seed(self.recipe.seed)
        batches = (self.draw(self.recipe.autoencoder_batch, generator) for _ in range(4))
        latents = torch.cat([self.network.encode(images).latents for images in batches])
        self.network.register_to_config(scaling_factor=round(1 / float(latents.std()), 6))
        with whole_folder(self.out / self.name) as folder:
            deepcopy(self.network).half().save_pretrained(folder)
        return self.out / self.name


def pull(latents: Tensor) -> Tensor:
    """Returns how far latents (N, 4, H, W) are from mean 0, deviation .8 and magnitudes below 2.4; per channel."""
    by_channel = latents.transpose(0, 1).flatten(1)
    mean, spread = by_channel.mean(1), by_channel.std(1) - DEVIATION
    return mean.square().mean() + spread.square().mean() + (latents.abs() - LIMIT).relu().square().mean()


def load_lpips() -> nn.Module:
    """Returns LPIPS (AlexNet) on the embedded backbone, frozen; pictures (N, 3, H, W) in [-1, 1]."""
    from lpips import LPIPS
    from safetensors.torch import load_file

    metric: nn.Module = LPIPS(net="alex", pnet_rand=True, verbose=False)
    for key, tensor in load_file(alexnet_weights()).items():
        _, layer, part = key.split(".")
        place = ("0", "3", "6", "8", "10").index(layer) + 1
        metric.get_parameter(f"net.slice{place}.{layer}.{part}").data.copy_(tensor)
    return metric.eval().requires_grad_(False)
