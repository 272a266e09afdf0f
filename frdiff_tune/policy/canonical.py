"""The canonical form of a policy's tables: two policies that make the same picture have the same tables."""

from collections.abc import Mapping, Sequence

from frdiff_tune.errors import PolicyError
from frdiff_tune.policy.rules import Weights

JUMP_BELOW = 1e-10  # below this weight the network's own score is not worth a call (design: "lam")


def canonical_mixing(keyframes: str, mixing: Sequence[float]) -> tuple[float, ...]:
    """Returns lam with 1 at keyframes and exactly 0 below ``JUMP_BELOW``, length T."""
    return tuple(
        1.0 if bit == "1" else (0.0 if lam < JUMP_BELOW else float(lam)) for bit, lam in zip(keyframes, mixing, strict=True)
    )


def network_calls(mixing: Sequence[float]) -> str:
    """Returns the steps that call the network as zeros and ones, from a canonical lam."""
    return "".join("1" if lam > 0.0 else "0" for lam in mixing)


def canonical_masks(masks: Mapping[str, str], calls: str) -> dict[str, str]:
    """Returns the masks with 0 at jumps, without the groups that compute at every call."""
    cut = {
        name: "".join("1" if m == c == "1" else "0" for m, c in zip(mask, calls, strict=True))
        for name, mask in sorted(masks.items())
    }
    return {name: mask for name, mask in cut.items() if mask != calls}


def canonical_weights(name: str, table: Weights, uses: str) -> Weights | None:
    """Returns forecast weights with an empty list where none is used, or None if they only hold.

    Arguments:
        name: ``"score"`` or a group, for messages.
        table: T lists of weights, newest first.
        uses: The steps that use weights, as zeros and ones.

    Raises:
        PolicyError: If a step that uses weights has none.
    """
    cut = tuple(_trim(weights) if use == "1" else () for weights, use in zip(table, uses, strict=True))
    for t, (weights, use) in enumerate(zip(cut, uses, strict=True)):
        if use == "1" and not weights:
            raise PolicyError(f"`forecast.{name}[{t}]` must have a weight other than 0 but got {table[t]}. Use [1.0] to hold.")
    return None if all(weights in ((), (1.0,)) for weights in cut) else cut


def _trim(weights: tuple[float, ...]) -> tuple[float, ...]:
    """Drops zeros at the oldest end."""
    while weights and weights[-1] == 0.0:
        weights = weights[:-1]
    return weights
