"""A transformer of the tests' own, and its family: one file, and one line in ``FAMILIES``."""

from typing import Any

import diffusers as typed_diffusers
import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from diffusers.pipelines.pipeline_utils import DiffusionPipeline
from torch import Tensor, nn

from frdiff_tune.runtime.families.transformer import Transformer
from tests.pipelines.row import Row
from tests.tiny import ddim, quiet

diffusers: Any = typed_diffusers
WIDTH = 8


class Toy(Transformer):
    """``ToyTransformer``: one mixer and one feed-forward per block."""

    lists = {"layers": ("hidden_states",)}
    parts = {"mixer": "mixing", "mlp": "feed_forward"}
    paper_groups = ("mixing",)


class ToyBlock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.mixer, self.mlp = nn.Linear(WIDTH, WIDTH), nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.GELU())

    def forward(self, hidden_states: Tensor, scale: Tensor) -> Tensor:
        x = hidden_states + scale * self.mixer(hidden_states)
        result: Tensor = x + scale * self.mlp(x)
        return result


class ToyTransformer(ModelMixin, ConfigMixin):  # type: ignore[misc]
    """Mixes the channels of 8x8 positions, more where it is noisier."""

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(self, depth: int = 3) -> None:
        super().__init__()
        self.enter, self.leave = nn.Linear(4, WIDTH), nn.Linear(WIDTH, 4)
        self.layers = nn.ModuleList([ToyBlock() for _ in range(depth)])

    def forward(self, hidden_states: Tensor, timestep: Tensor, return_dict: bool = True) -> tuple[Tensor]:
        x = self.enter(hidden_states.movedim(1, -1))
        for layer in self.layers:
            x = layer(x, 1 + timestep / 1000)
        return (self.leave(x).movedim(-1, 1),)


class ToyPipeline(DiffusionPipeline):  # type: ignore[misc]
    """The least that a pipeline is."""

    def __init__(self, transformer: ToyTransformer, scheduler: Any) -> None:
        super().__init__()
        self.register_modules(transformer=transformer, scheduler=scheduler)

    def __call__(
        self, batch_size: int = 1, num_inference_steps: int = 50, generator: Any = None, return_dict: bool = True
    ) -> tuple[Tensor]:
        x = torch.randn(batch_size, 4, 8, 8, generator=generator)
        self.scheduler.set_timesteps(num_inference_steps)
        for time in self.scheduler.timesteps:
            x = self.scheduler.step(self.transformer(x, time)[0], time, x).prev_sample
        return (x,)


def toy() -> Any:
    torch.manual_seed(0)
    return quiet(ToyPipeline(ToyTransformer(), ddim("epsilon")))


ROWS: dict[str, Row] = {
    "a toy of the tests' own": Row(toy, lambda prompt, batch, size: {"batch_size": batch}, sizes=(1,), guidance="none")
}
