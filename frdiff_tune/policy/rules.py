"""What makes the tables of a policy valid; each rule raises ``PolicyError`` with the value that broke it and the cure."""

import math
from collections.abc import Mapping, Sequence
from itertools import combinations

from frdiff_tune.errors import PolicyError

Weights = tuple[tuple[float, ...], ...]


def check_bits(field: str, bits: str, T: int) -> None:
    """Checks one table of zeros and ones, which must have length T and begin with 1."""
    if set(bits) - {"0", "1"}:
        raise PolicyError(f"`{field}` must be a string of 0 and 1 but got {bits!r}. Write one digit per step.")
    if len(bits) != T:
        raise PolicyError(
            f"`{field}` must have length T = {T} but got {len(bits)} digits. All tables of a policy have one entry per step."
        )
    if bits[0] != "1":
        raise PolicyError(f"`{field}` must begin with 1 but got {bits!r}. Nothing is stored before step 0: it must compute.")


def check_mixing(mixing: Sequence[float], T: int) -> None:
    """Checks lam: T finite numbers in [0, 1]."""
    if len(mixing) != T:
        raise PolicyError(f"`mixing` must have length T = {T} but got {len(mixing)} numbers. Give one weight per step.")
    for t, lam in enumerate(mixing):
        if not math.isfinite(lam) or not 0.0 <= lam <= 1.0:
            raise PolicyError(f"`mixing[{t}]` must lie in [0, 1] but got {lam}. Clip it, or use 0.0 for a jump.")


def check_groups(groups: Mapping[str, Sequence[str]], masks: Mapping[str, str], T: int) -> None:
    """Checks that each group has sites and a mask of length T."""
    if set(groups) != set(masks):
        odd = sorted(set(groups) ^ set(masks))
        raise PolicyError(f"`groups` and `masks` must name the same groups but differ in {odd}. Give each group both.")
    for name, sites in groups.items():
        if not sites:
            raise PolicyError(f"`groups.{name}` must name at least one site but got none. Leave the group out instead.")
        if name == "score":
            raise PolicyError("`groups` must not name a group 'score' but did: that is the denoiser's output. Rename it.")
        check_bits(f"masks.{name}", masks[name], T)


def check_nesting(groups: Mapping[str, Sequence[str]]) -> None:
    """Checks that no site lies inside another: a reused block would never call what is in it."""
    places = [(site, name) for name, sites in groups.items() for site in sites]
    for (a, group_a), (b, group_b) in combinations(sorted(places), 2):
        if a == b or b.startswith(a + "."):
            raise PolicyError(
                f"`groups` must not hold sites that lie inside each other but got {a!r} ({group_a}) and {b!r} ({group_b}). "
                f"Keep one of the two in the policy."
            )


def check_forecast(forecast: Mapping[str, Weights], stores: Mapping[str, str], T: int) -> None:
    """Checks forecast weights: T finite lists per table, none longer than what was stored before its step.

    Arguments:
        forecast: Weights per table name.
        stores: For each table name that may carry weights, the steps that store (zeros and ones, length T).
        T: Number of steps.
    """
    for name, table in forecast.items():
        if name not in stores:
            raise PolicyError(f"`forecast` must name 'score' or a group but got {name!r}. Known here: {sorted(stores)}.")
        if len(table) != T:
            raise PolicyError(f"`forecast.{name}` must have length T = {T} but got {len(table)}. Give one list per step.")
        for t, weights in enumerate(table):
            stored = stores[name][:t].count("1")
            if len(weights) > stored:
                raise PolicyError(
                    f"`forecast.{name}[{t}]` must have at most as many weights as keyframes so far, {stored}, "
                    f"but got {len(weights)}. Drop the weights of the oldest."
                )
            if not all(math.isfinite(w) for w in weights):
                raise PolicyError(f"`forecast.{name}[{t}]` must be finite but got {weights}. Fit or expand it again.")
