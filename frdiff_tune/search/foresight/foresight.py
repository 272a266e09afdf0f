"""What is foreseen of one space's policies, kept from proposal to proposal."""

from collections.abc import Hashable, Mapping
from functools import cached_property, lru_cache
from itertools import product
from typing import TYPE_CHECKING, Any

from frdiff_tune.search.distributions import values_of, vectors
from frdiff_tune.search.foresight.errors_foreseen import KEPT, ErrorSources
from frdiff_tune.search.foresight.outline import Outline, outline_of
from frdiff_tune.search.space_file import CAPTURE, Params

if TYPE_CHECKING:
    from frdiff_tune.search.space import Space

LISTED = 30_000
"""Parameter vectors of a space that is listed at most."""


class Foresight:
    """Outlines and errors of a space's policies.

    Arguments:
        space: The space on its pipeline.

    Attributes:
        kept: What samplers keep from one proposal to the next; it follows from the trials, and may be thrown away.
    """

    def __init__(self, space: "Space") -> None:
        self.space = space
        self.kept: dict[Hashable, Any] = {}
        self.errors = ErrorSources(space)
        self._outlines: dict[str, Outline] = {}
        self._same = lru_cache(maxsize=KEPT)(_itself)  # equal outlines become one object, which compares at once

    @cached_property
    def listed(self) -> Mapping[Outline, Params] | None:
        """Every policy of the space with parameters that write it, whatever the launch; None where there are too many."""
        distributions = {name: each for name, each in self.space.distributions.items() if name != CAPTURE}
        if vectors(distributions) > LISTED:
            return None
        found: dict[Outline, Params] = {}
        for values in product(*(values_of(each) or () for each in distributions.values())):
            params = dict(zip(distributions, values, strict=True))
            found.setdefault(outline_of(self.space, params), params)
        return found

    def outline(self, digest: str, params: Params) -> Outline:
        """Returns the outline of a policy that is known by its digest.

        Arguments:
            digest: The policy's.
            params: Parameters that write it.
        """
        if digest not in self._outlines:
            self._outlines[digest] = self.of(params)
        return self._outlines[digest]

    def of(self, params: Params) -> Outline:
        """Returns the outline of the policy that parameters decode to."""
        return self._same(outline_of(self.space, params))


def _itself(outline: Outline) -> Outline:
    return outline
