"""Objectives: one to three figures that a study makes small, or large where higher values are better."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from frdiff_tune.search.cost_figure import TIMES, better, check_bounded
from frdiff_tune.search.outcome import TrialOutcome

OBJECTIVES = ("latency_ms", "lpips")
"""Unless a study says otherwise: wall time of a call in milliseconds, and mean LPIPS against the reference."""
MOST = 3


def check_objectives(names: Sequence[str]) -> tuple[str, ...]:
    """Returns the objectives of a study file.

    Arguments:
        names: Figures of quality, as ``psnr_median``, or of cost, as ``cache_mib``.

    Raises:
        ValueError: If one is not known or named twice, also in other words, or there are none or more than three.
    """
    for name in names:
        check_bounded(name)
    if not 1 <= len(set(names)) == len(names) <= MOST:
        raise ValueError(f"must name one to {MOST} figures, each once, but got {list(names)}. Use {list(OBJECTIVES)}.")
    if len(same := [name for name in TIMES if name in names]) > 1:
        raise ValueError(f"must not name both {' and '.join(same)}, which is the same, but got {list(names)}. Drop one.")
    return OBJECTIVES if set(names) == set(OBJECTIVES) else tuple(names)


def directions(names: Sequence[str]) -> list[Literal["minimize", "maximize"]]:
    """Returns what Optuna does with each objective."""
    return ["minimize" if better(name) == "lower" else "maximize" for name in names]


def non_dominated(outcomes: Sequence[TrialOutcome], objectives: Sequence[str] = OBJECTIVES) -> list[TrialOutcome]:
    """Returns the trials that no other one beats in an objective without losing in another, fastest first.

    Of trials that are equal in all of them the first stays.

    Arguments:
        outcomes: Finished trials.
        objectives: Names of figures.
    """
    signs = [1.0 if better(name) == "lower" else -1.0 for name in objectives]
    values = {o.number: np.array([s * o.figure(n).value for n, s in zip(objectives, signs, strict=True)]) for o in outcomes}
    kept: list[TrialOutcome] = []
    for outcome in sorted(outcomes, key=lambda o: (*values[o.number], o.number)):
        if not any((values[other.number] <= values[outcome.number]).all() for other in kept):
            kept.append(outcome)
    return sorted(kept, key=lambda o: (o.latency_ms.value, o.number))
