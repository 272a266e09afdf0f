"""Networks whose weights come and go, or are kept in few bits: a policy leaves them their hooks and their own linear layers."""

from collections.abc import Callable
from typing import Any

import accelerate
import pytest
import torch

from frdiff_tune import Policy, apply_policy, full_policy, keyframe_policy
from frdiff_tune.runtime import Taylor, find_denoisers, forecast_features
from tests.pipelines import ROWS

CPU = torch.device("cpu")
SUBJECTS = ["SD text to image", "SDXL text to image", "PixArt-Sigma", "FLUX text to image"]


def _sequential(pipe: Any, name: str) -> None:
    accelerate.cpu_offload(getattr(pipe, name), execution_device=CPU)


def _whole(pipe: Any, name: str) -> None:
    accelerate.cpu_offload_with_hook(getattr(pipe, name), execution_device=CPU)


def _blocks(pipe: Any, name: str) -> None:
    getattr(pipe, name).enable_group_offload(
        onload_device=CPU, offload_device=CPU, offload_type="block_level", num_blocks_per_group=1
    )


def _leaves(pipe: Any, name: str) -> None:
    getattr(pipe, name).enable_group_offload(onload_device=CPU, offload_device=CPU, offload_type="leaf_level")


def _cast(pipe: Any, name: str) -> None:
    getattr(pipe, name).enable_layerwise_casting(storage_dtype=torch.float8_e4m3fn, compute_dtype=torch.float32)


def _quantised(pipe: Any, name: str) -> None:
    linear = {torch.nn.Linear}
    setattr(pipe, name, torch.ao.quantization.quantize_dynamic(getattr(pipe, name), linear, dtype=torch.qint8))


OFFLOADED = [_sequential, _whole, _blocks, _leaves]
NARROW = [_cast, _quantised]


def policies(pipe: Any, steps: int) -> list[Policy]:
    groups = ["conv", "attention"] if hasattr(pipe, "unet") else ["block"]
    held = keyframe_policy(pipe, steps, [0, 1, 3], mixing=(1, 1, 1, 1, 0.5, 0)[:steps], groups=groups)
    return [full_policy(pipe, steps), held, forecast_features(held, Taylor(1))]


def drawn(name: str, pipe: Any, given: list[Policy]) -> list[torch.Tensor]:
    row = ROWS[name]
    with apply_policy(pipe, given[0]) as applied:
        pictures = []
        for policy in given:
            pictures.append(row.render(applied.use(policy), num_inference_steps=6))
            assert {group: applied.trace.mask(group) for group in policy.masks} == policy.masks
            assert applied.trace.forced == ()
    return pictures


@pytest.mark.parametrize("name", SUBJECTS)
@pytest.mark.parametrize("offload", OFFLOADED)
def test_offloaded(name: str, offload: Callable[[Any, str], None]) -> None:
    """Pictures are those of the network that stays where it is; taken off, the hooks are as they were."""
    pipe = ROWS[name].make()
    given = policies(pipe, 6)
    wanted = drawn(name, pipe, given)
    offload(pipe, find_denoisers(pipe)[0].component)
    for _ in range(2):
        for found, picture in zip(drawn(name, pipe, given), wanted, strict=True):
            assert torch.equal(found, picture)
        assert torch.equal(ROWS[name].render(pipe, num_inference_steps=6), wanted[0])


@pytest.mark.parametrize("name", SUBJECTS)
@pytest.mark.parametrize("narrow", NARROW)
def test_narrow_weights(name: str, narrow: Callable[[Any, str], None]) -> None:
    """The full policy is the network as it is now, bit for bit; reuse follows the policy, also a second time."""
    pipe = ROWS[name].make()
    given = policies(pipe, 6)
    usual = drawn(name, pipe, given)
    narrow(pipe, find_denoisers(pipe)[0].component)
    bare = ROWS[name].render(pipe, num_inference_steps=6)
    assert not torch.equal(bare, usual[0])
    first, second = drawn(name, pipe, given), drawn(name, pipe, given)
    assert torch.equal(first[0], bare)
    for found, again, other in zip(first, second, usual, strict=True):
        assert torch.equal(found, again)
        assert not torch.equal(found, other)
    assert torch.equal(ROWS[name].render(pipe, num_inference_steps=6), bare)
