"""Every scheduler on every family that can run it: keyframes count network calls, also where a step has two."""

from typing import Any

import diffusers as typed_diffusers
import pytest
import torch

from frdiff_tune import apply_policy, full_policy, keyframe_policy
from frdiff_tune.errors import MismatchError
from frdiff_tune.runtime import find_denoisers
from frdiff_tune.runtime.families import FAMILIES
from frdiff_tune.runtime.solver import STEP_ARGUMENTS, UNSCALED_PIPELINES, make_scheduler
from tests.pipelines import ROWS, Row
from tests.pipelines.subject import recorded

diffusers: Any = typed_diffusers
OPTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "DDIM": ("DDIMScheduler", {}),
    "DDPM": ("DDPMScheduler", {}),
    "PNDM": ("PNDMScheduler", {}),
    "LMS": ("LMSDiscreteScheduler", {}),
    "DPM++ 2M": ("DPMSolverMultistepScheduler", {}),
    "DPM++ 2M SDE": ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++"}),
    "UniPC": ("UniPCMultistepScheduler", {}),
    "Euler": ("EulerDiscreteScheduler", {}),
    "Euler ancestral": ("EulerAncestralDiscreteScheduler", {}),
    "Heun": ("HeunDiscreteScheduler", {}),
    "KDPM2": ("KDPM2DiscreteScheduler", {}),
    "LCM": ("LCMScheduler", {}),
    "CogVideoX DDIM": ("CogVideoXDDIMScheduler", {}),
    "CogVideoX DPM": ("CogVideoXDPMScheduler", {}),
    "flow Euler": ("FlowMatchEulerDiscreteScheduler", {}),
    "flow Heun": ("FlowMatchHeunDiscreteScheduler", {}),
    "flow LCM": ("FlowMatchLCMScheduler", {}),
    "flow UniPC": ("UniPCMultistepScheduler", {"use_flow_sigmas": True, "prediction_type": "flow_prediction"}),
    "flow DPM++ 2M": ("DPMSolverMultistepScheduler", {"use_flow_sigmas": True, "prediction_type": "flow_prediction"}),
}
UNSCALED = ("DDIM", "DDPM", "PNDM", "DPM++ 2M", "DPM++ 2M SDE", "UniPC", "LCM")
DIFFUSION = (*UNSCALED, "LMS", "Euler", "Euler ancestral", "Heun", "KDPM2")
FLOW = ("flow Euler", "flow UniPC", "flow LCM")
SUBJECTS: dict[str, tuple[str, ...]] = {
    "DDPM": ("DDIM", "DDPM", "DPM++ 2M", "DPM++ 2M SDE", "LCM"),  # the others' steps take no generator
    "DDIM": ("DDIM",),  # the others' steps take no eta
    "LDM unconditional": DIFFUSION,
    "SD text to image": DIFFUSION,
    "SD img2img": DIFFUSION,
    "SDXL text to image": DIFFUSION,
    "AnimateDiff": DIFFUSION,
    "Stable Video Diffusion": ("DDIM", "DDPM", "PNDM", "LMS", "Euler", "Euler ancestral", "LCM"),  # others refuse its sigmas
    "DiT": UNSCALED,
    "PixArt-Sigma": DIFFUSION,
    "HunyuanDiT": DIFFUSION,
    "CogVideoX": (*DIFFUSION, "CogVideoX DDIM", "CogVideoX DPM"),
    "SD 3": (*FLOW, "flow Heun", "flow DPM++ 2M"),
    "FLUX text to image": (*FLOW, "flow DPM++ 2M"),  # it gives sigmas, which flow Heun does not take
    "FLUX.2": (*FLOW, "flow DPM++ 2M"),
    "Sana": (*FLOW, "flow Heun", "flow DPM++ 2M"),
    "AuraFlow": (*FLOW, "flow Heun", "flow DPM++ 2M"),
    "Lumina 2": FLOW,
    "Qwen-Image": FLOW,
    "Z-Image": ("flow Euler", "flow LCM"),
    "LTX-Video": FLOW,
    "Wan 2.1": (*FLOW, "flow Heun", "flow DPM++ 2M"),
    "Wan 2.2, two denoisers": (*FLOW, "flow Heun", "flow DPM++ 2M"),
    "HunyuanVideo": FLOW,
    "Mochi": ("flow Euler", "flow UniPC"),  # flow LCM does not know inverted sigmas: it gives noise
}
CASES = [(subject, name) for subject, names in SUBJECTS.items() for name in names]


