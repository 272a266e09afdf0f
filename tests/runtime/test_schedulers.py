"""Every scheduler on every kind of denoiser: keyframes count network calls, also where a step has two."""

from typing import Any

import pytest
import torch

from frdiff_tune import apply_policy, full_policy, keyframe_policy
from frdiff_tune.errors import MismatchError
from frdiff_tune.runtime.solver import UNSCALED_PIPELINES
from tests.pipelines import ROWS, Row

DIFFUSION: dict[str, dict[str, Any]] = {
    "DDIMScheduler": {},
    "DDPMScheduler": {},
    "PNDMScheduler": {},
    "LMSDiscreteScheduler": {},
    "DPMSolverMultistepScheduler": {},
    "DPMSolverMultistepScheduler, SDE": {"algorithm_type": "sde-dpmsolver++"},
    "UniPCMultistepScheduler": {},
    "EulerDiscreteScheduler": {},
    "EulerAncestralDiscreteScheduler": {},
    "HeunDiscreteScheduler": {},
    "KDPM2DiscreteScheduler": {},
    "LCMScheduler": {},
}
FLOW: dict[str, dict[str, Any]] = {"FlowMatchEulerDiscreteScheduler": {}, "FlowMatchHeunDiscreteScheduler": {}}
UNSCALED = ("DDIMScheduler", "DDPMScheduler", "PNDMScheduler", "DPMSolverMultistepScheduler", "UniPCMultistepScheduler")
"""Of those, what starts from noise of variance 1."""
SUBJECTS: dict[str, dict[str, dict[str, Any]]] = {
    "SD text to image": DIFFUSION,
    "SDXL text to image": DIFFUSION,
    "DDIM": dict.fromkeys(("DDIMScheduler",), {}),
    "AnimateDiff": DIFFUSION,
    "DiT": dict.fromkeys(UNSCALED, {}),
    "PixArt-Sigma": DIFFUSION,
    "HunyuanDiT": dict.fromkeys(
        ("DDIMScheduler", "DDPMScheduler", "DPMSolverMultistepScheduler", "EulerDiscreteScheduler"), {}
    ),
    "SD 3": FLOW,
    "FLUX text to image": dict.fromkeys(("FlowMatchEulerDiscreteScheduler",), {}),
}
CASES = [(subject, name) for subject, names in SUBJECTS.items() for name in names]


def with_scheduler(subject: str, name: str) -> tuple[Row, Any]:
    """Returns a row with its pipeline on another scheduler."""
    import diffusers as typed_diffusers

    diffusers: Any = typed_diffusers
    row = ROWS[subject]
    pipe = row.make()
    cls = getattr(diffusers, name.partition(",")[0])
    own = dict(pipe.scheduler.config)
    pipe.scheduler = cls.from_config(own, **SUBJECTS[subject].get(name, {}))
    return row, pipe


@pytest.mark.parametrize(("subject", "name"), CASES)
def test_keyframes_count_network_calls(subject: str, name: str) -> None:
    row, pipe = with_scheduler(subject, name)
    bare = row.render(pipe)
    full = full_policy(pipe, row.steps)
    T = full.T
    assert T == len(full.keyframes)
    with apply_policy(pipe, full) as applied:
        assert torch.equal(row.render(applied), bare)
        assert applied.trace.network == "1" * T
        keyframes = [t for t in range(T) if t % 3 != 2]
        applied.use(keyframe_policy(pipe, row.steps, keyframes, 0.0, order=1))
        jumped = row.render(applied)
        assert applied.trace.network == applied.policy.keyframes
        assert applied.trace.forced == ()
        applied.use(keyframe_policy(pipe, row.steps, keyframes, 1.0))
        reused = row.render(applied)
        assert applied.trace.forced == ()
        assert {group: applied.trace.mask(group) for group in applied.policy.masks} == applied.policy.masks
    assert torch.isfinite(jumped).all()
    assert torch.isfinite(reused).all()
    assert not torch.equal(jumped, bare)
    assert torch.equal(row.render(pipe), bare)


def test_a_scheduler_that_calls_twice_has_twice_as_many_steps_but_one() -> None:
    _, pipe = with_scheduler("SD text to image", "HeunDiscreteScheduler")
    assert full_policy(pipe, 6).T == 11


@pytest.mark.parametrize("name", ["EulerDiscreteScheduler", "HeunDiscreteScheduler"])
def test_scaled_noise_is_refused_where_the_pipeline_does_not_scale(name: str) -> None:
    pipe = ROWS["DiT"].make()
    assert type(pipe).__name__ in UNSCALED_PIPELINES
    with pytest.raises(MismatchError, match="does not scale its noise"):
        full_policy(pipe, 6, scheduler=name)
