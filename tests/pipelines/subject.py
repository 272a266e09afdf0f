"""A pipeline of the table, made, with what it gives without a policy."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from frdiff_tune import full_policy, keyframe_policy
from frdiff_tune.policy import Policy
from frdiff_tune.runtime import default_groups, find_denoisers
from tests.pipelines.row import Row


@dataclass(frozen=True)
class Subject:
    """A pipeline of the table.

    Arguments:
        name: Its row's name.
        row: Its row.
        pipe: The pipeline.
        bare: What its usual call gives without a policy.
    """

    name: str
    row: Row
    pipe: Any
    bare: Tensor

    def full(self) -> Policy:
        """Returns the policy that computes everything."""
        return full_policy(self.pipe, self.row.steps, T=self.row.walked)

    def policy(self, keyframes: list[int], mixing: Any = 1.0, **options: Any) -> Policy:
        """Returns a policy for the row's steps."""
        return keyframe_policy(self.pipe, self.row.steps, keyframes, mixing, T=self.row.walked, **options)

    def render(self, call: Callable[..., Any] | None = None, *args: int, **more: Any) -> Tensor:
        """Returns what a call gives."""
        return self.row.render(call or self.pipe, *args, **more)

    @property
    def groups(self) -> list[str]:
        """Groups that the row can reuse."""
        return [name for name in default_groups(self.pipe) if name != "guidance" or self.row.guidance != "none"]


@dataclass(frozen=True)
class Call:
    """One call of a network.

    Arguments:
        component: Which network.
        t: Step.
        args: Its arguments.
        kwargs: Its named arguments.
        score: What it gave, with shape (batch, channels, ...).
        flops: Floating-point operations of it, as torch counts them; 0 where they were not counted.
    """

    component: str
    t: int | None
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    score: Tensor
    flops: int


@contextmanager
def recorded(pipe: Any, step: Callable[[], int | None] = lambda: None, flops: bool = False) -> Iterator[list[Call]]:
    """Records what is asked of a pipeline's networks, and what they answer.

    Entered before a policy is put on, it sees what the policy lets through; entered after, what the pipeline asks for.
    """
    calls: list[Call] = []
    undo = []
    for denoiser in find_denoisers(pipe):
        module, before, forward = denoiser.module, vars(denoiser.module).get("forward"), denoiser.module.forward

        def recording(*args: Any, d: Any = denoiser, forward: Any = forward, **kwargs: Any) -> Any:
            with FlopCounterMode(display=False) if flops else nullcontext() as counter:  # it takes as long as four calls
                output = forward(*args, **kwargs)
            score = d.family.score(output).clone()
            calls.append(Call(d.component, step(), args, kwargs, score, counter.get_total_flops() if counter else 0))
            return output

        object.__setattr__(module, "forward", recording)
        undo.append((module, before))
    try:
        yield calls
    finally:
        for module, before in undo:
            if before is None:
                object.__delattr__(module, "forward")
            else:
                object.__setattr__(module, "forward", before)
