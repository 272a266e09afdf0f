"""Score variables: x and the network's output give noise and clean sample, and back, for every prediction type."""

from typing import get_args

import pytest
import torch

from frdiff_tune.runtime.variable import Level, Variable, from_variable, noise_levels, to_variable
from tests.tiny import tiny_sd

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
