"""Known schedulers written as tables draw what diffusers' own do."""

from typing import Any

import diffusers as typed_diffusers
import pytest
import torch

from frdiff_tune.errors import MismatchError
from frdiff_tune.runtime.schedulers import expand_scheduler, read_grid
from tests.pipelines import ROWS

diffusers: Any = typed_diffusers
SD, SD3 = ROWS["SD text to image"], ROWS["SD 3"]
SPACINGS = ("trailing", "leading", "linspace")
KNOWN: dict[str, tuple[str, dict[str, Any], int]] = {  # name -> class, options, predictions that a step weighs
    **{f"ddim {spacing}": ("DDIMScheduler", {"timestep_spacing": spacing}, 1) for spacing in SPACINGS},
    **{f"euler {spacing}": ("EulerDiscreteScheduler", {"timestep_spacing": spacing}, 1) for spacing in SPACINGS},
    **{f"dpmsolver_pp_2m {spacing}": ("DPMSolverMultistepScheduler", {"timestep_spacing": spacing}, 2) for spacing in SPACINGS},
    "dpmsolver_pp_3m": ("DPMSolverMultistepScheduler", {"solver_order": 3}, 3),
    "dpmsolver_pp_2m karras": ("DPMSolverMultistepScheduler", {"use_karras_sigmas": True}, 2),
    "unipc": ("UniPCMultistepScheduler", {}, 3),
    "unipc as predictor": ("UniPCMultistepScheduler", {"disable_corrector": list(range(20))}, 2),
    "deis": ("DEISMultistepScheduler", {}, 2),
    "ipndm": ("IPNDMScheduler", {}, 4),
    "pndm": ("PNDMScheduler", {"skip_prk_steps": True}, 5),
    "lms": ("LMSDiscreteScheduler", {}, 4),
    "heun": ("HeunDiscreteScheduler", {}, 2),
}
FLOWS: dict[str, tuple[str, dict[str, Any]]] = {
    "euler": ("FlowMatchEulerDiscreteScheduler", {"shift": 3.0}),
    "heun": ("FlowMatchHeunDiscreteScheduler", {"shift": 3.0}),
    "unipc": ("UniPCMultistepScheduler", {"use_flow_sigmas": True, "prediction_type": "flow_prediction", "flow_shift": 3.0}),
    "dpmsolver_pp_2m": (
        "DPMSolverMultistepScheduler",
        {"use_flow_sigmas": True, "prediction_type": "flow_prediction", "flow_shift": 3.0},
    ),
}
STEPS = 10


def relative(tables: torch.Tensor, own: torch.Tensor) -> float:
    return float((tables - own).norm() / own.norm())


@pytest.mark.parametrize("name", KNOWN)
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_an_expansion_draws_what_the_scheduler_draws(name: str, prediction: str) -> None:
    cls, options, memory = KNOWN[name]
    if (name, prediction) == ("pndm", "v_prediction"):
        pytest.skip("PNDM mixes raw outputs: noise only where the model predicts noise")
    pipe = SD.make()
    pipe.scheduler = getattr(diffusers, cls).from_config(
        pipe.scheduler.config, **{"timestep_spacing": "trailing", **options, "prediction_type": prediction}
    )
    own = SD.render(pipe, num_inference_steps=STEPS)
    pipe.scheduler = expand_scheduler(pipe.scheduler, STEPS)
    assert pipe.scheduler.memory == memory
    assert relative(SD.render(pipe, num_inference_steps=len(pipe.scheduler)), own) < 1e-5


@pytest.mark.parametrize("name", FLOWS)
def test_an_expansion_draws_what_the_scheduler_draws_in_flow_matching(name: str) -> None:
    cls, options = FLOWS[name]
    pipe = SD3.make()
    pipe.scheduler = getattr(diffusers, cls)(**options)
    own = SD3.render(pipe, num_inference_steps=STEPS)
    pipe.scheduler = expand_scheduler(pipe.scheduler, STEPS)
    assert relative(SD3.render(pipe, num_inference_steps=len(pipe.scheduler)), own) < 1e-5


@pytest.mark.parametrize(
    "name", ["Stable Video Diffusion", "CogVideoX", "Mochi", "Wan 2.1", "HunyuanDiT", "FLUX text to image"]
)
def test_an_expansion_draws_what_a_familys_own_scheduler_draws(name: str) -> None:
    """Variance exploding, clipped in name only, inverted, of second order, by v, and shifted by the picture's size."""
    row = ROWS[name]
    pipe = row.make()
    own = row.render(pipe)
    scheduler = pipe.scheduler
    if name in (
        "FLUX text to image",
        "Mochi",
    ):  # their times depend on the call, so they are those of the run that has just ended
        scheduler._step_index = scheduler._begin_index = None
        pipe.scheduler = expand_scheduler(scheduler)
    else:
        pipe.scheduler = expand_scheduler(scheduler, row.steps)
    assert pipe.scheduler.config.timesteps == scheduler.timesteps.tolist()
    assert relative(row.render(pipe), own) < 1e-5


@pytest.mark.parametrize(
    ("cls", "options", "message"),
    [
        ("DDPMScheduler", {}, "must be deterministic but DDPMScheduler adds noise"),
        ("EulerAncestralDiscreteScheduler", {}, "must be deterministic"),
        ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++"}, "must be deterministic"),
        ("LCMScheduler", {}, "must be deterministic"),
        ("TCDScheduler", {}, "must be deterministic"),
        ("DDIMScheduler", {"clip_sample": True}, "must be linear .* `clip_sample` clips"),
        ("DPMSolverMultistepScheduler", {"thresholding": True}, "must be linear .* `thresholding` clips"),
        ("EDMEulerScheduler", {}, "must walk the noise levels"),
        ("CogVideoXDPMScheduler", {}, "must step from a state and an output"),
    ],
)
def test_schedulers_that_are_random_or_not_linear_are_refused(cls: str, options: dict[str, Any], message: str) -> None:
    scheduler = getattr(diffusers, cls)(**options)
    scheduler.set_timesteps(6)
    with pytest.raises(MismatchError, match=message) as error:
        read_grid(scheduler)
    assert "DDIM with eta 0" in str(error.value), "the cure names what remains"


def test_noise_is_no_prediction_where_there_is_no_sample() -> None:
    scheduler = diffusers.DDIMScheduler(
        rescale_betas_zero_snr=True, clip_sample=False, prediction_type="v_prediction", timestep_spacing="trailing"
    )
    scheduler.set_timesteps(6)
    grid = read_grid(scheduler)
    assert grid.prediction_weights("sample")[0] == (-1.0, 0.0)
    assert expand_scheduler(scheduler, 6).config.variable == "sample"
