"""The weights of one step, solved for on the policy's own states.

    min over (dc, db) of  sum_n rho(|X[n] - (c0 + dc) x[n] - sum_k (b0[k] + db[k]) z[n, k]|^2) + ridge * |(dc, db)|^2

with X the reference's next state, (c0, b0) the first-order solver's weights, and rho a weight min(1, median residual /
residual) per case, so that one that has become another composition decides nothing.
"""

from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING

from frdiff_tune.errors import SpaceError

if TYPE_CHECKING:
    from torch import Tensor

MOST_MEMORY = 8
"""Predictions that a step weighs at most."""
ROUNDS = 6
"""Rounds of reweighting: the weights move by less than 1 % in a seventh."""


@dataclass(frozen=True, slots=True)
class FitOptions:
    """How weights are fitted.

    Arguments:
        memory: Predictions that a step weighs at most, K, from 1 to 8.
        ridge: Pull towards the first-order solver, as a share of the predictions' energy; from 0 on.
        free_state: Whether the weight c of the state is fitted, too.

    Raises:
        SpaceError: If a number is out of its range.
    """

    memory: int = 3
    ridge: float = 1e-3
    free_state: bool = True

    def __post_init__(self) -> None:
        if isinstance(self.memory, bool) or not isinstance(self.memory, int) or not 1 <= self.memory <= MOST_MEMORY:
            raise SpaceError(f"`memory` must lie in [1, {MOST_MEMORY}] but got {self.memory!r}. Use 3: more is no better.")
        if not isfinite(self.ridge) or self.ridge < 0:
            raise SpaceError(f"`ridge` must be a finite number from 0 on but got {self.ridge!r}. Use 1e-3.")

    @property
    def unknowns(self) -> int:
        """Weights of a step, at most."""
        return self.memory + self.free_state


@dataclass(frozen=True, slots=True)
class StepWeights:
    """The fitted weights of one step.

    Arguments:
        c: Weight of the state.
        b: Weights of the predictions, newest first.
        residual: Median over cases of the relative distance from the reference's next state.
    """

    c: float
    b: tuple[float, ...]
    residual: float


def solve_step(
    state: "Tensor",
    predictions: "list[Tensor]",
    target: "Tensor",
    first: tuple[float, float],
    scales: tuple[float, float],
    options: FitOptions,
) -> StepWeights:
    """Returns the weights of a step.

    Arguments:
        state: x, with shape (cases, entries).
        predictions: z, newest first; K tensors of the same shape.
        target: The reference's next state, with the same shape.
        first: (c0, b0) of the first-order solver, b0 of the newest prediction.
        scales: What state and target are divided by, so that both have about the energy of noise plus sample.
        options: How to fit.
    """
    import torch

    c0, b0 = first
    known = torch.stack([*predictions, *([state / scales[0]] if options.free_state else [])]).double()
    goal = target.double() / scales[1]
    missing = goal - (c0 * state.double() + b0 * predictions[0].double()) / scales[1]
    inner = torch.einsum("knd,lnd->nkl", known, known)
    cross = torch.einsum("knd,nd->nk", known, missing)
    eye = torch.eye(len(known), dtype=torch.float64, device=known.device)
    weight = torch.ones(len(state), dtype=torch.float64, device=known.device)
    for _ in range(ROUNDS):
        share = weight / weight.sum()
        gram = torch.einsum("n,nkl->kl", share, inner)
        pull = options.ridge * gram.diag().mean() * eye
        change = torch.linalg.lstsq(gram + pull, torch.einsum("n,nk->k", share, cross).unsqueeze(1)).solution.squeeze(1)
        residual = (missing - torch.einsum("k,knd->nd", change, known)).norm(dim=1)
        weight = ((residual.median() + 1e-12) / residual.clamp(min=1e-12)).clamp(max=1.0)
    relative = (residual / goal.norm(dim=1).clamp(min=1e-12)).median()
    db = (change[: len(predictions)] * scales[1]).tolist()
    dc = float(change[-1]) * scales[1] / scales[0] if options.free_state else 0.0
    return StepWeights(c0 + dc, (b0 + db[0], *db[1:]), float(relative))
