"""The denoiser with a policy on: keyframes store scores, other steps mix or jump.

    score[t] = lam[t] * f(x[t], reused features) + (1 - lam[t]) * sum_k w[t][k] * score[k-th last keyframe]

References:
    | FRDiff: Feature Reuse for Universal Training-free Acceleration of Diffusion Models (So et al., 2024), section 4
    | https://arxiv.org/abs/2312.03517
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from frdiff_tune.errors import MismatchError
from frdiff_tune.runtime.families import GUIDANCE
from frdiff_tune.runtime.run import Action, Run, half_of
from frdiff_tune.runtime.site import Denoiser
from frdiff_tune.runtime.variable import from_variable, to_variable

if TYPE_CHECKING:
    from torch import Tensor

Forward = Callable[..., Any]


@dataclass(slots=True)
class ScorePatch:
    """Stands in for the denoiser's forward.

    Arguments:
        run: The state that it follows.
        denoiser: The network, and how it is called.
        forward: The denoiser's own forward.
        guard: Called before every call; raises if the pipeline no longer walks the policy's scheduler. Returns whether the
            call belongs to the run.
        enter: Called with the timestep at the first call of a run; raises if the call does not fit the policy.
        prediction: The scheduler's prediction type.
    """

    run: Run
    denoiser: Denoiser
    forward: Forward
    guard: Callable[[], bool]
    enter: Callable[[Any], None]
    prediction: str = "epsilon"
    _output_class: type | None = None
    _dtype: Any = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """Returns what the denoiser returns: its output class, or a tuple if ``return_dict=False``."""
        run, family = self.run, self.denoiser.family
        if not self.guard() or run.t is None:
            return self.forward(*args, **kwargs)
        x = family.sample(args, kwargs)
        try:
            if run.t == 0 and run.pass_index == 0:
                self.enter(family.timestep(args, kwargs) if family.raw_timestep else None)
            if run.t is None:  # the policy does not fit the call, which goes on without it
                return self.forward(*args, **kwargs)
            score = self._score(x, args, kwargs)
        except BaseException:
            run.reset()
            raise
        run.pass_index += 1
        given = family.sample_of(score, x)
        if kwargs.get("return_dict") is False or self._output_class is None:
            return (given,)
        return self._output_class(sample=given)

    def _score(self, x: "Tensor", args: tuple[Any, ...], kwargs: dict[str, Any]) -> "Tensor":
        """Returns the step's score, with the shape of the denoiser's output."""
        run = self.run
        self._check_shape(x)
        step = run.step
        run.batch = x.shape[0]
        if not step.calls and not run.forced:
            return self._jump(x)
        score = self._compute(x, args, kwargs)
        if step.keyframe or run.forced:
            run.push_score(self._to_variable(score, x))
        elif step.lam < 1.0:
            score = self._mix(score, self._jump(x), step.lam)
        run.forced = False
        return score

    def _check_shape(self, x: "Tensor") -> None:
        """Makes the call run in full where what it would reuse has another shape, is of another denoiser, or is not there."""
        run = self.run
        known = run.seen((self.denoiser.component, tuple(x.shape), x.dtype, x.device))
        if not known:
            run.forget_pass()
        if (run.step.t > 0 and not known) or not run.can_jump():
            run.force()
            if run.idle_controlnet:
                raise MismatchError(
                    f"`pipe` must call its denoiser as it calls its ControlNet, but at step {run.step.t}, a jump, the denoiser "
                    f"was called in another shape. Take the policy off for such calls."
                )
        run.idle_controlnet = False

    def _jump(self, x: "Tensor") -> "Tensor":
        """Returns the jump score for input ``x``, as a network output."""
        run, step = self.run, self.run.step
        scores = [score for _, score in run.scores[run.key]]
        if step.weights == (1.0,):
            z = scores[0]
        else:
            terms = [w * score.float() for w, score in zip(step.weights, scores, strict=False) if w != 0.0]
            z = sum(terms[1:], terms[0])
        return self._from_variable(z, x).to(self._dtype)

    def _to_variable(self, score: "Tensor", x: "Tensor") -> "Tensor":
        """Returns a score in the policy's variable."""
        run, sign = self.run, self.denoiser.family.sign
        if run.policy.variable == "output":
            return score
        return to_variable(score * sign, x, run.policy.variable, self.prediction, run.levels[run.step.t])

    def _from_variable(self, z: "Tensor", x: "Tensor") -> "Tensor":
        """Returns the score that a value of the policy's variable stands for."""
        run, sign = self.run, self.denoiser.family.sign
        if run.policy.variable == "output":
            return z
        return from_variable(z, x, run.policy.variable, self.prediction, run.levels[run.step.t]) * sign

    def _mix(self, score: "Tensor", jump: "Tensor", lam: float) -> "Tensor":
        """Returns lam * score + (1 - lam) * jump."""
        return (score * lam + jump * (1.0 - lam)).to(score.dtype)

    def _compute(self, x: "Tensor", args: tuple[Any, ...], kwargs: dict[str, Any]) -> "Tensor":
        """Runs the network, on the conditional half alone where the guidance pair is reused."""
        run = self.run
        action = run.action_of_guidance()
        if action is None:
            return self._call(args, kwargs)
        if run.t == 0 and self.denoiser.family.pairs_itself(self._named(args, kwargs), x.shape[0]):
            run.paired = True
        if action is Action.REUSE and run.paired and run.key in run.deltas:
            return self._call_half(args, kwargs, x)
        if action is Action.REUSE:
            run.note_forced()
        score = self._call(args, kwargs)
        run.note_computed(GUIDANCE)
        if x.shape[0] % 2 == 0 and run.paired is not False:
            conditional, unconditional = self._halves(score)
            run.deltas[run.key] = unconditional - conditional
        return score

    def _call_half(self, args: tuple[Any, ...], kwargs: dict[str, Any], x: "Tensor") -> "Tensor":
        """Returns the pair's scores from the conditional half and the stored difference."""
        import torch

        first = self.denoiser.family.conditional_first
        rows = self.denoiser.family.rows(x)
        self.run.half = first
        conditional = self._call(_cut(args, rows, first), _cut(kwargs, rows, first))
        unconditional = conditional + self.run.deltas[self.run.key]
        return torch.cat([conditional, unconditional] if first else [unconditional, conditional])

    def _halves(self, score: "Tensor") -> tuple["Tensor", "Tensor"]:
        """Returns (conditional, unconditional) of a pair's scores."""
        first, second = score.chunk(2)
        return (first, second) if self.denoiser.family.conditional_first else (second, first)

    def _call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> "Tensor":
        """Runs the network with the sites following the policy."""
        run = self.run
        run.calling = True
        try:
            output = self.forward(*args, **kwargs)
        finally:
            run.calling, run.half = False, None
        run.note_call()
        if not isinstance(output, tuple):
            self._output_class = type(output)
        score = self.denoiser.family.score(output)
        self._dtype = score.dtype
        return score

    def _named(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """Returns all arguments of a call by name."""
        return dict(inspect.signature(self.forward).bind_partial(*args, **kwargs).arguments)


def _cut(tree: Any, rows: tuple[int, ...], first: bool) -> Any:  # noqa: ANN401
    """Returns arguments with whatever has entries per sample cut to a half of the batch: tensors, and lists of them."""
    if isinstance(tree, dict):
        return {key: _cut(part, rows, first) for key, part in tree.items()}
    if isinstance(tree, list) and len(tree) in rows:
        return tree[half_of(len(tree), first)]
    if isinstance(tree, (tuple, list)):
        return type(tree)(_cut(part, rows, first) for part in tree)
    return tree[half_of(tree.shape[0], first)] if getattr(tree, "ndim", 0) and tree.shape[0] in rows else tree
