"""Policies whose groups are forecast instead of held."""

from collections.abc import Sequence

from frdiff_tune.errors import PolicyError
from frdiff_tune.policy import Policy
from frdiff_tune.runtime.bases import Basis
from frdiff_tune.runtime.families import CONTROLNET, GUIDANCE


def forecast_features(policy: Policy, basis: Basis, groups: Sequence[str] | None = None) -> Policy:
    """Returns a policy that gives back forecast features where the given one holds them.

    Masks, keyframes and mixing stay. What was measured does not hold for it, so it is dropped. A group then keeps its
    features ``basis.nodes`` times.

    Arguments:
        policy: A policy with groups.
        basis: How features are forecast.
        groups: Which groups; None: all but the guidance pair and a ControlNet, which are held.

    Raises:
        PolicyError: If a group is not one of the policy's, or is always held.
    """
    known = [name for name, sites in policy.groups.items() if not {GUIDANCE, CONTROLNET} & set(sites)]
    for name in groups or ():
        if name not in known:
            raise PolicyError(f"`groups` must name groups of the policy that can be forecast but got {name!r}. It has {known}.")
    table = {name: _rows(policy, name, basis) for name in (known if groups is None else groups)}
    return policy.replace(forecast={**policy.forecast, **table}, measured=None, machine=None)


def _rows(policy: Policy, name: str, basis: Basis) -> tuple[tuple[float, ...], ...]:
    computing = [step.t for step in policy.plan() if name in step.computes]
    return tuple(
        basis([s for s in reversed(computing) if s < step.t], step.t, policy.T) if name in step.reuses else ()
        for step in policy.plan()
    )
