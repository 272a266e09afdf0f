"""Fitting a policy's scheduler: every step's weights are solved for while its cases walk in lockstep."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from math import exp, hypot, log
from typing import TYPE_CHECKING, Any, TypeVar

from frdiff_tune.errors import MeasureError, PolicyError
from frdiff_tune.measure.bench import Bench
from frdiff_tune.policy import Policy, multistep
from frdiff_tune.policy.multistep import Tables
from frdiff_tune.runtime.schedulers import first_order
from frdiff_tune.search.fitting.lockstep import Call, lockstep
from frdiff_tune.search.fitting.prefix_cache import PrefixCache, SolvedStep
from frdiff_tune.search.fitting.reference_states import ReferenceStates
from frdiff_tune.search.fitting.step_solver import FitOptions, StepWeights, solve_step

if TYPE_CHECKING:
    from torch import Tensor

    Solve = Callable[[int, list[Tensor], Tensor], StepWeights]

Result = TypeVar("Result")
TINY = 1e-12
"""A relative error below this counts as this much."""


@dataclass(frozen=True, slots=True)
class FitResult:
    """A policy whose weights were fitted, and how near it comes.

    Arguments:
        policy: The policy with its new tables; what it was fitted on is for the caller to write into it.
        residuals: Per step, the median over cases of the next state's relative distance from the reference's, length T.
        errors: Per case, the last state's relative distance from the reference's.
        network_calls: Cases times steps that called the network.
    """

    policy: Policy
    residuals: tuple[float, ...]
    errors: tuple[float, ...]
    network_calls: int

    @property
    def latent_error(self) -> float:
        """Geometric mean of ``errors``.

        It orders schedules best. Which cases become another composition (error above 0.15) is partly chance, and a few of them
        decide the arithmetic mean: see ``python -m benchmarks.latent_errors`` and its committed results.
        """
        return exp(sum(log(max(error, TINY)) for error in self.errors) / len(self.errors))


def fit_steps(
    bench: Bench,
    policy: Policy,
    calls: Sequence[Call],
    states: ReferenceStates,
    options: FitOptions | None = None,
    cache: PrefixCache | None = None,
) -> Generator[StepWeights, None, FitResult]:
    """Yields the weights of each step as they are solved; returns the fitted policy.

    Arguments:
        bench: Holds the pipeline.
        policy: Walks a part of the reference's walk by first-order weights; see ``multistep_policy``.
        calls: The calls whose states were recorded, in the same order.
        states: The reference's states of these calls.
        options: How to fit.
        cache: Steps of earlier fits of these calls by these options, which are not walked again; for policies that reuse no
            layers.

    Raises:
        PolicyError: If the policy does not walk a part of the reference's walk.
        MeasureError: If there are fewer cases than unknowns, or a case's state is not finite.
    """
    options = options or FitOptions()
    targets = _targets(policy, states)
    tables = Tables.of(policy.sampling.scheduler.config)
    if len(states) <= options.unknowns:
        raise MeasureError(
            f"`cases` must be more than the {options.unknowns} weights of a step but got {len(states)}. Give at least "
            f"{options.unknowns + 1}; 48 do not overfit, 8 do."
        )

    def solve(i: int, predictions: "list[Tensor]", state: "Tensor") -> StepWeights:
        alphas, sigmas = tables.alphas[i : i + 2], tables.sigmas[i : i + 2]
        first = first_order(tables.variable, alphas, sigmas)
        scales = hypot(alphas[0], sigmas[0]), hypot(alphas[1], sigmas[1])
        taken = [states.take(prediction) for prediction in predictions]
        return solve_step(states.take(state), taken, targets(i).to(state.device), first, scales, options)

    cache = None if policy.masks else cache
    return (yield from _walk(bench, policy, calls, states, solve, options.memory, cache))


def walk_steps(
    bench: Bench,
    policy: Policy,
    calls: Sequence[Call],
    states: ReferenceStates,
) -> Generator[StepWeights, None, FitResult]:
    """Yields the weights that each step has, and returns how near the reference the policy comes as it is."""
    targets = _targets(policy, states)
    tables = Tables.of(policy.sampling.scheduler.config)

    def solve(i: int, predictions: "list[Tensor]", state: "Tensor") -> StepWeights:
        goal, reached = targets(i).to(state.device), tables.c[i] * states.take(state)
        for weight, prediction in zip(tables.b[i], predictions, strict=False):
            reached = reached + weight * states.take(prediction)
        residual = float(_distances(reached, goal).median())
        return StepWeights(tables.c[i], tuple(tables.b[i]), residual)

    return (yield from _walk(bench, policy, calls, states, solve, tables.memory))


def drain(steps: "Generator[Any, None, Result]") -> "Result":
    """Returns what a generator ends in, for callers without a progress bar."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: Result = end.value
            return result


