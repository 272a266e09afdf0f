"""Descent: the forecast weights of jump scores, moved by gradient through the whole run.

    w = argmin mean over cases |x_T(w) - x_T|^2 / |x_T|^2

with x_T what the last solver step gives, under the policy and in the reference. Where the fit of ``score_fit`` asks which
weights would have been closest at each step of full runs, this asks which give the closest result, with all that the network
does about it.

References:
    | Budget-Constrained Step-Level Diffusion Caching (Lei et al., 2026), whose second stage moves the time steps of a fixed set
    | in this way, https://arxiv.org/abs/2606.13496
    | Adam: A Method for Stochastic Optimization (Kingma and Ba, 2015), https://arxiv.org/abs/1412.6980
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from frdiff_tune.errors import MismatchError
from frdiff_tune.measure import Case, Walk, call_arguments
from frdiff_tune.policy import Policy
from frdiff_tune.policy.forecast import float32
from frdiff_tune.runtime import Moment, Unrolled
from frdiff_tune.runtime.unrolled import Compute

if TYPE_CHECKING:
    from torch import Tensor

WINDOW = 2
"""Keyframes that a jump weighs at least."""
RATE = 0.02
"""Adam's step, in weights."""


@dataclass(frozen=True, slots=True)
class Descended:
    """A policy on its way down.

    Arguments:
        policy: With the weights of now.
        loss: Mean squared relative error of the result before the step to them.
    """

    policy: Policy
    loss: float


def descend(
    pipe: Any,  # noqa: ANN401
    policy: Policy,
    cases: Sequence[Case],
    call: Mapping[str, Any],
    rate: float = RATE,
    *,
    steps: int | None = None,
) -> Iterator[Descended]:
    """Yields the policy with better and better weights, without end; the consumer decides when to stop.

    Arguments:
        pipe: The pipeline, without a policy.
        policy: Jumps alone: nothing is reused, and every step is a keyframe or has lam 0.
        cases: Of one kind, drawn in one call.
        call: Arguments that are the same for all cases.
        rate: Adam's step.
        steps: Step count of the reference, by the pipeline's own solver; None: the policy's steps by its solver, all computed.

    Raises:
        MismatchError: If the policy does more than jump, or the pipeline cannot be unrolled.
    """
    import torch

    if not descendable(policy):
        raise MismatchError(
            "`policy` must only jump but reuses groups, mixes scores or computes every step. Take one whose lam is 0 between "
            "keyframes."
        )
    run = Unrolled(pipe, policy.T, policy.variable, policy.sampling.scheduler)
    wanted = _reference(pipe, policy, cases, call, steps)
    weights = {t: torch.tensor(row, requires_grad=True) for t, row in _rows(policy).items()}
    adam = torch.optim.Adam(list(weights.values()), lr=rate)
    while True:
        adam.zero_grad()
        loss = ((_drawn(run, policy, weights, cases, call) - wanted) ** 2).mean() / (wanted**2).mean()
        torch.autograd.backward(loss)
        yield Descended(_with(policy, weights), float(loss.detach()))
        adam.step()


def descendable(policy: Policy) -> bool:
    """Whether a policy only jumps, and does: nothing is reused, and every step is a keyframe or has lam 0."""
    return not policy.masks and policy.nfe == policy.keyframes.count("1") < policy.T


def _reference(
    pipe: Any,  # noqa: ANN401
    policy: Policy,
    cases: Sequence[Case],
    call: Mapping[str, Any],
    steps: int | None,
) -> "Tensor":
    """Returns what the reference's last solver step gives."""
    if steps is None:
        run, arguments = Unrolled(pipe, policy.T, policy.variable, policy.sampling.scheduler), _arguments(policy, cases, call)
    else:
        run = Unrolled(pipe, Walk(pipe, cases, call).T(steps), policy.variable)
        arguments = {**call, **call_arguments(cases), "num_inference_steps": steps}
    return run(lambda moment, compute: compute().detach(), **arguments).detach()


def _drawn(
    run: Unrolled, policy: Policy, weights: Mapping[int, "Tensor"], cases: Sequence[Case], call: Mapping[str, Any]
) -> "Tensor":
    kept: dict[int, list[Tensor]] = {}

    def rule(moment: Moment, compute: Compute) -> "Tensor":
        scores = kept.setdefault(moment.call, [])
        if policy.keyframes[moment.t] == "1":
            scores.insert(0, compute())
            return scores[0]
        found: Tensor = sum(w * z for w, z in zip(weights[moment.t], scores, strict=False))
        return found

    return run(rule, **_arguments(policy, cases, call))


def _arguments(policy: Policy, cases: Sequence[Case], call: Mapping[str, Any]) -> dict[str, Any]:
    return {**call, **call_arguments(cases), "num_inference_steps": policy.sampling.num_inference_steps}


def _rows(policy: Policy) -> dict[int, list[float]]:
    """Returns the weights of every jump, with zeros up to ``WINDOW`` keyframes where there are as many."""
    rows, before = {}, 0
    for step in policy.plan():
        if step.keyframe:
            before += 1
        else:
            given = list(step.weights) or [1.0]
            rows[step.t] = given + [0.0] * (min(WINDOW, before) - len(given))
    return rows


def _with(policy: Policy, weights: Mapping[int, "Tensor"]) -> Policy:
    table = tuple(
        tuple(float32(float(w)) for w in weights[t].detach()) if t in weights else () for t in range(policy.T)
    )
    return policy.replace(forecast={**policy.forecast, "score": table}, measured=None, machine=None)
