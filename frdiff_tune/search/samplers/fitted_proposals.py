"""Proposals of fitted steps: the nearest neighbour of a candidate by latent error."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from frdiff_tune.search.fitted_part import nearest_fitted
from frdiff_tune.search.space_file import BETWEEN, FITTED, Params

if TYPE_CHECKING:
    from frdiff_tune.search.space import Space


class FittedProposals:
    """Replaces candidates of one proposal.

    Arguments:
        space: The study's space.
        measured: Whether the policy of parameters was measured, or is being measured.

    Attributes:
        rest: Candidates that were passed over.
    """

    def __init__(self, space: "Space", measured: Callable[[Params], bool]) -> None:
        self.space, self.measured = space, measured
        self.rest: list[Params] = []
        self._searched = set[Any]()

    def __call__(self, params: Params) -> Params | None:
        """Returns what to propose for a candidate: itself if it is not fitted, else its nearest neighbour; None: the next.

        Neighbours are fitted for the first candidate alone. Others with as many steps as it are passed over, those with other
        numbers of steps become what fits for earlier proposals have found nearest.
        """
        if self.space.fitted is None or params["scheduler"] != FITTED or not self.space.fitted.tries:
            return params
        kind = len(self.space.keyframes(params)[0]), params[BETWEEN], tuple(self.space.reusing(params))
        proposal = None
        if kind not in self._searched:
            tries = 0 if self._searched else self.space.fitted.tries
            self._searched.add(kind)
            proposal = nearest_fitted(self.space, params, self.measured, tries)
        if proposal is None:
            self.rest.append(params)
        return proposal