def _walk(
    bench: Bench,
    policy: Policy,
    calls: Sequence[Call],
    states: ReferenceStates,
    solve: "Solve",
    memory: int,
    cache: PrefixCache | None = None,
) -> Generator[StepWeights, None, FitResult]:
    """Walks all calls together by the weights that ``solve`` gives at each step."""
    import torch

    tables = Tables.of(policy.sampling.scheduler.config)
    history: list[Tensor] = []
    weights: list[StepWeights] = []
    following: list[Tensor] = []
    grid = policy.sampling.grid
    assert grid is not None, "checked before"
    cached = cache.steps(grid.steps) if cache is not None else []
    steps = lockstep(bench, policy, calls, len(cached))
    try:
        moment = next(steps)
        begin = moment[0]
        while True:
            i, outputs, samples = moment
            t = i - begin
            state = torch.cat([sample.float() for sample in samples])
            if len(state) != len(states):
                raise MeasureError(
                    f"`calls` must be those recorded, {len(states)} cases, but have {len(state)}. Record them again."
                )
            if t < len(cached):
                row, state, history = cached[t].row, cached[t].state, cached[t].history
            else:
                output = torch.cat([part.float() for part in outputs])
                history = [tables.s[i] * output + tables.r[i] * state, *history][:memory]
                _check_finite(history[0], i)
                row = solve(i, history, state)
                state = row.c * state + sum(weight * z for weight, z in zip(row.b, history, strict=False))
                if cache is not None:
                    cache.put(grid.steps, t, SolvedStep(row, state, history))
            weights.append(row)
            yield row
            sizes = [len(sample) for sample in samples]
            following = [part.to(sample.dtype) for part, sample in zip(torch.split(state, sizes), samples, strict=True)]
            try:
                moment = steps.send(following)
            except StopIteration:
                break
    finally:
        steps.close()
    last = torch.cat([part.float() for part in following])
    goal = torch.from_numpy(states.states[-1]).to(last.device)
    return FitResult(
        policy=_with_rows(policy, begin, weights),
        residuals=tuple(row.residual for row in weights),
        errors=tuple(_distances(states.take(last), goal).tolist()),
        network_calls=(policy.nfe - len(cached)) * len(states),
    )


def _targets(policy: Policy, states: ReferenceStates) -> "Callable[[int], Tensor]":
    """Returns the reference's next state by index in the scheduler's list.

    Raises:
        PolicyError: If the policy does not walk a part of the recorded walk.
    """
    import torch

    grid, walk = policy.sampling.grid, states.walk
    if policy.sampling.scheduler.name != multistep.NAME or grid is None:
        raise PolicyError(
            f"`policy` must walk a {multistep.NAME} on the reference's grid but walks {policy.sampling.scheduler.name}. "
            f"Make it with `multistep_policy`."
        )
    if (grid.num_inference_steps, grid.T) != (walk.num_inference_steps, walk.T):
        raise PolicyError(
            f"`policy` must walk a part of the recorded reference, {walk.num_inference_steps} steps of which {walk.T} are "
            f"walked, but was made for {grid.num_inference_steps} and {grid.T}. Record that reference."
        )
    following = (*grid.steps[1:], walk.T)
    return lambda i: torch.from_numpy(states.states[following[i - grid.leading]])


def _with_rows(policy: Policy, begin: int, weights: Sequence[StepWeights]) -> Policy:
    """Returns a policy with the weights of the steps from ``begin`` on replaced."""
    info = policy.sampling.scheduler
    tables = Tables.of(info.config)
    c, b = list(tables.c), list(tables.b)
    for i, row in enumerate(weights):
        c[begin + i], b[begin + i] = row.c, list(row.b)
    scheduler = info.model_copy(update={"config": {**info.config, "c": c, "b": b}})
    sampling = policy.sampling.model_copy(update={"scheduler": scheduler})
    return policy.replace(sampling=sampling, fit=None, measured=None, machine=None)


def _distances(states: "Tensor", goal: "Tensor") -> "Tensor":
    """Returns |state - goal| / |goal| per case."""
    distances: Tensor = (states - goal).norm(dim=1) / goal.norm(dim=1).clamp(min=1e-12)
    return distances


def _check_finite(prediction: "Tensor", i: int) -> None:
    finite = prediction.flatten(1).isfinite().all(dim=1)
    if not bool(finite.all()):
        case = int((~finite).nonzero()[0])
        raise MeasureError(
            f"`cases` must stay finite under the policy but case {case} has NaN or infinity at step {i}. Run the model in a "
            f"wider dtype, drop the case, or take more steps."
        )
