"""Dynamic programming over the states that jumps themselves reach.

    z[0][0] = X[0],    z[i][n] = jump of z[i - 1][k] to n,    k = argmin over k < n of E |z[i][n] - X[n]|^2

with X the reference's states, E the mean over cases. What is kept at a place is the state that is nearest to the reference's
there, with all that the network answers on the way; the set of size i is read back from z[i][T]. Every state that is kept calls
the network once: i T calls for all sets up to size i.

References:
    | Optimal Stepsize for Diffusion Sampling (Pei et al., 2025), https://arxiv.org/abs/2503.21774
"""

from typing import TYPE_CHECKING, Protocol

from benchmarks.methods._base import Keyframes

if TYPE_CHECKING:
    from torch import Tensor


class Jumps(Protocol):
    """What jumps between grid points 0 to T; ``Lockstep`` does."""

    T: int

    def clean(self, x: "Tensor", k: int) -> "Tensor":
        """Returns the network's prediction at grid point k."""

    def jump(self, x: "Tensor", clean: "Tensor", k: int, n: int) -> "Tensor":
        """Returns the samples at grid point n."""

    def reference(self) -> "Tensor":
        """Returns the states of the whole run, with shape (T + 1, N, ...)."""


def optimal_sets(run: Jumps, most: int) -> dict[int, Keyframes]:
    """Returns a set of every size from 1 to ``most``: size -> keyframes, step 0 first.

    Arguments:
        run: What jumps.
        most: The largest size, at most T.
    """
    wanted = run.reference()
    states: dict[int, Tensor] = {0: wanted[0]}
    paths: dict[int, Keyframes] = {0: ()}
    found: dict[int, Keyframes] = {}
    for size in range(1, most + 1):
        states, paths = _extended(run, wanted, states, paths)
        found[size] = paths[run.T]
        del states[run.T], paths[run.T]  # nothing follows the end
    return found


def _extended(
    run: Jumps, wanted: "Tensor", states: "dict[int, Tensor]", paths: dict[int, Keyframes]
) -> "tuple[dict[int, Tensor], dict[int, Keyframes]]":
    """Returns the nearest states that one jump more reaches, and the keyframes before each."""
    nearest: dict[int, tuple[float, Tensor, Keyframes]] = {}
    for k, x in states.items():
        clean = run.clean(x, k)
        for n in range(k + 1, run.T + 1):
            there = run.jump(x, clean, k, n)
            error = float(((there - wanted[n]) ** 2).mean())
            if n not in nearest or error < nearest[n][0]:
                nearest[n] = error, there, (*paths[k], k)
    return {n: each[1] for n, each in nearest.items()}, {n: each[2] for n, each in nearest.items()}
