"""Known schedulers written as tables: any deterministic linear scheduler of diffusers becomes a linear multistep one."""

import copy
from itertools import product
from typing import Any

from frdiff_tune.errors import MismatchError
from frdiff_tune.policy import SchedulerInfo
from frdiff_tune.policy.multistep import VARIABLES
from frdiff_tune.runtime.schedulers.first_order import first_order
from frdiff_tune.runtime.schedulers.grid import CURE, TimeGrid, read_grids, walk
from frdiff_tune.runtime.schedulers.linear_multistep import LinearMultistepScheduler
from frdiff_tune.runtime.solver import scheduler_info
from frdiff_tune.runtime.solver import walk as set_and_list

MAX_MEMORY = 5
"""Predictions that a step weighs at most: iPNDM and LMS need four, PNDM five."""
TOLERANCE = 3e-6
"""Relative error up to which tables count as the scheduler."""
Row = tuple[float, list[float]]


def expand_scheduler(
    scheduler: Any,  # noqa: ANN401
    num_inference_steps: int | None = None,
    mu: float | None = None,
) -> LinearMultistepScheduler:
    """Returns the tables of a known scheduler, in the variable that needs the fewest predictions per step.

    A step is linear in the state and in what the network has said so far, so walking one unit vector per output gives every
    weight; c and b then follow by least squares, without a formula of any solver.

    Arguments:
        scheduler: A diffusers scheduler: DDIM, Euler, DPM-Solver++, UniPC, DEIS, iPNDM, PNDM, Heun, LMS, KDPM2, SA-Solver
            without noise, flow-matching Euler or Heun; not changed.
        num_inference_steps: Steps to set; None: its timesteps are set.
        mu: Shift of the times, for schedulers that shift dynamically.

    Raises:
        MismatchError: If its steps are random, not linear, or weigh more than ``MAX_MEMORY`` predictions.
    """
    scheduler = copy.deepcopy(scheduler)
    if num_inference_steps is not None and mu is None:
        set_and_list(scheduler, num_inference_steps)
    elif num_inference_steps is not None:
        scheduler.set_timesteps(num_inference_steps, mu=mu)
    grids = read_grids(scheduler)
    states, errors = _basis_walk(scheduler), []
    for memory, grid, variable in product(range(1, MAX_MEMORY + 1), grids, VARIABLES):
        try:
            weights = grid.prediction_weights(variable)
        except MismatchError:
            continue
        rows, error = _solve(states, weights, memory)
        if error <= TOLERANCE:
            return make_multistep(grid, variable, rows, scheduler_info(scheduler), mu=mu)
        errors.append(error)
    raise MismatchError(
        f"`scheduler` must weigh at most {MAX_MEMORY} predictions per step but {type(scheduler).__name__} is off by "
        f"{min(errors, default=1.0):.2g} with as many. {CURE}"
    )


def make_multistep(
    grid: TimeGrid,
    variable: str,
    rows: list[Row],
    scheduler: SchedulerInfo,
    mu: float | None = None,
) -> LinearMultistepScheduler:
    """Returns the linear multistep scheduler that walks a grid.

    Arguments:
        grid: Times and levels, length T.
        variable: What predictions are read as.
        rows: (c, b) per step, length T.
        scheduler: What it was made from.
        mu: Shift of the times.
    """
    states = grid.states
    s, r = zip(*grid.prediction_weights(variable), strict=True)
    tables: LinearMultistepScheduler = LinearMultistepScheduler(
        num_train_timesteps=scheduler.config.get("num_train_timesteps", 1000),
        timesteps=list(grid.timesteps),
        alphas=[at.alpha for at in states],
        sigmas=[at.sigma for at in states],
        s=list(s),
        r=list(r),
        c=[c for c, _ in rows],
        b=[b for _, b in rows],
        input_scales=list(grid.scales),
        variable=variable,
        prediction_type=grid.prediction,
        init_noise_sigma=grid.init_noise_sigma,
        mu=mu,
        reference={"class": scheduler.name, "config": dict(scheduler.config)},
    )
    return tables


def first_order_rows(grid: TimeGrid, variable: str) -> list[Row]:
    """Returns (c, b) of DDIM on a grid, which is Euler in sigma / alpha; length T."""
    states, rows = grid.states, []
    for before, after in zip(states, states[1:], strict=False):
        c, weight = first_order(variable, (before.alpha, after.alpha), (before.sigma, after.sigma))
        rows.append((c, [weight]))
    return rows


def _basis_walk(scheduler: Any) -> Any:  # noqa: ANN401
    """Returns each state as weights of the first state and of every output, with shape (T + 1, T + 1)."""
    import torch

    T = len(scheduler.timesteps)
    units = torch.eye(T + 1, dtype=torch.float64).view(T + 1, 1, 1, 1, T + 1)
    return torch.stack([units[0], *walk(scheduler, units[0], list(units[1:]))]).reshape(T + 1, T + 1).numpy()


def _solve(states: Any, weights: list[tuple[float, float]], memory: int) -> tuple[list[Row], float]:  # noqa: ANN401
    """Returns (c, b) per step by least squares, and the largest relative error of a state."""
    import numpy as np

    T = len(weights)
    predictions = [s * np.eye(T + 1)[i + 1] + r * states[i] for i, (s, r) in enumerate(weights)]
    rows, worst = [], 0.0
    for i in range(T):
        columns = np.stack([states[i], *predictions[i::-1][:memory]], axis=1)
        scale = np.linalg.norm(columns, axis=0)
        solution = np.linalg.lstsq(columns / scale, states[i + 1], rcond=1e-10)[0] / scale
        error = np.linalg.norm(columns @ solution - states[i + 1]) / np.linalg.norm(states[i + 1])
        rows.append((float(solution[0]), [float(weight) for weight in solution[1:]]))
        worst = max(worst, float(error))
    return rows, worst
