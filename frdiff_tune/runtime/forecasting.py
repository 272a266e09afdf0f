"""Policies whose groups are forecast instead of held."""

from collections.abc import Mapping, Sequence

from frdiff_tune.errors import PolicyError
from frdiff_tune.policy import Policy
from frdiff_tune.runtime.bases import Basis
from frdiff_tune.runtime.families import CONTROLNET, GUIDANCE


def forecastable(policy: Policy) -> tuple[str, ...]:
    """Returns the groups of a policy that can be forecast: all but the guidance pair and a ControlNet, which are held."""
    return tuple(name for name, sites in policy.groups.items() if not {GUIDANCE, CONTROLNET} & set(sites))


def forecast_features(policy: Policy, basis: Basis | Mapping[str, Basis], groups: Sequence[str] | None = None) -> Policy:
    """Returns a policy that gives back forecast features where the given one holds them.

    Masks, keyframes and mixing stay. What was measured does not hold for it, so it is dropped. A group then keeps its
    features as many times as its basis has nodes.

    Arguments:
        policy: A policy with groups.
        basis: How features are forecast: one basis for all groups, or group -> basis.
        groups: Which groups; None: those that ``basis`` names, else all that can be forecast.

    Raises:
        PolicyError: If a group is not one of the policy's, has no basis, or is always held.
    """
    known = forecastable(policy)
    chosen = tuple((basis if isinstance(basis, Mapping) else known) if groups is None else groups)
    for name in chosen:
        if name not in known:
            raise PolicyError(
                f"`groups` must name groups of the policy that can be forecast but got {name!r}. It has {list(known)}."
            )
        if isinstance(basis, Mapping) and name not in basis:
            raise PolicyError(f"`basis` must have one for each of `groups` but has none for {name!r}. It has {list(basis)}.")
    table = {name: _rows(policy, name, basis[name] if isinstance(basis, Mapping) else basis) for name in chosen}
    return policy.replace(forecast={**policy.forecast, **table}, measured=None, machine=None)


def _rows(policy: Policy, name: str, basis: Basis) -> tuple[tuple[float, ...], ...]:
    computing = [step.t for step in policy.plan() if name in step.computes]
    return tuple(
        basis([s for s in reversed(computing) if s < step.t], step.t, policy.T) if name in step.reuses else ()
        for step in policy.plan()
    )
