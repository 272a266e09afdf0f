"""Auto-FR: keyframes learnt by gradient through the whole run, as FRDiff's paper has it.

Every step has a gate; one that is open computes, one that is closed takes the last score that was computed:

    z[t] = g[t] network[t] + (1 - g[t]) z[t - 1],    g[t] = round(gate[t]), its derivative that of the gate
    loss = |x_T(g) - x_T|^2 / |x_T|^2 + price * mean(g)

References:
    | FRDiff: Feature Reuse for Universal Training-free Acceleration of Diffusion Models (So et al., 2024), section 4.3
    | https://arxiv.org/abs/2312.03517
    | Estimating or Propagating Gradients Through Stochastic Neurons (Bengio et al., 2013), https://arxiv.org/abs/1308.3432
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from math import sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any

from frdiff_tune.measure import Case, call_arguments, digest_of
from frdiff_tune.measure.references import setting_of, stored
from frdiff_tune.runtime import Moment, Unrolled
from frdiff_tune.runtime.unrolled import Compute, Rule
from frdiff_tune.runtime.variable import Variable

if TYPE_CHECKING:
    from torch import Tensor

RATE = 0.04
"""Adam's step, in gates."""
PASSES = 25
"""Steps of Adam."""
SEEN = 2
"""Cases that a pass draws."""
PRICES = (0.003, 0.03)
"""What a computed share of the run costs, in units of the relative error: the gates of each are a set of their own."""
OPEN = (0.55, 0.95)
"""Where gates begin: all open, near enough to closing. Apart, as a price that counts for more than errors moves all of them by
the same steps: gates that began alike would close in one pass, all of the run and then nothing of it. The multiples of the
golden ratio put gates that close together far from each other in the run, and favour neither its beginning nor its end."""
GOLDEN = (sqrt(5) - 1) / 2


@dataclass(frozen=True, slots=True)
class Learnt:
    """Gates on their way.

    Arguments:
        gates: One per step, in [0, 1]; step 0 is always open.
        error: Mean squared relative error of the result, with the gates before the step to these.
        computed: Steps that were computed.
    """

    gates: tuple[float, ...]
    error: float
    computed: int

    @property
    def keyframes(self) -> tuple[int, ...]:
        """The steps whose gates are open."""
        return (0, *(t for t, gate in enumerate(self.gates) if t and gate >= 0.5))

    def nearest(self, size: int) -> tuple[int, ...]:
        """Returns the ``size`` steps whose gates are most open, step 0 among them."""
        order = sorted(range(1, len(self.gates)), key=lambda t: -self.gates[t])
        return (0, *sorted(order[: size - 1]))


def learn_keyframes(
    pipe: Any,  # noqa: ANN401
    cases: Sequence[Case],
    call: Mapping[str, Any],
    *,
    steps: int,
    T: int,
    price: float,
    variable: Variable = "epsilon",
    rate: float = RATE,
) -> Iterator[Learnt]:
    """Yields gates that cost less and less, without end; the consumer decides when to stop.

    A pass computes every step of the run and goes back through all of them.

    Arguments:
        pipe: The pipeline, without a policy.
        cases: Of one kind, drawn in one call.
        call: Arguments that are the same for all cases.
        steps: ``num_inference_steps`` of the call.
        T: Denoiser steps that it walks.
        price: What a computed share of the run costs, in units of the relative error.
        variable: What scores are kept as.
        rate: Adam's step.

    Raises:
        MismatchError: If the pipeline cannot be unrolled.
    """
    import torch

    run = Unrolled(pipe, T, variable)

    def drawn(rule: Rule) -> "Tensor":
        return run(rule, **call, **call_arguments(cases), num_inference_steps=steps)  # generators are used up by a run

    wanted = drawn(lambda moment, compute: compute().detach()).detach()
    gates = torch.tensor(_ajar(T), requires_grad=True)
    adam = torch.optim.Adam([gates], lr=rate)
    while True:
        adam.zero_grad()
        within = gates.clamp(0, 1)
        through = within + (within.round() - within).detach()
        error = ((drawn(_gated(through)) - wanted) ** 2).mean() / (wanted**2).mean()
        torch.autograd.backward(error + price * through[1:].mean())
        computed = 1 + int(through[1:].detach().sum())
        adam.step()
        yield Learnt((1.0, *gates.detach().clamp(0, 1)[1:].tolist()), float(error.detach()), computed)


def learnt_gates(
    pipe: Any,  # noqa: ANN401
    cases: Sequence[Case],
    call: Mapping[str, Any],
    *,
    steps: int,
    T: int,
    folder: Path,
) -> tuple[Learnt, ...]:
    """Returns the gates that each of ``PRICES`` leads to, from the disk if they were learnt before.

    Arguments:
        pipe: The pipeline, without a policy.
        cases: The first ``SEEN`` of them are drawn.
        call: Arguments that are the same for all cases.
        steps: ``num_inference_steps`` of the call.
        T: Denoiser steps that it walks.
        folder: Where they are kept.

    Raises:
        MeasureError: If the folder cannot be written.
        MismatchError: If the pipeline cannot be unrolled.
    """

    def learn() -> tuple[Learnt, ...]:
        runs = (learn_keyframes(pipe, cases[:SEEN], call, steps=steps, T=T, price=price) for price in PRICES)
        return tuple(next(islice(run, PASSES - 1, None)) for run in runs)

    own = [RATE, PASSES, PRICES, OPEN, [case.digest for case in cases[:SEEN]]]
    return stored(folder, digest_of(["gates", setting_of(pipe, steps, call), own]), learn, "gates")


def _ajar(T: int) -> list[float]:
    """Returns where gates begin, one per step."""
    low, high = OPEN
    return [low + (high - low) * (t * GOLDEN % 1) for t in range(T)]


def _gated(gates: "Tensor") -> Rule:
    """Returns the rule by which a closed gate takes the last score."""
    kept: dict[int, Tensor] = {}

    def rule(moment: Moment, compute: Compute) -> "Tensor":
        own = compute()
        if moment.t:
            gate = gates[moment.t]
            own = gate * own + (1 - gate) * kept[moment.call]
        kept[moment.call] = own
        return own

    return rule
