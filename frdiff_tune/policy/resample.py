"""A policy stretched to another walk: keyframes and masks keep their places in the run, nothing is known of the result."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from frdiff_tune.errors import PolicyError
from frdiff_tune.policy.multistep import NAME
from frdiff_tune.policy.sections import Provenance

if TYPE_CHECKING:
    from frdiff_tune.policy.policy import Policy

Weights = tuple[float, ...]
RESAMPLED_FROM = "resampled_from"
"""Key of a policy's provenance: the digest of the one that it was stretched from."""


def resampled(policy: "Policy", steps: int, T: int | None) -> dict[str, Any]:
    """Returns the tables of a policy for another step count or another walked length; see ``Policy.resample``."""
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise PolicyError(f"`steps` must be a whole number from 1 on but got {steps!r}. Give num_inference_steps.")
    if policy.sampling.scheduler.name == NAME:
        raise PolicyError(
            f"`policy` must walk a scheduler that can be set to {steps} steps but its {NAME} holds tables for "
            f"{policy.sampling.num_inference_steps} only. Fit a policy with {steps} steps."
        )
    if policy.sampling.timesteps is not None:
        raise PolicyError(
            "`sampling.timesteps` must be null where a policy is stretched, but this one lists its timesteps, which mean "
            "nothing in another number of steps. Build or tune a policy for them."
        )
    length = round(policy.T * steps / policy.sampling.num_inference_steps) if T is None else T
    if isinstance(length, bool) or not isinstance(length, int) or length < 1:
        raise PolicyError(f"`T` must be a whole number from 1 on but got {length!r}. Leave it out to stretch it with them.")
    keyframes = _stretched(policy.keyframes, length)
    masks = {name: _stretched(mask, length) for name, mask in policy.masks.items()}
    sampling = policy.sampling.model_copy(update={"num_inference_steps": steps, "T": length})
    return {
        "sampling": sampling,
        "keyframes": keyframes,
        "mixing": tuple(policy.mixing[_between(policy, t, keyframes)] for t in range(length)),
        "masks": masks,
        "forecast": {name: _forecast(table, {"score": keyframes, **masks}[name]) for name, table in policy.forecast.items()},
        "measured": None,
        "machine": None,
        "provenance": Provenance(
            study=policy.provenance.study if policy.provenance else "", parameters={RESAMPLED_FROM: policy.digest}
        ),
    }


def _stretched(bits: str, T: int) -> str:
    """Returns T digits with the ones of ``bits`` at the same fractions of the run."""
    ones = {min(round(t * T / len(bits)), T - 1) for t, bit in enumerate(bits) if bit == "1"}
    return "".join("1" if t in ones else "0" for t in range(T))


def _between(policy: "Policy", t: int, keyframes: str) -> int:
    """Returns the old step that a new one stands for: of its own kind (keyframe or not) the nearest fraction of the run."""
    kind, place = keyframes[t], t * policy.T / len(keyframes)
    same = [old for old, bit in enumerate(policy.keyframes) if bit == kind] or list(range(policy.T))
    return _nearest(same, place)


def _nearest(steps: Sequence[int], place: float) -> int:
    """Returns the step nearest to a place; of two the earlier."""
    return min(steps, key=lambda step: (abs(step - place), step))


def _forecast(table: Sequence[Weights], stored: str) -> tuple[Weights, ...]:
    """Returns forecast weights for the steps that store nothing: of the nearest old step that had some, by its fraction.

    Where too little was stored before, the newest is held.

    Arguments:
        table: The old weights; empty where none were used.
        stored: The new steps that store, as zeros and ones.
    """
    known = [old for old, row in enumerate(table) if row]
    rows: list[Weights] = []
    for t, bit in enumerate(stored):
        row = table[_nearest(known, t * len(table) / len(stored))] if bit == "0" and known else ()
        rows.append(row if len(row) <= stored[:t].count("1") else (1.0,))
    return tuple(rows)
