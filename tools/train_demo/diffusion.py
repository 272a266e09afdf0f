"""What both diffusion models share: v-prediction on cached latents, AdamW, an average of the weights."""

from abc import abstractmethod
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from shutil import copytree, rmtree
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from tools.train_demo.autoencoder import AutoencoderStage
from tools.train_demo.latents import LatentsStage
from tools.train_demo.recipe import SCHEDULER, Phase, Recipe, phase_at
from tools.train_demo.stage import Stage


class DiffusionStage(Stage):
    """Trains networks to give v = sqrt(abar) noise - sqrt(1 - abar) x0 at stratified timesteps; mean squared error.

    References:
        | Progressive Distillation for Fast Sampling of Diffusion Models (Salimans and Ho, 2022), section 4
        | https://arxiv.org/abs/2202.00512
    """

    reads: ClassVar[tuple[str, ...]] = (*LatentsStage.reads, "batch", "dropped", "decay")

    def __init__(self, recipe: Recipe, out: Path, device: torch.device) -> None:
        super().__init__(recipe, out, device)
        from diffusers import DDIMScheduler

        self.latents: Tensor = self.result(LatentsStage)["latents"].to(device)
        self.scheduler = DDIMScheduler(**SCHEDULER)
        with torch.random.fork_rng():
            torch.manual_seed(recipe.seed)
            self.networks = nn.ModuleDict(self.build()).to(device).eval()  # no dropout but the conditions' own
        blend = get_ema_multi_avg_fn(recipe.decay)
        self.average = AveragedModel(self.networks, multi_avg_fn=blend)
        self.optimizer = torch.optim.AdamW(self.networks.parameters(), betas=(0.9, 0.99), weight_decay=0.01)

    @property
    @abstractmethod
    def phases(self) -> tuple[Phase, ...]:
        """The phases of the recipe that are this model's."""

    @abstractmethod
    def build(self) -> dict[str, nn.Module]:
        """Returns the networks, by the pipeline's component names."""

    @abstractmethod
    def draw(self, phase: Phase) -> tuple[Tensor, Tensor]:
        """Returns a batch of latents (N, 4, 32, 32) and their conditions (N, ...), some of them left out."""

    @abstractmethod
    def predict(self, noisy: Tensor, timesteps: Tensor, conditions: Tensor) -> Tensor:
        """Returns the networks' v, (N, 4, 32, 32)."""

    @property
    def total(self) -> int:
        """One step per batch."""
        return sum(phase.steps for phase in self.phases)

    def advance(self, step: int) -> Mapping[str, Tensor]:
        """Does one step of AdamW; returns the loss, over all timesteps and by quarter from clean to noisy."""
        phase, within = phase_at(self.phases, step)
        self.optimizer.param_groups[0]["lr"] = phase.rate_at(within)
        losses = self.losses(*self.draw(phase))
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(losses.mean())
        nn.utils.clip_grad_norm_(self.networks.parameters(), 1.0)
        self.optimizer.step()
        self.average.update_parameters(self.networks)
        quarters = losses.detach().tensor_split(4)
        return {"loss": losses.detach().mean()} | {f"q{place}": part.mean() for place, part in enumerate(quarters, 1)}

    def losses(self, latents: Tensor, conditions: Tensor) -> Tensor:
        """Returns each latent's mean squared error on v, (N,), in the order of its timesteps."""
        timesteps = self.timesteps(len(latents))
        noise = torch.randn(latents.shape, device=self.device, generator=self.generator)
        noisy = self.scheduler.add_noise(latents, noise, timesteps)
        velocity: Tensor = self.scheduler.get_velocity(latents, noise, timesteps)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            predicted = self.predict(noisy, timesteps, conditions)
        return (predicted.float() - velocity).square().mean(dim=(1, 2, 3))

    def timesteps(self, count: int) -> Tensor:
        """Returns one timestep out of each of `count` equal strata, rising, int64 (count,)."""
        within = torch.rand(count, device=self.device, generator=self.generator)
        share = (torch.arange(count, device=self.device) + within) / count
        train_steps: int = SCHEDULER["num_train_timesteps"]
        return (share * train_steps).long().clamp(max=train_steps - 1)

    def indices(self, size: int) -> Tensor:
        """Returns a batch of random indices below `size`, int64 (N,)."""
        return torch.randint(size, (self.recipe.batch,), device=self.device, generator=self.generator)

    def without(self, conditions: Tensor, nothing: Tensor) -> Tensor:
        """Returns conditions (N, ...), a share of them replaced by `nothing` (...)."""
        dropped = torch.rand(len(conditions), device=self.device, generator=self.generator) < self.recipe.dropped
        return torch.where(dropped.view(-1, *[1] * (conditions.dim() - 1)), nothing, conditions)

    def averaged(self, name: str) -> Any:  # noqa: ANN401 (a diffusers or transformers model)
        """Returns a copy of a network with its averaged weights, float32 on the CPU."""
        return deepcopy(self.average.module.get_submodule(name)).cpu()

    def vae(self) -> Any:  # noqa: ANN401 (diffusers has no types)
        """Returns the trained autoencoder, float16."""
        from diffusers import AutoencoderTiny

        return AutoencoderTiny.from_pretrained(self.out / AutoencoderStage.name, torch_dtype=torch.float16)

    def write(self, pipe: Any, folder: Path) -> None:  # noqa: ANN401 (diffusers has no types)
        """Writes a pipeline's folder; its autoencoder is copied, since diffusers would note where it was loaded from."""
        pipe.save_pretrained(folder)
        rmtree(folder / "vae")
        copytree(self.out / AutoencoderStage.name, folder / "vae")

    def state(self) -> dict[str, Any]:
        """Returns weights, average and optimiser."""
        return {
            "networks": self.networks.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Takes back weights, average and optimiser."""
        self.networks.load_state_dict(state["networks"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
