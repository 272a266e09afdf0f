"""The guidance pair: on a reuse step the unconditional score is the conditional one plus what was stored.

    unconditional[t] = conditional[t] + (unconditional - conditional)[last step at which both ran]

The two run in one batch, of which then only the conditional half is computed, or in separate passes, of which then the
unconditional one is left out.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from frdiff_tune.runtime.keeping import PLAIN, REUSE
from frdiff_tune.runtime.run import Run
from frdiff_tune.runtime.site import Denoiser
from frdiff_tune.runtime.tree import half_of, map_tensors

if TYPE_CHECKING:
    from torch import Tensor

    Call = Callable[[tuple[Any, ...], dict[str, Any]], Tensor]


@dataclass(frozen=True, slots=True)
class GuidancePair:
    """Runs a network on as little of a guidance pair as the policy asks for.

    Arguments:
        run: The state that it follows.
        denoiser: The network, and how it is called.
        call: (arguments, named arguments) -> score, with shape (batch, channels, ...).
        names: Names of the network's arguments, in their order.
    """

    run: Run
    denoiser: Denoiser
    call: "Call"
    names: tuple[str, ...]

    def score(self, x: "Tensor", args: tuple[Any, ...], kwargs: dict[str, Any]) -> "Tensor":
        """Returns the score of a call on sample ``x``, both with shape (batch, channels, ...)."""
        action = self.run.action_of_guidance()
        if action == PLAIN:
            return self.call(args, kwargs)
        run, family = self.run, self.denoiser.family
        if run.t == 0 and family.pairs_itself({**dict(zip(self.names, args, strict=False)), **kwargs}, x.shape[0]):
            run.pairs_itself = run.paired[run.key] = True
        other = conditional_of(run.key)
        conditional = None if run.paired.get(other) or run.paired.get(run.key) else run.passes.get(other)
        if conditional is not None and conditional.shape[0] == x.shape[0]:
            return self._unconditional(action, conditional, args, kwargs)
        return self._batch(action, x, args, kwargs)

    def _unconditional(self, action: int, conditional: "Tensor", args: tuple[Any, ...], kwargs: dict[str, Any]) -> "Tensor":
        """Returns the score of the unconditional pass; ``conditional`` is that of the pass before it."""
        run, key = self.run, ("pass", self.run.key)
        if action == REUSE and key in run.deltas:
            return conditional + run.deltas[key]
        score = self.call(args, kwargs)
        run.deltas[key] = score - conditional
        run.whole_pair = True
        return score

    def _batch(self, action: int, x: "Tensor", args: tuple[Any, ...], kwargs: dict[str, Any]) -> "Tensor":
        """Returns the scores of a whole batch: a pair, or the conditional pass, or a call without guidance."""
        run, key = self.run, ("batch", self.run.key)
        if action == REUSE and run.paired.get(run.key) and key in run.deltas:
            return self._half(run.deltas[key], x, args, kwargs)
        score = self.call(args, kwargs)
        run.passes[run.key] = score
        if x.shape[0] % 2 == 0 and run.paired.get(run.key, True):
            first, second = score.chunk(2)
            run.deltas[key] = second - first if self.denoiser.family.conditional_first else first - second
        return score

    def _half(self, delta: "Tensor", x: "Tensor", args: tuple[Any, ...], kwargs: dict[str, Any]) -> "Tensor":
        """Returns a pair's scores from the conditional half and the stored difference."""
        import torch

        first = self.denoiser.family.conditional_first
        self.run.half = first
        conditional = self.call(*half_call(self.denoiser, x, self.names, args, kwargs, first))
        unconditional = conditional + delta
        return torch.cat([conditional, unconditional] if first else [unconditional, conditional])


def conditional_of(key: str) -> str:
    """Returns the conditional pass that belongs to an unconditional one, empty if it is none.

    Where a pipeline names its passes, their names tell; where it does not, the conditional one comes first, as in every
    pipeline of diffusers that has separate passes.
    """
    if "uncond" in key:
        return key.replace("uncond", "cond")
    return "0" if key == "1" else ""


def half_call(
    denoiser: Denoiser, x: "Tensor", names: Sequence[str], args: tuple[Any, ...], kwargs: dict[str, Any], first: bool
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Returns the arguments of a call on half of a batch.

    Arguments:
        denoiser: The network that is called.
        x: The whole batch's sample, with shape (batch, channels, ...).
        names: Names of the network's arguments, in their order.
        args: Arguments of the whole batch.
        kwargs: Its named arguments.
        first: Whether to take the first half.
    """
    rows, listed = denoiser.family.rows(x), denoiser.family.listed

    def cut(name: str, value: Any) -> Any:  # noqa: ANN401
        return value[half_of(len(value), first)] if name in listed and isinstance(value, list) else _cut(value, rows, first)

    return tuple(cut(name, value) for name, value in zip(names, args, strict=False)), {
        name: cut(name, value) for name, value in kwargs.items()
    }


def _cut(tree: Any, rows: tuple[int, ...], first: bool) -> Any:  # noqa: ANN401
    """Returns nested arguments with the tensors that have entries per sample cut to a half of the batch."""

    def half(tensor: "Tensor") -> "Tensor":
        return tensor[half_of(tensor.shape[0], first)] if tensor.ndim and tensor.shape[0] in rows else tensor

    return map_tensors(half, tree)
