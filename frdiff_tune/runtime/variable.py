"""Score variables: the network's output read as noise or as clean sample, and back.

A network's input is x = alpha * x0 + sigma * epsilon, and its output is o = a * x0 + b * epsilon:

    prediction     a        b
    epsilon        0        1
    sample         1        0
    v              -sigma   alpha
    flow           -1       1

References:
    | Progressive Distillation for Fast Sampling of Diffusion Models (Salimans and Ho, 2022), section 4 and appendix D
    | https://arxiv.org/abs/2202.00512
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from frdiff_tune.errors import MismatchError

if TYPE_CHECKING:
    from torch import Tensor

Variable = Literal["output", "epsilon", "sample"]
PREDICTIONS = ("epsilon", "sample", "v_prediction", "flow_prediction")
SAME = {"epsilon": "epsilon", "sample": "sample"}  # prediction type -> the variable that it already is


@dataclass(frozen=True, slots=True)
class Level:
    """The noise level of one step: x = alpha * x0 + sigma * epsilon."""

    alpha: float
    sigma: float


def is_flow(scheduler: Any) -> bool:  # noqa: ANN401
    """Whether a scheduler walks a straight path between sample and noise: flow matching."""
    return "FlowMatch" in type(scheduler).__name__ or bool(scheduler.config.get("use_flow_sigmas"))


def noise_levels(scheduler: Any, timesteps: Sequence[float]) -> tuple[Level, ...]:  # noqa: ANN401
    """Returns the level that the network sees at each timestep.

    Arguments:
        scheduler: A diffusers scheduler whose timesteps are set.
        timesteps: Its timesteps, length T; between two training steps alpha squared is interpolated.

    Raises:
        MismatchError: If the scheduler's noise levels are not known, as of those that precondition the network (EDM).
    """
    table = getattr(scheduler, "alphas_cumprod", None)
    if type(scheduler).__name__ == "IPNDMScheduler":  # its levels are its own, whatever the model was trained on
        pairs = zip(scheduler.alphas.tolist(), scheduler.betas.tolist(), strict=True)
        return tuple(Level(alpha, sigma) for alpha, sigma in pairs)[: len(timesteps)]
    if is_flow(scheduler):
        sigmas = [float(sigma) for sigma in scheduler.sigmas[: len(timesteps)]]
        if scheduler.config.get("invert_sigmas"):
            sigmas = [1.0 - sigma for sigma in sigmas]
        return tuple(Level(1.0 - sigma, sigma) for sigma in sigmas)
    if scheduler.config.get("timestep_type") == "continuous":  # its timesteps are log(sigma) / 4, no index into the table
        return tuple(_scaled(float(sigma)) for sigma in scheduler.sigmas[: len(timesteps)])
    if table is None:
        raise MismatchError(
            f"`variable` must be 'output' for a policy walked by {type(scheduler).__name__}, whose noise levels are not known "
            f"here. Take a policy with variable 'output', or another solver."
        )
    squares = table.double().tolist()
    return tuple(_level(squares, time) for time in timesteps)


def _scaled(sigma: float) -> Level:
    """Returns the level of a sample x0 + sigma * epsilon that is divided by sqrt(1 + sigma^2) for the network."""
    norm = (1.0 + sigma**2) ** 0.5
    return Level(1.0 / norm, sigma / norm)


def _level(squares: list[float], time: float) -> Level:
    low = min(max(int(time), 0), len(squares) - 1)
    high = min(low + 1, len(squares) - 1)
    square = squares[low] + (squares[high] - squares[low]) * (time - low)
    return Level(square**0.5, max(1.0 - square, 0.0) ** 0.5)


def output_weights(prediction: str, level: Level) -> tuple[float, float]:
    """Returns (a, b) of the table above: what a network says of a clean sample and a noise."""
    return {
        "epsilon": (0.0, 1.0),
        "sample": (1.0, 0.0),
        "v_prediction": (-level.sigma, level.alpha),
        "flow_prediction": (-1.0, 1.0),
    }[prediction]


def to_variable(
    output: "Tensor", x: "Tensor", variable: Variable, prediction: str, level: Level, channels: int = 1
) -> "Tensor":
    """Returns a network output as ``variable``, in float32 unless it already is that variable.

    Arguments:
        output: The network's output, with shape (batch, channels, ...); channels beyond x's are passed on.
        x: The network's input, with shape (batch, channels, ...); channels beyond the output's are conditions.
        variable: What to return.
        prediction: The model's prediction type.
        level: The noise level of the step.
        channels: The dimension of both that counts channels.
    """
    if variable in ("output", SAME.get(prediction)):
        return output
    s, r = coefficients(variable, prediction, level)
    return _combine(output, s, x, r, channels)


def coefficients(variable: Variable, prediction: str, level: Level) -> tuple[float, float]:
    """Returns (s, r) such that ``variable`` is s * output + r * input.

    Arguments:
        variable: What the network's output is read as.
        prediction: The model's prediction type.
        level: The noise level of the step.
    """
    if variable in ("output", SAME.get(prediction)):
        return 1.0, 0.0
    a, b = output_weights(prediction, level)
    det = level.alpha * b - level.sigma * a
    return (level.alpha / det, -a / det) if variable == "epsilon" else (-level.sigma / det, b / det)


def from_variable(z: "Tensor", x: "Tensor", variable: Variable, prediction: str, level: Level, channels: int = 1) -> "Tensor":
    """Returns the network output that ``variable`` = ``z`` stands for at input ``x``: the inverse of ``to_variable``."""
    if variable in ("output", SAME.get(prediction)):
        return z
    a, b = output_weights(prediction, level)
    if variable == "epsilon":
        return _combine(z, b - a * level.sigma / level.alpha, x, a / level.alpha, channels)
    return _combine(z, a - b * level.alpha / level.sigma, x, b / level.sigma, channels)


def _combine(score: "Tensor", s: float, x: "Tensor", r: float, channels: int) -> "Tensor":
    """Returns s * score + r * x on the channels that both have; the others stay."""
    import torch

    count = min(score.shape[channels], x.shape[channels])
    head = score.narrow(channels, 0, count).float() * s + x.narrow(channels, 0, count).float() * r
    rest = score.narrow(channels, count, score.shape[channels] - count)
    return torch.cat([head, rest.float()], dim=channels) if rest.shape[channels] else head
