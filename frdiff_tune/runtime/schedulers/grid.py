"""The time grid of a scheduler: the times that it walks, and the noise level of its state at each."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isfinite
from typing import TYPE_CHECKING, Any

from frdiff_tune.errors import MismatchError
from frdiff_tune.runtime.variable import PREDICTIONS, Level, coefficients, is_flow, noise_levels, output_weights

if TYPE_CHECKING:
    from torch import Tensor

MAX_DRIFT = 0.6
"""How far the state's noise level may be from the one that the network is told: DDIM's `linspace` in 6 steps is off by 0.31."""
CURE = (
    "Take a deterministic scheduler whose steps are linear: DDIM with eta 0, Euler, DPM-Solver++ (`dpmsolver++`), UniPC, DEIS, "
    "iPNDM, PNDM, Heun, or flow-matching Euler, without clipping or thresholding; policies of other schedulers are searched "
    "without a fit."
)


@dataclass(frozen=True, slots=True)
class TimeGrid:
    """What a scheduler walks.

    Arguments:
        timesteps: Times that the network is told, length T; whole numbers stay such.
        levels: Noise level that the network is told at each, length T: alpha^2 + sigma^2 = 1, or alpha + sigma = 1 for flows.
        scales: What the state is divided by before the network sees it, length T.
        end: Noise level of the state after the last step.
        prediction: The scheduler's prediction type.
        sign: -1 where the network predicts the negative of it.
        init_noise_sigma: Standard deviation of the first state.
    """

    timesteps: tuple[float, ...]
    levels: tuple[Level, ...]
    scales: tuple[float, ...]
    end: Level
    prediction: str
    sign: int = 1
    init_noise_sigma: float = 1.0

    @property
    def states(self) -> tuple[Level, ...]:
        """Noise level of each state, x = alpha * x0 + sigma * epsilon, length T + 1."""
        scaled = (Level(at.alpha * n, at.sigma * n) for at, n in zip(self.levels, self.scales, strict=True))
        return (*scaled, self.end)

    def select(self, indices: Sequence[int], end: Level | None = None) -> "TimeGrid":
        """Returns the grid of some of the times.

        Arguments:
            indices: Increasing.
            end: Noise level of the state after the last step; None: as here.
        """
        return replace(
            self,
            timesteps=tuple(self.timesteps[i] for i in indices),
            levels=tuple(self.levels[i] for i in indices),
            scales=tuple(self.scales[i] for i in indices),
            end=end or self.end,
        )

    def prediction_weights(self, variable: str) -> list[tuple[float, float]]:
        """Returns (s, r) of every step, such that s * output + r * state is ``variable``.

        Arguments:
            variable: ``sample`` or ``epsilon``.

        Raises:
            MismatchError: If a prediction cannot be read so, as noise at a level without any.
        """
        weights = []
        for i, (level, n) in enumerate(zip(self.levels, self.scales, strict=True)):
            try:
                s, r = coefficients(variable, self.prediction, level)  # type: ignore[arg-type]
            except ZeroDivisionError:
                s, r = float("inf"), 0.0
            if not isfinite(s) or not isfinite(r) or not (s or r):
                raise MismatchError(
                    f"`variable` must be readable at every step but step {i} has alpha = {level.alpha:.3g} and sigma = "
                    f"{level.sigma:.3g}, where {self.prediction} tells no {variable}. Take the other variable."
                )
            weights.append((self.sign * s, r / n))
        return weights


def read_grid(scheduler: Any) -> TimeGrid:  # noqa: ANN401
    """Returns the grid of a diffusers scheduler whose timesteps are set; the scheduler is not changed.

    Raises:
        MismatchError: If its steps are random or not linear, or its noise levels are not known.
    """
    return min(_grids(scheduler), key=lambda pair: pair[0])[1]


def read_grids(scheduler: Any) -> list[TimeGrid]:  # noqa: ANN401
    """Returns every reading of a scheduler's grid: some tell the network a rounded time and step at the exact one."""
    return [grid for _, grid in sorted(_grids(scheduler), key=lambda pair: pair[0])]


def _grids(scheduler: Any) -> list[tuple[float, TimeGrid]]:  # noqa: ANN401
    """Returns grids that the scheduler may walk, each with the distance of the levels walked from those told."""
    check_linear(scheduler)
    times = tuple(scheduler.timesteps.tolist())
    prediction, scales = prediction_of(scheduler), _input_scales(scheduler)
    start = float(getattr(scheduler, "init_noise_sigma", 1.0))
    grids, drifts = [], []
    for levels in _level_tables(scheduler, times):
        for sign in (1, -1):
            states = _constant_walk(scheduler, levels, scales, prediction, sign)
            drift = max((_distance(at, told) for at, told in zip(states, levels, strict=False)), default=0.0)
            drifts.append(drift)
            if drift <= MAX_DRIFT:
                grids.append((drift, TimeGrid(times, levels, scales, states[-1], prediction, sign, start)))
    if not grids:
        size = f"is off by {min(drifts):.2g}" if drifts else "has none that are known"
        raise MismatchError(
            f"`scheduler` must walk the noise levels that it tells the network but {type(scheduler).__name__} {size}. {CURE}"
        )
    return grids


