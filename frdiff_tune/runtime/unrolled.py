"""Unrolled runs: a pipeline's own sampling loop with gradients, every score of which goes through a function.

The loop is the pipeline's: its guidance, its solver, its conditions. It ends after the last solver step, so nothing is decoded.
Activations of the network are computed again on the way back (checkpointing): a step keeps its input and its output only.

References:
    | Training Deep Nets with Sublinear Memory Cost (Chen et al., 2016), https://arxiv.org/abs/1604.06174
"""

import functools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from frdiff_tune.errors import MismatchError
from frdiff_tune.runtime.patch import Patch
from frdiff_tune.runtime.site import find_denoisers
from frdiff_tune.runtime.solver import build_scheduler
from frdiff_tune.runtime.variable import Level, Variable, from_variable, noise_levels, to_variable

if TYPE_CHECKING:
    from torch import Tensor

    from frdiff_tune.policy import SchedulerInfo
    from frdiff_tune.runtime.site import Denoiser

Compute = Callable[[], "Tensor"]
Rule = Callable[["Moment", Compute], "Tensor"]
"""(where the run is, what computes the score in the moment's variable) -> the score in that variable, of the same shape."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One network call of an unrolled run.

    Arguments:
        t: The step, from 0 on.
        call: Which call of the step; 1 for the second one of separate guidance passes.
    """

    t: int
    call: int


class _Ended(BaseException):
    """The last solver step is done."""


class Unrolled:
    """A pipeline whose runs carry gradients; the network's own weights get none.

    Arguments:
        pipe: A diffusers pipeline without a policy.
        T: Denoiser steps of a call.
        variable: What scores are while the rule sees them.
        scheduler: The solver that runs walk; None: the pipeline's.

    Raises:
        MismatchError: If the pipeline's call cannot be run with gradients.
    """

    def __init__(
        self,
        pipe: Any,  # noqa: ANN401
        T: int,
        variable: Variable = "epsilon",
        scheduler: "SchedulerInfo | None" = None,
    ) -> None:
        self.pipe, self.T, self.variable, self.scheduler = pipe, T, variable, scheduler
        self._call: Callable[..., Any] = getattr(type(pipe).__call__, "__wrapped__", pipe.__call__)
        if not hasattr(type(pipe).__call__, "__wrapped__"):
            raise MismatchError(
                f"`pipe` must be a pipeline whose call diffusers decorates with torch.no_grad() but {type(pipe).__name__}'s "
                f"cannot be unwrapped. Search without gradients."
            )
        self._prediction = pipe.scheduler.config.get("prediction_type", "flow_prediction")

    def __call__(self, rule: Rule, **arguments: Any) -> "Tensor":  # noqa: ANN401
        """Returns what the last solver step gives, with shape (batch, channels, ...).

        Arguments:
            rule: Makes every score.
            arguments: Of the pipeline's call, ``num_inference_steps`` among them.
        """
        import torch

        with ExitStack() as stack:
            run = _Run(self, rule)
            if self.scheduler is not None:
                stack.callback(self.pipe.register_modules, scheduler=self.pipe.scheduler)
                self.pipe.register_modules(scheduler=build_scheduler(self.scheduler))
            for denoiser in find_denoisers(self.pipe):
                patch = Patch(denoiser.module, "forward", functools.partial(run.forward, denoiser))
                stack.callback(patch.remove)
            stack.callback(Patch(self.pipe.scheduler, "step", run.step).remove)
            stack.enter_context(torch.enable_grad())
            try:
                self._call(self.pipe, **arguments)
            except _Ended:
                assert run.last is not None
                return run.last
        raise _too_many(self.T)


class _Run:
    """One unrolled run under way."""

    def __init__(self, owner: Unrolled, rule: Rule) -> None:
        self.owner, self.rule = owner, rule
        self.t, self.call = 0, 0
        self.last: Tensor | None = None
        self._levels: tuple[Level, ...] = ()

    def forward(self, denoiser: "Denoiser", wrapped: Callable[..., Any]) -> Callable[..., Any]:
        """Returns what stands in for the network."""
        family = denoiser.family

        def answer(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            import torch
            from torch.utils.checkpoint import checkpoint

            self._check_walk()
            x = family.sample(args, kwargs)
            plain = kwargs | {"return_dict": False}

            def output() -> "Tensor":
                named = {key: value for key, value in plain.items() if value is not x}
                place = next((i for i, value in enumerate(args) if value is x), None)

                def network(sample: "Tensor") -> "Tensor":
                    with _frozen(denoiser.module):  # on the way back as well
                        if place is None:
                            return family.score(wrapped(*args, **named, **{family.sample_argument: sample}))
                        return family.score(wrapped(*args[:place], sample, *args[place + 1 :], **named))

                found: Tensor = checkpoint(network, x, use_reentrant=False)
                return found

            score = self._from(self.rule(Moment(self.t, self.call), lambda: self._to(output(), x, denoiser)), x, denoiser)
            self.call += 1
            assert isinstance(score, torch.Tensor)
            return (family.sample_of(score, x),) if kwargs.get("return_dict") is False else _Answer(family.sample_of(score, x))

        return answer

    def step(self, wrapped: Callable[..., Any]) -> Callable[..., Any]:
        """Returns what stands in for the solver's step."""

        @functools.wraps(wrapped)  # pipelines read the signature to see what a scheduler takes
        def stepped(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            result = wrapped(*args, **kwargs)
            self.t, self.call = self.t + 1, 0
            if self.t == self.owner.T:
                self.last = result[0] if isinstance(result, tuple) else result.prev_sample
                raise _Ended
            return result

        return stepped

    def _check_walk(self) -> None:
        if self.t == 0 and len(self.owner.pipe.scheduler.timesteps) < self.owner.T:
            raise _too_many(self.owner.T)

    def _to(self, output: "Tensor", x: "Tensor", denoiser: "Denoiser") -> "Tensor":
        family, owner = denoiser.family, self.owner
        if owner.variable == "output":
            return output
        return to_variable(output * family.sign, x, owner.variable, owner._prediction, self._level(), family.channels)

    def _from(self, score: "Tensor", x: "Tensor", denoiser: "Denoiser") -> "Tensor":
        family, owner = denoiser.family, self.owner
        if owner.variable == "output":
            return score
        output = from_variable(score, x, owner.variable, owner._prediction, self._level(), family.channels) * family.sign
        return output.to(x.dtype)

    def _level(self) -> Level:
        if not self._levels:
            times = [float(time) for time in self.owner.pipe.scheduler.timesteps]
            self._levels = noise_levels(self.owner.pipe.scheduler, times)[-self.owner.T :]
        return self._levels[self.t]


def _too_many(T: int) -> MismatchError:
    return MismatchError(f"`T` must be the steps that the call walks but it ends before step {T}. Give those that it walks.")


class _Answer(tuple[Any, ...]):
    """What a network returns: a tuple whose first entry is also ``sample``."""

    def __new__(cls, sample: Any) -> "_Answer":  # noqa: ANN401
        return super().__new__(cls, (sample,))

    @property
    def sample(self) -> Any:  # noqa: ANN401
        """The score."""
        return self[0]


@contextmanager
def _frozen(module: Any) -> Iterator[None]:  # noqa: ANN401
    """Keeps a network's weights from getting gradients."""
    wanted = [weight for weight in module.parameters() if weight.requires_grad]
    for weight in wanted:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in wanted:
            weight.requires_grad_(True)
