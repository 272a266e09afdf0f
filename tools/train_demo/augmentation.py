"""What is done to a picture before it is seen: premultiplied, moved a little, halved, laid on a background."""

import torch
from torch import Tensor
from torch.nn import functional

from tools.train_demo.recipe import BACKGROUNDS

SCALE = (0.98, 1.16)  # of the window that is looked through, so most pictures get a little smaller
ANGLE = 0.16  # radians
SHIFT = 0.03  # of the width


def premultiplied(rgba: Tensor) -> Tensor:
    """Returns uint8 pictures (N, 4, H, W) as float32 in [0, 1], colours times opacity."""
    pictures = rgba.float() / 255
    return torch.cat([pictures[:, :3] * pictures[:, 3:], pictures[:, 3:]], dim=1)


def moved(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Returns each picture scaled, turned, shifted, mirrored half of the time, and halved.

    Arguments:
        pictures: Premultiplied, (N, 4, 2H, 2W).
        generator: Of the moves.

    Returns:
        Premultiplied, (N, 4, H, W).
    """
    windows = _windows(len(pictures), generator)
    grid = functional.affine_grid(windows, list(pictures.shape), align_corners=False)
    return functional.avg_pool2d(functional.grid_sample(pictures, grid, align_corners=False), 2)


def laid_on(pictures: Tensor, backgrounds: Tensor) -> Tensor:
    """Returns pictures on plain backgrounds.

    Arguments:
        pictures: Premultiplied, (N, 4, H, W).
        backgrounds: Indices into the nine colours, (N,).

    Returns:
        RGB in [-1, 1], (N, 3, H, W).
    """
    palette = torch.tensor(list(BACKGROUNDS.values()), device=pictures.device) / 255
    colours = palette[backgrounds][:, :, None, None]
    return (pictures[:, :3] + (1 - pictures[:, 3:]) * colours) * 2 - 1


def _windows(count: int, generator: torch.Generator) -> Tensor:
    """Returns affine maps (N, 2, 3) from the new picture's coordinates, in [-1, 1], to the old one's."""
    scale, angle, across, down, side = torch.rand(5, count, device=generator.device, generator=generator)
    scale = SCALE[0] + (SCALE[1] - SCALE[0]) * scale
    angle = ANGLE * (2 * angle - 1)
    mirror = torch.where(side < 0.5, -1.0, 1.0)
    cos, sin = scale * angle.cos(), scale * angle.sin()
    shifts = [2 * SHIFT * (2 * shift - 1) for shift in (across, down)]  # coordinates are two wide
    rows = [cos * mirror, -sin, shifts[0], sin * mirror, cos, shifts[1]]
    return torch.stack(rows, dim=1).view(count, 2, 3)
