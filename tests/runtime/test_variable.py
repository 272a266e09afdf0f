"""Score variables: x and the network's output give noise and clean sample, and back, for every prediction type."""

from typing import Any, get_args

import diffusers as typed_diffusers
import pytest
import torch

from frdiff_tune import apply_policy, keyframe_policy
from frdiff_tune.errors import MismatchError
from frdiff_tune.runtime.variable import Level, Variable, from_variable, noise_levels, to_variable
from tests.pipelines import ROWS
from tests.pipelines.subject import recorded
from tests.tiny import tiny_sd

diffusers: Any = typed_diffusers

LEVEL = Level(alpha=0.6, sigma=0.8)
X0, EPSILON = torch.full((1, 4, 2, 2), 2.0), torch.full((1, 4, 2, 2), -1.0)
X = LEVEL.alpha * X0 + LEVEL.sigma * EPSILON  # 0.4
OUTPUTS = {
    "epsilon": EPSILON,
    "sample": X0,
    "v_prediction": LEVEL.alpha * EPSILON - LEVEL.sigma * X0,  # -2.2
}


@pytest.mark.parametrize("prediction", OUTPUTS)
def test_by_hand(prediction: str) -> None:
    output = OUTPUTS[prediction]
    assert torch.allclose(to_variable(output, X, "epsilon", prediction, LEVEL), EPSILON)
    assert torch.allclose(to_variable(output, X, "sample", prediction, LEVEL), X0)
    assert to_variable(output, X, "output", prediction, LEVEL) is output


def test_flow_by_hand() -> None:
    level = Level(alpha=0.25, sigma=0.75)
    x, flow = 0.25 * X0 + 0.75 * EPSILON, EPSILON - X0
    assert torch.allclose(to_variable(flow, x, "epsilon", "flow_prediction", level), EPSILON)
    assert torch.allclose(to_variable(flow, x, "sample", "flow_prediction", level), X0)


@pytest.mark.parametrize("prediction", [*OUTPUTS, "flow_prediction"])
@pytest.mark.parametrize("variable", get_args(Variable))
def test_back_again_with_channels_to_spare(prediction: str, variable: Variable) -> None:
    x, output = torch.randn(2, 4, 3, 3), torch.randn(2, 8, 3, 3)  # learned variance: four channels more
    there = to_variable(output, x, variable, prediction, LEVEL)
    assert torch.equal(there[:, 4:], output[:, 4:])
    assert torch.allclose(from_variable(there, x, variable, prediction, LEVEL), output, atol=1e-5)


def test_levels_are_those_of_the_scheduler() -> None:
    scheduler = tiny_sd().scheduler
    scheduler.set_timesteps(10)
    times = scheduler.timesteps.tolist()
    levels = noise_levels(scheduler, times)
    for time, level in zip(times, levels, strict=True):
        assert level.alpha**2 == pytest.approx(float(scheduler.alphas_cumprod[time]), rel=1e-6)
        assert level.alpha**2 + level.sigma**2 == pytest.approx(1.0)
    between = noise_levels(scheduler, [100.5])[0].alpha ** 2
    assert float(scheduler.alphas_cumprod[101]) < between < float(scheduler.alphas_cumprod[100])


def test_schedulers_whose_levels_are_unknown_are_refused_for_variables_only() -> None:
    pipe = tiny_sd()
    edm = diffusers.EDMEulerScheduler()
    edm.set_timesteps(4)
    with pytest.raises(MismatchError, match="must be 'output' for a policy walked by EDMEulerScheduler"):
        noise_levels(edm, edm.timesteps.tolist())
    pipe.scheduler = edm
    row = ROWS["SD text to image"]
    with apply_policy(pipe, keyframe_policy(pipe, 6, [0, 2], 0.0)) as applied:
        row.render(applied)
        assert applied.trace.network == "101000"


def test_continuous_timesteps_are_no_training_steps() -> None:
    scheduler = diffusers.EulerDiscreteScheduler(
        timestep_type="continuous", prediction_type="v_prediction", use_karras_sigmas=True, sigma_max=700.0, sigma_min=0.002
    )
    scheduler.set_timesteps(5)
    levels = noise_levels(scheduler, scheduler.timesteps.tolist())
    assert [level.sigma / level.alpha for level in levels] == pytest.approx(scheduler.sigmas[:5].tolist(), rel=1e-4)


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_levels_of_a_walk_that_begins_at_a_repeated_timestep(prediction: str) -> None:
    """PNDM's img2img: a jump in epsilon is the same whether x and the levels fit; one entry beside they would not."""
    row = ROWS["SD img2img"]
    pipe = row.make()
    pipe.scheduler = diffusers.PNDMScheduler.from_config(
        pipe.scheduler.config, prediction_type=prediction, skip_prk_steps=True, timestep_spacing="leading"
    )
    row.render(pipe)
    T = pipe._num_timesteps
    with apply_policy(pipe, keyframe_policy(pipe, row.steps, [0, 2], 0.0, T=T, variable="epsilon")) as applied:
        found = []
        with recorded(pipe, lambda: applied.step) as calls:
            row.render(applied)
        found = [float(call.args[1]) for call in calls]
    times = pipe.scheduler.timesteps.tolist()
    assert found == times[len(times) - T :]
    walked = noise_levels(pipe.scheduler, times)[len(times) - T :]
    assert len(walked) == T
