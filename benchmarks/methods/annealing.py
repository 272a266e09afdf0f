"""Simulated annealing over which steps call the network, then hill climbing, within a number of tries."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import ceil, exp
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.bench import QUALITY_BATCH
from benchmarks.keyframe_sets import even
from benchmarks.methods._base import Keyframes, Method, Setting, key_of, tuning_cases
from benchmarks.methods.lockstep import Lockstep, log_error
from frdiff_tune.measure import blocks
from frdiff_tune.measure.bench import Bench
from frdiff_tune.measure.drawn import joined
from frdiff_tune.measure.references import references, stored
from frdiff_tune.runtime import keyframe_policy
from frdiff_tune.search.setting import cache_folder
from frdiff_tune.search.study import Study

if TYPE_CHECKING:
    from torch import Tensor

CLIMBING = 1 / 11
"""Share of the tries that climb: 20 after 200 in the authors' settings."""
HOT, COLD = 0.3, 0.01
"""Temperatures, in units of the error's logarithm."""
NEAR = 3
"""How many steps a near move goes at most; every other move goes anywhere."""
SHELF = "keyframes"


@dataclass(frozen=True)
class Annealing(Method):
    """BudCache's first stage: held outputs between the steps that call the network, which are searched.

    What is minimised is the error of the final latent against the full run's, the mean over cases of its logarithm. A try draws
    every case with as many calls as the budget has; sets that were tried before cost none.

    Arguments:
        tries: Sets that are tried at each number of calls.
        cases: Search cases that each draws.

    References:
        | Budget-Constrained Step-Level Diffusion Caching (Lei et al., 2026), https://arxiv.org/abs/2606.13496
    """

    tries: int = 60
    cases: int = 24

    def policies(self, pipe: Any, study: Study, calls: int) -> Iterator[tuple[str, Setting]]:  # noqa: ANN401
        """Yields the best set, whose search is kept."""
        steps = study.file.call.num_inference_steps
        keyframes = self._searched(pipe, study, calls)
        yield f"{self.tries} tries", keyframe_policy(pipe, steps, keyframes, 0.0, variable="epsilon")

    def _searched(self, pipe: Any, study: Study, calls: int) -> Keyframes:  # noqa: ANN401
        call, cases = study.file.call, tuning_cases(study, pipe)[: self.cases]

        def search() -> Keyframes:
            run = Lockstep(pipe, cases, call.arguments, call.num_inference_steps)
            wanted = reference_latents(study, pipe, self.cases)
            return anneal(lambda keyframes: log_error(run.final(keyframes), wanted), run.T, calls, self.tries)

        options = {"annealing": calls, "tries": self.tries, "temperatures": [HOT, COLD], "near": NEAR}
        return stored(cache_folder(), key_of(study, pipe, cases, **options), search, SHELF)


def reference_latents(study: Study, pipe: Any, count: int) -> "Tensor":  # noqa: ANN401
    """Returns what full runs of the first search cases end with, from the disk if their pictures were drawn before.

    Arguments:
        study: The study.
        pipe: Its pipeline.
        count: Cases.
    """
    import torch

    call, parts = study.file.call, blocks(tuning_cases(study, pipe), QUALITY_BATCH)
    parts = parts[: ceil(count / QUALITY_BATCH)]
    with Bench(pipe) as bench:
        drawn = joined(list(references(bench, parts, call.num_inference_steps, call.arguments, cache_folder())))
    assert drawn.latents is not None, "DDIM's steps give latents"
    return torch.from_numpy(drawn.latents[:count])


def anneal(error: Callable[[Keyframes], float], T: int, calls: int, tries: int, seed: int = 0) -> Keyframes:
    """Returns the best set that was tried.

    Arguments:
        error: What is minimised.
        T: Steps of the run.
        calls: Keyframes of a set, step 0 among them, fewer than T.
        tries: Sets to try, the first one evenly spread.
        seed: Of the moves.
    """
    rng = np.random.default_rng(seed)
    now = even(T, calls)
    tried = {now: error(now)}
    hot = max(round(tries * (1 - CLIMBING)), 1)
    while len(tried) < hot and (other := _unlike(now, tried, T, rng)):
        tried[other] = error(other)
        worse = tried[other] - tried[now]
        temperature = HOT * (COLD / HOT) ** (len(tried) / hot)
        now = other if worse <= 0 or rng.random() < exp(-worse / temperature) else now
    now = min(tried, key=lambda each: tried[each])
    while len(tried) < tries and (left := [other for other in neighbours(now, T) if other not in tried]):
        tried[left[0]] = error(left[0])
        now = left[0] if tried[left[0]] < tried[now] else now
    return min(tried, key=lambda each: tried[each])


def neighbours(keyframes: Keyframes, T: int) -> Iterator[Keyframes]:
    """Yields the sets in which one keyframe, the last one first, stands a step later or earlier, then two, then three."""
    for far in range(1, NEAR + 1):
        for k in reversed(keyframes[1:]):
            for other in (k + far, k - far):
                if 0 < other < T and other not in keyframes:
                    yield tuple(sorted({*keyframes} - {k} | {other}))


def _unlike(now: Keyframes, tried: dict[Keyframes, float], T: int, rng: np.random.Generator) -> Keyframes | None:
    """Returns a set with one keyframe moved that was not tried; None where a thousand draws give none."""
    for _ in range(1000):
        k = int(rng.choice(now[1:])) if len(now) > 1 else 0
        near = [n for n in range(max(k - NEAR, 1), min(k + NEAR + 1, T)) if n not in now]
        anywhere = [n for n in range(1, T) if n not in now]
        places = near if near and rng.random() < 0.5 else anywhere
        if k and places:
            other = tuple(sorted({*now} - {k} | {int(rng.choice(places))}))
            if other not in tried:
                return other
    return None
