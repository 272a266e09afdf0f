"""Temporal similarity: by how much what a group keeps changes from one step of a full run to another.

    change[g][t, s] = mean over cases of ||v[t] - v[s]|| / ||v[t]||,    s < t

with v[t] all that the sites of g would keep at step t, laid end to end over sites, passes and the halves of a guidance pair:
the relative error of giving back step s at step t. Inner products are all that it takes,

    ||v[t] - v[s]||^2 = sum over sites of (G[t, t] + G[s, s] - 2 G[t, s]) * entries / entries taken

so of each site only some entries are held until the run ends, and its Gram matrix G after it; a case is a run of its own. One
run needs, at its most and beside what the pipeline itself does,

    bytes = 4 T N P B E                     entries that were taken
          + (12 T + 12 (N + 1) + 48) B E    one site's while its Gram matrix is made; which entries are taken
          + 2 F                             what one site keeps, whole, at one step
          + 24 T^2 (N + 1)                  Gram matrices

T steps, N sites and the score, P passes (network calls) per step, B samples of the network's batch, E entries taken per sample
at most, F bytes of the largest feature.
"""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frdiff_tune.errors import MeasureError
from frdiff_tune.measure.case import Case, call_arguments
from frdiff_tune.measure.picture import quiet
from frdiff_tune.measure.walk import Walk
from frdiff_tune.runtime import record
from frdiff_tune.runtime.families import GUIDANCE
from frdiff_tune.runtime.recorder import Recorder

Matrix = NDArray[np.float64]

ENTRIES = 1024
"""Taken per site and sample: a group of ten sites then has 10,000 or more, and its change a standard error of 1 %."""


@dataclass(frozen=True, slots=True, eq=False)
class Similarity:
    """How much groups change between steps.

    Arguments:
        change: Group -> ||v[t] - v[s]|| / ||v[t]||, mean over cases, with shape (T, T), row t and column s; 0 on and above the
            diagonal. Groups that do not run at every step in one shape are left out.
        cases: How many cases were drawn.
        entries: Entries that were taken per site and sample of the network's batch, at most.
        bound_bytes: Memory that it needs at its most, beside the pipeline's.
    """

    change: Mapping[str, Matrix]
    cases: int
    entries: int
    bound_bytes: int


def similarity(
    pipe: Any,  # noqa: ANN401
    cases: Sequence[Case],
    groups: Mapping[str, Sequence[str]],
    *,
    steps: int,
    call: Mapping[str, Any],
    entries: int = ENTRIES,
) -> Generator[int, None, Similarity]:
    """Draws full runs, a case at a time, and compares what groups would keep at their steps; yields how many are drawn.

    Arguments:
        pipe: A diffusers pipeline without a policy; restored afterwards.
        cases: What to draw.
        groups: Group -> site names; ``"guidance"`` is what the guidance pair would keep.
        steps: Step count of the runs.
        call: Arguments that are the same for all cases.
        entries: Entries to take per site and sample of the network's batch, at most.

    Raises:
        MeasureError: If a feature is not finite.
        MismatchError: If a site is unknown, or a policy is on.
    """
    T, found, bound = Walk(pipe, cases, call).T(steps), dict[str, list[Matrix]](), 0
    for done, case in enumerate(cases, start=1):
        with quiet(pipe), record(pipe, steps, groups, T=T, entries=entries, pictures=1) as records:
            pipe(**{**call, **call_arguments([case])}, num_inference_steps=steps)
        bound = max(bound, bound_bytes(records.recorder.sizes, T))
        for name, sites in groups.items():
            if (changed := _change(records.recorder, sites)) is not None:
                _check(name, changed, case)
                found.setdefault(name, []).append(changed)
        yield done
    means = {name: np.asarray(np.mean(each, axis=0)) for name, each in found.items() if len(each) == len(cases)}
    return Similarity(means, len(cases), entries, bound)


def _change(recorder: Recorder, sites: Sequence[str]) -> Matrix | None:
    """Returns a group's change in one run, with shape (T, T); None if one of its sites was not recorded."""
    if not set(sites) <= set(recorder.sums):
        return None
    gram = sum(recorder.sums[site] * _stretch(recorder, site) for site in sites)
    squares = np.diag(gram)
    apart = np.maximum(squares[:, None] + squares[None, :] - 2 * gram, 0.0)
    return np.tril(np.sqrt(apart / np.maximum(squares[:, None], np.finfo(float).tiny)), k=-1)


def _check(group: str, change: Matrix, case: Case) -> None:
    if not np.isfinite(change).all():
        raise MeasureError(
            f"`features` must be finite but got NaN or infinity in group {group!r} for case {case.label!r}, seed {case.seed}. "
            "Run the model in a wider dtype."
        )


def _stretch(recorder: Recorder, site: str) -> float:
    """Returns how many entries stand behind each that was taken of a site."""
    entries, taken, _ = next(size for (name, _), size in recorder.sizes.items() if name == site)
    return entries / taken


def bound_bytes(sizes: Mapping[tuple[str, str], tuple[int, int, int]], T: int) -> int:
    """Returns the memory that a recorded run needs at its most beside the pipeline's; the formula stands above.

    Arguments:
        sizes: ``Recorder.sizes``.
        T: Steps of the run.
    """
    names = {name for name, _ in sizes}
    kept = sum(taken for _, taken, _ in sizes.values())  # N P B E, less where a site has fewer entries
    most = max(taken for _, taken, _ in sizes.values())
    largest = max((size for (name, _), (_, _, size) in sizes.items() if name != GUIDANCE), default=0)
    return 4 * T * kept + (12 * T + 12 * len(names) + 48) * most + 2 * largest + 24 * T * T * len(names)
