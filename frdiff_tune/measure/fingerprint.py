"""What makes two pipelines draw the same picture: a digest of their weights, without reading every byte."""

from hashlib import sha256
from typing import Any

import torch
from torch import Tensor, nn

SAMPLED = 1024  # values per tensor; SDXL's 2,500 tensors then take under a second


def weights_fingerprint(pipe: Any) -> str:  # noqa: ANN401
    """Returns a SHA-256, hexadecimal, over all components that are modules.

    It covers names, shapes, dtypes and up to 1,024 evenly spaced values of every parameter and buffer: any training
    step, merged adapter or cast changes it; one value edited by hand may not.

    Arguments:
        pipe: A diffusers pipeline.
    """
    digest = sha256()
    for component, module in sorted(pipe.components.items()):
        if isinstance(module, nn.Module):
            for name, tensor in sorted(module.state_dict().items()):
                digest.update(f"{component}.{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
                digest.update(_sample(tensor))
    return digest.hexdigest()


def _sample(tensor: Tensor) -> bytes:
    """Returns the bytes of evenly spaced values."""
    if tensor.is_meta:
        return b"meta"
    flat = tensor.detach().flatten()
    values = flat[:: max(1, len(flat) // SAMPLED)].contiguous().cpu()
    return values.view(torch.uint8).numpy().tobytes()
