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

from frdiff_tune.runtime.families import GUIDANCE, Family
from frdiff_tune.runtime.run import Action, Run, map_tensors
from frdiff_tune.runtime.variable import from_variable, to_variable

if TYPE_CHECKING:
    from torch import Tensor

Forward = Callable[..., Any]


@dataclass(slots=True)
class ScorePatch:
    """Stands in for the denoiser's forward.

    Arguments:
        run: The state that it follows.
        family: How the denoiser is called.
        forward: The denoiser's own forward.
        guard: Called before every call; raises if the pipeline no longer walks the policy's scheduler.
        enter: Called with the timestep at the first call of a run; raises if the call does not fit the policy.
        prediction: The scheduler's prediction type.
    """

    run: Run
    family: Family
    forward: Forward
    guard: Callable[[], None]
    enter: Callable[[Any], None]
    prediction: str = "epsilon"
    _output_class: type | None = None
    _dtype: Any = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """Returns what the denoiser returns: its output class, or a tuple if ``return_dict=False``."""
        run = self.run
        self.guard()
        if run.t is None:
            return self.forward(*args, **kwargs)
        try:
            if run.t == 0 and run.pass_index == 0:
                self.enter(self.family.timestep(args, kwargs))
            score = self._score(args, kwargs)
        except BaseException:
            run.reset()
            raise
        run.pass_index += 1
        if kwargs.get("return_dict") is False or self._output_class is None:
            return (score,)
        return self._output_class(sample=score)

    def _score(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> "Tensor":
        """Returns the step's score, with the shape of the denoiser's output."""
        run, x = self.run, self.family.sample(args, kwargs)
        self._check_shape(x)
        step = run.step
        run.batch = x.shape[0]
        if not step.calls and not run.forced:
            return self._jump(x)
        score = self._compute(x, args, kwargs)
        if step.keyframe or run.forced:
            run.push_score(to_variable(score, x, run.policy.variable, self.prediction, run.levels[step.t]))
        elif step.lam < 1.0:
            score = self._mix(score, self._jump(x), step.lam)
        run.forced = False
        return score

    def _check_shape(self, x: "Tensor") -> None:
        """Makes the call run in full where what it would reuse has another shape, or is not there."""
        run, step = self.run, self.run.step
        signature = (tuple(x.shape), x.dtype, x.device)
        known = run.signatures.get(run.pass_index) == signature
        if not known:
            run.forget_pass()
            run.signatures[run.pass_index] = signature
        if (step.t > 0 and not known) or not run.can_jump():
            run.force()

    def _jump(self, x: "Tensor") -> "Tensor":
        """Returns the jump score for input ``x``, as a network output."""
        run, step = self.run, self.run.step
        scores = [score for _, score in run.scores[run.pass_index]]
        if step.weights == (1.0,):
            z = scores[0]
        else:
            terms = [w * score.float() for w, score in zip(step.weights, scores, strict=False) if w != 0.0]
            z = sum(terms[1:], terms[0])
        return from_variable(z, x, run.policy.variable, self.prediction, run.levels[step.t]).to(self._dtype)

    def _mix(self, score: "Tensor", jump: "Tensor", lam: float) -> "Tensor":
        """Returns lam * score + (1 - lam) * jump."""
        return (score * lam + jump * (1.0 - lam)).to(score.dtype)

    def _compute(self, x: "Tensor", args: tuple[Any, ...], kwargs: dict[str, Any]) -> "Tensor":
        """Runs the network, on the conditional half alone where the guidance pair is reused."""
        run = self.run
        action = run.action_of_guidance()
        if action is None:
            return self._call(args, kwargs)
        if run.t == 0 and self.family.pairs_itself(self._named(args, kwargs), x.shape[0]):
            run.paired = True
        if action is Action.REUSE and run.paired and run.pass_index in run.deltas:
            return self._call_half(args, kwargs, x.shape[0])
        if action is Action.REUSE:
            run.note_forced()
        score = self._call(args, kwargs)
        run.note_computed(GUIDANCE)
        if x.shape[0] % 2 == 0 and run.paired is not False:
            conditional, unconditional = self._halves(score)
            run.deltas[run.pass_index] = unconditional - conditional
        return score

    def _call_half(self, args: tuple[Any, ...], kwargs: dict[str, Any], batch: int) -> "Tensor":
        """Returns the pair's scores from the conditional half and the stored difference."""
        import torch

        half = slice(0, batch // 2) if self.family.conditional_first else slice(batch // 2, batch)

        def cut(tensor: "Tensor") -> "Tensor":
            return tensor[half] if tensor.ndim and tensor.shape[0] == batch else tensor

        self.run.half = half
        conditional = self._call(map_tensors(cut, args), map_tensors(cut, kwargs))
        unconditional = conditional + self.run.deltas[self.run.pass_index]
        pair = [conditional, unconditional] if self.family.conditional_first else [unconditional, conditional]
        return torch.cat(pair)

    def _halves(self, score: "Tensor") -> tuple["Tensor", "Tensor"]:
        """Returns (conditional, unconditional) of a pair's scores."""
        first, second = score.chunk(2)
        return (first, second) if self.family.conditional_first else (second, first)

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
        score: Tensor = output[0]
        self._dtype = score.dtype
        return score

    def _named(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """Returns all arguments of a call by name."""
        return dict(inspect.signature(self.forward).bind_partial(*args, **kwargs).arguments)
