"""Forecast weights that are fitted to full runs, on sets that dynamic programming finds in them: policies of schema 1."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

from benchmarks.methods._base import Method, Setting, tuning_cases
from benchmarks.methods.timestep_lists import recorded_sets
from frdiff_tune.measure import trajectory
from frdiff_tune.runtime import keyframe_policy
from frdiff_tune.search.score_fit import fitted_weights, with_fit
from frdiff_tune.search.setting import FOLLOWED, cache_folder
from frdiff_tune.search.study import Study

EARLY = (0.5, 1.5)
SHARES = ((1.0, 1.0, 1.0), (0.5, 0.5, 0.5), (0.0, 1.0, 1.0))
"""Of the way from held scores to fitted ones, for each third of the run."""


@dataclass(frozen=True)
class FittedWeights(Method):
    """The fit of ``search.score_fit``; the set, and how far to go to the fit, is chosen."""

    def policies(self, pipe: Any, study: Study, calls: int) -> Iterator[tuple[str, Setting]]:  # noqa: ANN401
        """Yields every set with every share."""
        call = study.file.call
        cases = tuning_cases(study, pipe)[:FOLLOWED]
        seen = trajectory(pipe, cases, steps=call.num_inference_steps, call=call.arguments, folder=cache_folder())
        sets, gram = recorded_sets(study, pipe), seen.gram("epsilon")
        for early, shares in product(EARLY, SHARES):
            keyframes = sets[early][calls]
            held = keyframe_policy(pipe, call.num_inference_steps, keyframes, 0.0, variable="epsilon")
            label = f"early {early}, fitted {' '.join(f'{share:g}' for share in shares)}"
            yield label, with_fit(held, fitted_weights(gram, keyframes), shares)
