"""Weights fitted by least squares to recorded runs."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import TYPE_CHECKING

from frdiff_tune.errors import PolicyError
from frdiff_tune.runtime.bases._base import Basis

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Gram = NDArray[np.float64]

CUTOFF = 1e-12
"""Directions in which the kept features differ by less than this share of their energy are not weighed."""


@dataclass(frozen=True, slots=True, eq=False)
class Fitted(Basis):
    """L2P: the weights that would have been best on recorded runs, in closed form.

    w = argmin E |f[t] - sum_k w[k] f[s_k]|^2 + ridge * energy * |w - e_0|^2

    with s_k the computing steps, newest first, energy the mean of E |f[s_k]|^2, and e_0 the weights that hold the newest.
    The Gram matrix G[s, t] = E <f[s], f[t]> is all that this needs. Where the kept features do not differ from each other,
    the solution nearest to holding is taken.

    It belongs to one group, one model and one walk of T steps, other than the bases that know only step numbers; and what
    never changes is held only if the recorded runs say so.

    Arguments:
        gram: The group's Gram matrix over the steps of a run, with shape (T, T); see ``Recording.gram``.
        window: Computing steps that are weighed, from 1 to 16; with one, the newest is scaled.
        ridge: Pull towards holding the newest, from 0 on, as a share of the features' energy. The least error on recorded runs
            is not the best picture: a policy's own run leaves them, and weights that hang on little then lead astray.

    References:
        | Beyond Fixed Formulas: Data-Driven Linear Predictor for Efficient Diffusion Models (Shen et al., 2026)
        | https://arxiv.org/abs/2604.26365, whose weights are trained by gradient descent
    """

    gram: "Gram" = field(repr=False)
    window: int = 2
    ridge: float = 0.01

    def __post_init__(self) -> None:
        object.__setattr__(self, "gram", _checked(self.gram))
        if isinstance(self.window, bool) or not isinstance(self.window, int) or not 1 <= self.window <= 16:
            raise PolicyError(f"`window` must lie in [1, 16] but got {self.window}. So many times features are kept.")
        if not isfinite(self.ridge) or self.ridge < 0:
            raise PolicyError(f"`ridge` must be a finite number from 0 on but got {self.ridge}. Use 0.0 to fit alone.")

    @property
    def nodes(self) -> int:
        """The window."""
        return self.window

    def weights(self, steps: Sequence[int], t: int, T: int) -> tuple[float, ...]:
        """Returns the weights of the regression.

        Raises:
            PolicyError: If the Gram matrix is of a run of another length.
        """
        import numpy as np

        if len(self.gram) != T:
            raise PolicyError(
                f"`gram` must have a row for each of the policy's {T} steps but has {len(self.gram)}. Record such a run, "
                f"or read the recording at this walk's times: `recording.gram(sites, times)`."
            )
        kept = list(steps)
        inner = self.gram[np.ix_(kept, kept)]
        energy = inner.trace() / len(kept)
        missed = self.gram[kept, t] - self.gram[kept, kept[0]]  # what holding leaves, seen from each kept feature
        change = np.linalg.lstsq(inner + self.ridge * energy * np.eye(len(kept)), missed, rcond=CUTOFF)[0]
        return (1.0 + float(change[0]), *map(float, change[1:]))


def _checked(gram: "Gram") -> "Gram":
    """Returns a copy that nobody writes into.

    Raises:
        PolicyError: If it is no square, finite and symmetric matrix.
    """
    import numpy as np

    copy = np.array(gram, dtype=np.float64)
    cure = "Take it from a recording: `recording.gram(sites)`."
    if copy.ndim != 2 or copy.shape[0] != copy.shape[1] or not copy.size:
        raise PolicyError(f"`gram` must be a square matrix but got the shape {copy.shape}. {cure}")
    if not np.isfinite(copy).all():
        raise PolicyError(f"`gram` must be finite but got {copy[~np.isfinite(copy)][0]}. Record in a wider dtype.")
    uneven = np.abs(copy - copy.T).max()
    if uneven > 1e-9 * np.abs(copy).max():
        raise PolicyError(f"`gram` must be symmetric but differs from its transpose by {uneven:.3g}. {cure}")
    copy.flags.writeable = False
    return copy
