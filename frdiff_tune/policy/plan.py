"""A policy read step by step: what the runtime does at each t."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from frdiff_tune.policy.policy import Policy


@dataclass(frozen=True, slots=True)
class StepPlan:
    """What happens at one step.

    Arguments:
        t: Step index, 0 = first and noisiest.
        keyframe: Whether the score is stored for later steps.
        lam: Weight of this step's own score, in [0, 1]; 1 at keyframes.
        weights: Weights of the last keyframes' scores, newest first; empty where no jump score is used.
        calls: Whether the network is called.
        computes: Groups that compute, and keep what they computed.
        reuses: Groups that give back what they stored.
        forecasts: Those of ``reuses`` that give back a weighted sum -> its weights, newest first; the others hold the newest.
    """

    t: int
    keyframe: bool
    lam: float
    weights: tuple[float, ...]
    calls: bool
    computes: frozenset[str]
    reuses: frozenset[str]
    forecasts: Mapping[str, tuple[float, ...]]


def make_plan(policy: "Policy") -> tuple[StepPlan, ...]:
    """Returns the steps of a canonical policy, length T."""
    return tuple(_step(policy, t) for t in range(policy.T))


def _step(policy: "Policy", t: int) -> StepPlan:
    calls = policy.mixing[t] > 0.0
    computes = frozenset(name for name, mask in policy.masks.items() if mask[t] == "1")
    reuses = frozenset(policy.masks) - computes if calls else frozenset()
    return StepPlan(
        t=t,
        keyframe=policy.keyframes[t] == "1",
        lam=policy.mixing[t],
        weights=_weights(policy, t),
        calls=calls,
        computes=computes,
        reuses=reuses,
        forecasts={name: w for name in reuses if (w := _row(policy, name, t)) != (1.0,)},
    )


def _weights(policy: "Policy", t: int) -> tuple[float, ...]:
    if policy.mixing[t] == 1.0:
        return ()
    return policy.forecast["score"][t] if "score" in policy.forecast else (1.0,)


def _row(policy: "Policy", name: str, t: int) -> tuple[float, ...]:
    """Returns the weights of a group at a step where it gives back."""
    return policy.forecast[name][t] if name in policy.forecast else (1.0,)
