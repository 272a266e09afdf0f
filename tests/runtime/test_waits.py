"""The step loop never waits for the device on our account: reading a number off a tensor is what would make it."""

from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from frdiff_tune import Policy, apply_policy, frdiff_policy, full_policy, keyframe_policy
from frdiff_tune.runtime import Taylor, find_denoisers, forecast_features
from tests.pipelines import ROWS

ONCE = 2
"""Numbers that may be read when a run begins."""


class Reads(TorchDispatchMode):
    """Counts numbers that are read off tensors, which on a GPU wait for all that was launched."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += func in (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default)
        return func(*args, **(kwargs or {}))


def reads(render: Any, steps: int) -> int:
    with Reads() as counted:
        render(steps)
    found: int = counted.count
    return found


@pytest.mark.parametrize("name", ["SD text to image", "SDXL text to image", "DiT", "FLUX text to image", "SD ControlNet"])
def test_no_step_reads_a_number(name: str) -> None:
    row = ROWS[name]
    pipe = row.make()

    def bare(steps: int) -> None:
        row.render(pipe, num_inference_steps=steps)

    def policies(steps: int) -> list[Policy]:
        kinds = {site.group for site in find_denoisers(pipe)[0].sites}
        group = "conv" if "conv" in kinds else "block"
        held = keyframe_policy(pipe, steps, range(0, steps, 2), mixing=0.5, groups=[group], order=1)
        guided = keyframe_policy(pipe, steps, range(0, steps, 3), mixing=1.0, groups=[group, "guidance"])
        jumps = keyframe_policy(
            pipe, steps, range(0, steps, 2), mixing=0.0, variable="epsilon" if "FLUX" not in name else "output"
        )
        return [
            full_policy(pipe, steps),
            frdiff_policy(pipe, steps, 2),
            held,
            forecast_features(held, Taylor(1)),
            guided,
            jumps,
        ]

    own = {steps: reads(bare, steps) for steps in (6, 12)}
    for short, long in zip(policies(6), policies(12), strict=True):
        found = {}
        for steps, policy in ((6, short), (12, long)):
            with apply_policy(pipe, policy) as applied:
                found[steps] = reads(lambda n, applied=applied: row.render(applied, num_inference_steps=n), steps)
        assert found[6] <= own[6] + ONCE
        assert found[12] - found[6] <= own[12] - own[6], "more steps read no more numbers"
