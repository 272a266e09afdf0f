"""Intervals of groups: a group that reuses may compute more often than at keyframes."""

from collections.abc import Mapping, Sequence

from frdiff_tune.policy import Policy
from frdiff_tune.search.space_file import Params


def every(name: str) -> str:
    """Returns the parameter of a group's interval."""
    return f"every.{name}"


def chosen(params: Params, names: Sequence[str], choices: Sequence[int]) -> dict[str, int]:
    """Returns the interval of each of some groups; 0 computes at keyframes only.

    Arguments:
        params: A value per parameter of a space.
        names: The groups.
        choices: What the space lets them choose from.
    """
    return {name: int(params.get(every(name), choices[0])) for name in names}


def computing(keyframes: Sequence[int], T: int, interval: int) -> tuple[int, ...]:
    """Returns the steps at which a group computes: keyframes, and every so many steps after each.

    Arguments:
        keyframes: In order, step 0 first.
        T: Denoiser steps of the run.
        interval: In steps; 0 computes at keyframes only.
    """
    found, last = [], 0
    known = set(keyframes)
    for t in range(T):
        last = t if t in known else last
        if t == last or (interval and (t - last) % interval == 0):
            found.append(t)
    return tuple(found)


def with_intervals(policy: Policy, intervals: Mapping[str, int]) -> Policy:
    """Returns a policy whose groups compute at every so many steps after each keyframe."""
    changed = {name: interval for name, interval in intervals.items() if interval and name in policy.masks}
    if not changed:
        return policy
    keyframes = [t for t, bit in enumerate(policy.keyframes) if bit == "1"]
    masks = {name: _bits(computing(keyframes, policy.T, interval), policy.T) for name, interval in changed.items()}
    return policy.replace(masks={**policy.masks, **masks})


def intervals_of(policy: Policy, names: Sequence[str], choices: Sequence[int]) -> dict[str, int] | None:
    """Returns parameters' values that give the masks of a policy, or None where there are none.

    Arguments:
        policy: The policy.
        names: The space's groups.
        choices: What they choose from.
    """
    keyframes = [t for t, bit in enumerate(policy.keyframes) if bit == "1"]
    calls = [lam > 0 for lam in policy.mixing]
    found = {}
    for name in names:
        if (mask := policy.masks.get(name)) is None:
            found[every(name)] = choices[0]
            continue
        wanted = {t for t, bit in enumerate(mask) if bit == "1"}
        able = [n for n in choices if {t for t in computing(keyframes, policy.T, n) if calls[t]} == wanted]
        if not able:
            return None
        found[every(name)] = able[0]
    return found


def _bits(steps: Sequence[int], T: int) -> str:
    known = set(steps)
    return "".join("1" if t in known else "0" for t in range(T))
