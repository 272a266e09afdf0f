"""Moves of local search on keyframe sets: what a neighbour of a good set is."""

from bisect import bisect
from collections.abc import Callable, Sequence
from itertools import accumulate

import numpy as np

Move = Callable[[list[int], int, np.random.Generator], list[int]]


def moved(keyframes: Sequence[int], T: int, rng: np.random.Generator) -> list[int]:
    """Returns a keyframe set after one move, or after two or more with half the chance of the one before.

    Step 0 stays a keyframe. A move that finds no room leaves the set as it is.

    Arguments:
        keyframes: In order, step 0 first.
        T: Denoiser steps of the run.
        rng: Where randomness comes from.
    """
    found = list(keyframes)
    while True:
        move: Move = MOVES[bisect(EDGES, rng.random())]
        found = move(found, T, rng)
        if rng.random() < 0.5:
            return found


def crossed(early: Sequence[int], late: Sequence[int], T: int, rng: np.random.Generator) -> list[int]:
    """Returns the keyframes of ``early`` before a random step, and those of ``late`` from there on.

    Arguments:
        early: One set.
        late: The other.
        T: Denoiser steps of the run.
        rng: Where randomness comes from.
    """
    cut = int(rng.integers(1, max(T, 2)))
    return [t for t in early if t < cut] + [t for t in late if t >= cut]


def slide(keyframes: list[int], T: int, rng: np.random.Generator) -> list[int]:
    """Moves one keyframe between its neighbours: by one step, or in every third case to anywhere between them."""
    if len(keyframes) < 2:
        return keyframes
    i = int(rng.integers(1, len(keyframes)))
    low, high = keyframes[i - 1] + 1, (keyframes[i + 1] if i + 1 < len(keyframes) else T) - 1
    to = int(rng.integers(low, high + 1)) if rng.random() < 1 / 3 else keyframes[i] + _either(rng)
    return [*keyframes[:i], min(max(to, low), high), *keyframes[i + 1 :]]


def drop(keyframes: list[int], T: int, rng: np.random.Generator) -> list[int]:
    """Takes one keyframe out."""
    if len(keyframes) < 2:
        return keyframes
    i = int(rng.integers(1, len(keyframes)))
    return keyframes[:i] + keyframes[i + 1 :]


def add(keyframes: list[int], T: int, rng: np.random.Generator) -> list[int]:
    """Puts one keyframe in."""
    free = sorted(set(range(T)) - set(keyframes))
    return sorted([*keyframes, free[int(rng.integers(len(free)))]]) if free else keyframes


def relocate(keyframes: list[int], T: int, rng: np.random.Generator) -> list[int]:
    """Takes one keyframe out and puts it in elsewhere."""
    return add(drop(keyframes, T, rng), T, rng)


def shift(keyframes: list[int], T: int, rng: np.random.Generator) -> list[int]:
    """Moves one keyframe and all that follow by one step; what leaves the run is gone."""
    if len(keyframes) < 2:
        return keyframes
    i, by = int(rng.integers(1, len(keyframes))), _either(rng)
    tail = [t + by for t in keyframes[i:]]
    return keyframes[:i] + [t for t in tail if keyframes[i - 1] < t < T]


def _either(rng: np.random.Generator) -> int:
    """Returns one step back or one ahead."""
    return 2 * int(rng.integers(2)) - 1


MOVES: tuple[Move, ...] = (slide, drop, relocate, add, shift)
CHANCES = (0.4, 0.2, 0.2, 0.1, 0.1)
EDGES = tuple(accumulate(CHANCES[:-1]))
"""Draws from 0 to 1 are those of a move up to its edge; the last move has the rest."""
