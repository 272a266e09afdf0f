"""The relative error of the latents, before any decoder: what the solver itself has got wrong."""

from typing import ClassVar

import torch
from torch import Tensor

from frdiff_tune.errors import MeasureError
from frdiff_tune.measure.drawn import Drawn
from frdiff_tune.measure.metrics._base import Better, Paired


class LatentL2(Paired):
    """The distance of the final latents over the length of the reference's.

    ||z - z_ref||_2 / ||z_ref||_2
    """

    name = "latent_l2"
    unit = "1"
    better: ClassVar[Better] = "lower"
    flip = 0.23
    """Parts best what LPIPS calls a flip from the rest, of 896 pictures of the embedded models: ``benchmarks/flips.py``."""

    def __call__(self, drawn: Drawn, references: Drawn) -> tuple[float, ...]:
        """Returns one value per pair.

        Raises:
            MeasureError: If there are no latents, or the shapes differ.
        """
        self.check(drawn, references)
        if drawn.latents is None or references.latents is None:
            raise MeasureError(
                "`metrics` must suit the pipeline but latent_l2 needs latents and its scheduler's last step gave none that "
                "belong to the pictures. Leave latent_l2 out of [measure] metrics."
            )
        return tuple(self.compare(torch.from_numpy(drawn.latents), torch.from_numpy(references.latents)).tolist())

    def compare(self, x: Tensor, y: Tensor) -> Tensor:
        """Returns one value per pair, with shape (B,).

        Arguments:
            x: Latents, with shape (B, ...).
            y: The reference's, with the same shape.
        """
        x, y = x.flatten(1).double(), y.flatten(1).double()
        relative: Tensor = torch.linalg.vector_norm(x - y, dim=1) / torch.linalg.vector_norm(y, dim=1)
        return relative