def with_scheduler(subject: str, name: str) -> tuple[Row, Any]:
    """Returns a row with its pipeline on another scheduler."""
    row = ROWS[subject]
    pipe = row.make()
    scheduler, options = OPTIONS[name]
    pipe.scheduler = getattr(diffusers, scheduler).from_config(dict(pipe.scheduler.config), **options)
    return row, pipe


@pytest.mark.parametrize(("subject", "name"), CASES)
def test_keyframes_count_network_calls(subject: str, name: str) -> None:
    row, pipe = with_scheduler(subject, name)
    with recorded(pipe) as calls:
        bare = row.render(pipe)
    T = len(calls) // (2 if row.guidance == "passes" else 1)
    handovers = {t for t in range(1, T) if calls[t * len(calls) // T].component != calls[(t - 1) * len(calls) // T].component}
    if row.walked is None:
        assert full_policy(pipe, row.steps).T == T
    keyframes = sorted({t for t in range(T) if t % 3 != 2} | handovers)
    with apply_policy(pipe, full_policy(pipe, row.steps, T=T)) as applied:
        assert torch.equal(row.render(applied), bare)
        assert applied.trace.network == "1" * T
        applied.use(keyframe_policy(pipe, row.steps, keyframes, 0.0, order=0 if handovers else 1, T=T))
        jumped = row.render(applied)
        assert applied.trace.network == applied.policy.keyframes
        applied.use(keyframe_policy(pipe, row.steps, keyframes, 1.0, T=T))
        reused = row.render(applied)
        assert {group: applied.trace.mask(group) for group in applied.policy.masks} == applied.policy.masks
        assert set(applied.trace.forced) <= handovers
    assert torch.isfinite(jumped).all()
    assert torch.isfinite(reused).all()
    if not set(bare.unique().tolist()) <= {0.0, 1.0}:  # saturated pixels, as DDPM's with DPM++, tell nothing
        assert not torch.equal(jumped, bare)
        assert not torch.equal(reused, bare)
    assert torch.equal(row.render(pipe), bare)


@pytest.mark.parametrize(
    ("subject", "name"),
    [("SD text to image", "UniPCMultistepScheduler"), ("SD 3", "FlowMatchHeunDiscreteScheduler")],
)
def test_a_policy_brings_its_scheduler_and_takes_it_away(subject: str, name: str) -> None:
    row = ROWS[subject]
    pipe = row.make()
    own, bare = pipe.scheduler, row.render(pipe)
    pipe.scheduler = type(make_scheduler(pipe, name)).from_config(own.config)
    there = row.render(pipe)
    pipe.scheduler = own
    with recorded(pipe) as calls, apply_policy(pipe, full_policy(pipe, row.steps, scheduler=name)) as applied:
        assert torch.equal(row.render(applied), there)
        assert len(applied.trace.steps) == len(calls) == applied.policy.T
    assert pipe.scheduler is own
    assert torch.equal(row.render(pipe), bare)


def test_every_family_is_there() -> None:
    families = {type(d.module).__name__ for name in SUBJECTS for d in find_denoisers(ROWS[name].make())}
    assert set(FAMILIES) - families == {"ToyTransformer"}


def test_a_scheduler_that_calls_twice_has_twice_as_many_steps_but_one() -> None:
    _, pipe = with_scheduler("SD text to image", "Heun")
    assert full_policy(pipe, 6).T == 11


@pytest.mark.parametrize(
    ("subject", "name"),
    [("DDPM", "EulerDiscreteScheduler"), ("DiT", "EulerDiscreteScheduler"), ("LDM text to image", "HeunDiscreteScheduler")],
)
def test_scaled_noise_is_refused_where_the_pipeline_does_not_scale(subject: str, name: str) -> None:
    pipe = ROWS[subject].make()
    assert type(pipe).__name__ in UNSCALED_PIPELINES
    with pytest.raises(MismatchError, match="does not scale its noise"):
        full_policy(pipe, 6, scheduler=name)


@pytest.mark.parametrize(("subject", "name", "argument"), [("DDIM", "DDPM", "eta"), ("DDPM", "UniPC", "generator")])
def test_a_solver_that_the_pipeline_cannot_call_is_refused(subject: str, name: str, argument: str) -> None:
    row, pipe = with_scheduler(subject, name)
    assert argument in STEP_ARGUMENTS[type(pipe).__name__]
    with pytest.raises(TypeError, match=f"unexpected keyword argument '{argument}'"):
        row.render(pipe)  # as diffusers has it, in the middle of a run
    with pytest.raises(MismatchError, match=f"`scheduler` must take '{argument}'"):
        full_policy(row.make(), 6, scheduler=OPTIONS[name][0])
