"""The denoiser with a policy on: keyframes store scores, other steps mix or jump.

    score[t] = lam[t] * f(x[t], reused features) + (1 - lam[t]) * sum_k w[t][k] * score[k-th last keyframe]

References:
    | FRDiff: Feature Reuse for Universal Training-free Acceleration of Diffusion Models (So et al., 2024), section 4
    | https://arxiv.org/abs/2312.03517
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import RLock
from typing import TYPE_CHECKING, Any

from frdiff_tune.errors import MismatchError
from frdiff_tune.runtime.guidance import GuidancePair
from frdiff_tune.runtime.run import Run
from frdiff_tune.runtime.site import Denoiser
from frdiff_tune.runtime.variable import from_variable, to_variable

if TYPE_CHECKING:
    from torch import Tensor

Forward = Callable[..., Any]


def _nowhere(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
    raise AssertionError("the patch stands nowhere yet")


@dataclass(slots=True)
class ScorePatch:
    """Stands in for the denoiser's forward.

    Arguments:
        run: The state that it follows.
        denoiser: The network, and how it is called.
        guard: Called before every call; raises if the pipeline no longer walks the policy's scheduler. Returns whether the
            call belongs to the run.
        enter: Called with the timestep at the first call of a run; raises if the call does not fit the policy.
        prediction: The scheduler's prediction type.
        forward: The denoiser's own forward, compiled or not.
        lock: Held during a network call: what sites do is for one call, other threads' calls wait.
    """

    run: Run
    denoiser: Denoiser
    guard: Callable[[], bool]
    enter: Callable[[Any], None]
    prediction: str = "epsilon"
    forward: Forward = _nowhere
    lock: RLock = field(default_factory=RLock)
    _output_class: type | None = None
    _dtype: Any = None
    _pair: GuidancePair = field(init=False)

    def __post_init__(self) -> None:
        names = tuple(inspect.signature(type(self.denoiser.module).forward).parameters)[1:]  # of the class: it is never wrapped
        self._pair = GuidancePair(self.run, self.denoiser, self._call, names)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """Returns what the denoiser returns: its output class, or a tuple if ``return_dict=False``."""
        with self.lock:
            return self._answer(args, kwargs)

    def _answer(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:  # noqa: ANN401
        run, family = self.run, self.denoiser.family
        if not self.guard() or run.t is None:
            return self.forward(*args, **kwargs)
        x = family.sample(args, kwargs)
        try:
            if run.t == 0 and not run.calls_before:
                self.enter(family.timestep(args, kwargs) if family.raw_timestep else None)
            if run.t is None:  # the policy does not fit the call, which goes on without it
                return self.forward(*args, **kwargs)
            score = self._score(x, args, kwargs)
        except BaseException:
            run.reset()
            raise
        run.end_pass()
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
        score = self._pair.score(x, args, kwargs)
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

    def _call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> "Tensor":
        """Runs the network with the sites following the policy."""
        run, component = self.run, self.denoiser.component
        run.open_call(component)
        output = self.forward(*args, **kwargs)
        run.close_call(component)
        if not isinstance(output, tuple):
            self._output_class = type(output)
        score = self.denoiser.family.score(output)
        self._dtype = score.dtype
        return score
