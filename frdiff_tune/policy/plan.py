"""A policy read step by step: what the runtime does at each t."""

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
        computes: Groups that compute.
        stores: Those of ``computes`` whose result a later step gives back.
        reuses: Groups that give back what they stored.
    """

    t: int
    keyframe: bool
    lam: float
    weights: tuple[float, ...]
    calls: bool
    computes: frozenset[str]
    stores: frozenset[str]
    reuses: frozenset[str]


def make_plan(policy: "Policy") -> tuple[StepPlan, ...]:
    """Returns the steps of a canonical policy, length T."""
    return tuple(_step(policy, t) for t in range(policy.T))


def _step(policy: "Policy", t: int) -> StepPlan:
    calls = policy.mixing[t] > 0.0
    computes = frozenset(name for name, mask in policy.masks.items() if mask[t] == "1")
    return StepPlan(
        t=t,
        keyframe=policy.keyframes[t] == "1",
        lam=policy.mixing[t],
        weights=_weights(policy, t),
        calls=calls,
        computes=computes,
        stores=frozenset(name for name in computes if _is_reused(policy, name, t)),
        reuses=frozenset(policy.masks) - computes if calls else frozenset(),
    )


def _weights(policy: "Policy", t: int) -> tuple[float, ...]:
    if policy.mixing[t] == 1.0:
        return ()
    return policy.forecast["score"][t] if "score" in policy.forecast else (1.0,)


def _is_reused(policy: "Policy", name: str, t: int) -> bool:
    """Whether the next network call after t gives back what group ``name`` computes at t.

    Where the guidance pair is reused, steps may compute half a batch and complete it from what was stored before, so
    every result is kept.
    """
    if any("guidance" in sites for sites in policy.groups.values()):
        return True
    mask = policy.masks[name]
    following = (s for s in range(t + 1, policy.T) if policy.mixing[s] > 0.0)
    return next((mask[s] == "0" for s in following), False)