def _level_tables(scheduler: Any, times: Sequence[float]) -> list[tuple[Level, ...]]:  # noqa: ANN401
    """Returns the noise levels that the timesteps stand for, and those of the scheduler's own sigmas where it has some."""
    tables = []
    try:
        tables.append(noise_levels(scheduler, [float(time) for time in times]))
    except MismatchError:
        pass
    sigmas = getattr(scheduler, "sigmas", None)
    if sigmas is not None and len(sigmas) >= len(times) and not is_flow(scheduler):
        norms = [(1.0 + float(sigma) ** 2) ** 0.5 for sigma in sigmas[: len(times)]]
        tables.append(tuple(Level(1.0 / n, float(sigma) / n) for sigma, n in zip(sigmas, norms, strict=False)))
    return tables


def check_linear(scheduler: Any) -> None:  # noqa: ANN401
    """Checks that a scheduler's steps are deterministic and linear in state and outputs.

    Arguments:
        scheduler: A diffusers scheduler whose timesteps are set; it is not changed.

    Raises:
        MismatchError: If not, with the option that makes it so where that is known.
    """
    import torch

    generator = torch.Generator().manual_seed(0)
    count = len(scheduler.timesteps)
    start, *outputs = torch.randn(count + 1, 1, 1, 8, 8, generator=generator, dtype=torch.float64)
    try:
        first, second = (walk(scheduler, start, outputs, seed) for seed in range(2))
        scaled = walk(scheduler, 100 * start, [100 * output for output in outputs])
    except TypeError as error:
        raise MismatchError(f"`scheduler` must step from a state and an output, but: {error}. {CURE}") from error
    name = type(scheduler).__name__
    if not all(torch.equal(a, b) for a, b in zip(first, second, strict=True)):
        raise MismatchError(f"`scheduler` must be deterministic but {name} adds noise: no state to aim at. {CURE}")
    if any((100 * a - b).abs().max() > 1e-3 * b.abs().max() + 1e-9 for a, b in zip(first, scaled, strict=True)):
        options = [key for key in ("thresholding", "clip_sample", "sample_max_value") if scheduler.config.get(key)]
        cause = f"`{options[0]}` clips" if options else "its steps are not linear"
        raise MismatchError(
            f"`scheduler` must be linear in its state and the network's outputs but {name} is not: {cause}. {CURE}"
        )


def walk(
    scheduler: Any,  # noqa: ANN401
    start: "Tensor",
    outputs: "Sequence[Tensor]",
    seed: int = 0,
) -> "list[Tensor]":
    """Returns the states that a scheduler's steps lead to, one per step.

    Arguments:
        scheduler: With its timesteps set; a copy is walked.
        start: The first state, with shape (1, ...).
        outputs: What the network says at each step, T of the same shape.
        seed: Of any noise that the scheduler adds.
    """
    import torch

    clone, state, states = copy.deepcopy(scheduler), start, []
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        for output, time in zip(outputs, clone.timesteps, strict=True):
            if hasattr(clone, "scale_model_input"):
                clone.scale_model_input(state, time)
            state = clone.step(output, time, state, return_dict=False)[0]
            states.append(state)
    return states


def _input_scales(scheduler: Any) -> tuple[float, ...]:  # noqa: ANN401
    """Returns what each state is divided by before the network sees it, length T."""
    import torch

    if not hasattr(scheduler, "scale_model_input"):
        return (1.0,) * len(scheduler.timesteps)
    clone, one, scales = copy.deepcopy(scheduler), torch.ones(1, 1, 1, 1, dtype=torch.float64), []
    for time in clone.timesteps:
        scales.append(1.0 / float(clone.scale_model_input(one, time)))
        clone.step(one, time, one)
    return tuple(scales)


def _constant_walk(
    scheduler: Any,  # noqa: ANN401
    levels: Sequence[Level],
    scales: Sequence[float],
    prediction: str,
    sign: int,
) -> list[Level]:
    """Returns the levels that a scheduler walks while the network names one clean sample and one noise throughout.

    Returns:
        T + 1 levels: those before the last in the network's own scale, the last one in the state's.
    """
    import torch

    if prediction not in PREDICTIONS:
        raise MismatchError(f"`prediction_type` must be one of {PREDICTIONS} but got {prediction!r}. {CURE}")

    def pair(a: float, b: float) -> "Tensor":
        return torch.tensor([[[[a, b]]]], dtype=torch.float64)

    named = [sign * pair(*output_weights(prediction, level)) for level in levels]
    states = walk(scheduler, pair(levels[0].alpha * scales[0], levels[0].sigma * scales[0]), named)
    reached = [tuple(state.flatten().tolist()) for state in states]
    inner = [Level(a / n, b / n) for (a, b), n in zip(reached, scales[1:], strict=False)]
    return [levels[0], *inner, Level(*reached[-1])]


def _distance(a: Level, b: Level) -> float:
    distance = max(abs(a.alpha - b.alpha), abs(a.sigma - b.sigma))
    return distance if isfinite(distance) else float("inf")


def prediction_of(scheduler: Any) -> str:  # noqa: ANN401
    """Returns a scheduler's prediction type; iPNDM has no option for it, as it reads every output as v."""
    if type(scheduler).__name__ == "IPNDMScheduler":
        return "v_prediction"
    return str(scheduler.config.get("prediction_type", "flow_prediction"))
