"""The class model's stage: a DiT, saved as `emoji-dit`."""

import json
from pathlib import Path
from typing import ClassVar

from torch import Tensor, nn

from tools.train_demo.checkpoint import whole_folder
from tools.train_demo.diffusion import DiffusionStage
from tools.train_demo.recipe import BACKGROUNDS, TRANSFORMER, Phase

WHITE = tuple(BACKGROUNDS).index("white")


class ClassStage(DiffusionStage):
    """Trains on white backgrounds alone; class 1000 stands for no condition.

    In training mode each block of diffusers' DiT would drop labels by itself, so one picture would be seen with and
    without its class at once: the networks stay in `eval()` and labels are dropped here.
    """

    name = "class"
    reads: ClassVar[tuple[str, ...]] = (*DiffusionStage.reads, "classes")

    @property
    def phases(self) -> tuple[Phase, ...]:
        """One."""
        return self.recipe.classes

    def build(self) -> dict[str, nn.Module]:
        """Returns the DiT."""
        from diffusers import DiTTransformer2DModel

        return {"transformer": DiTTransformer2DModel(**TRANSFORMER)}

    def draw(self, phase: Phase) -> tuple[Tensor, Tensor]:
        """Returns latents with their classes, (N,)."""
        classes = self.indices(len(self.latents))
        latents = self.latents[classes, WHITE, self.indices(self.recipe.moves)].float()
        return latents, self.without(classes, classes.new_tensor(TRANSFORMER["num_embeds_ada_norm"]))

    def predict(self, noisy: Tensor, timesteps: Tensor, conditions: Tensor) -> Tensor:
        """Returns the DiT's v under the classes."""
        predicted: Tensor = self.networks["transformer"](noisy, timesteps, class_labels=conditions).sample
        return predicted

    def finish(self) -> Path:
        """Writes a `DiTPipeline` folder, float16, with the names of its classes."""
        from diffusers import DiTPipeline

        pipe = DiTPipeline(transformer=self.averaged("transformer").half(), vae=self.vae(), scheduler=self.scheduler)
        with whole_folder(self.out / "emoji-dit") as folder:
            self.write(pipe, folder)
            self.write_names(folder / "model_index.json")
        return self.out / "emoji-dit"

    def write_names(self, path: Path) -> None:
        """Adds the classes to the pipeline's index, from which `DiTPipeline` reads but does not write them."""
        index = json.loads(path.read_text(encoding="utf-8"))
        index["id2label"] = {str(place): name for place, name in enumerate(self.recipe.names)}
        path.write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
