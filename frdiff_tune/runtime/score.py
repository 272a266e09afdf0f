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
from frdiff_tune.runtime.capture import Graphs
from frdiff_tune.runtime.graphs import room_for_graphs
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
        guard: Called with the timestep, or None, before every call; raises if the pipeline no longer walks the policy's
            scheduler. Returns whether the call belongs to the run.
        enter: Called with the timestep at the first call of a run; raises if the call does not fit the policy.
        prediction: The scheduler's prediction type.
        forward: The denoiser's own forward, compiled or not.
        volatile: Whether a later call may overwrite what this one gives: what is kept of it is copied then.
        graphs: Its CUDA graphs; None where it is launched without.
        skips: Whether the network is not called and zeros stand in for its output, for callers that know where the step leads.
        lock: Held during a network call: what sites do is for one call, other threads' calls wait.
    """

    run: Run
    denoiser: Denoiser
    guard: Callable[[Any], bool]
    enter: Callable[[Any], None]
    prediction: str = "epsilon"
    forward: Forward = _nowhere
    volatile: bool = False
    graphs: Graphs | None = None
    lock: RLock = field(default_factory=RLock)
    skips: bool = False
    _forms: dict[bool, type | None] = field(default_factory=dict)
    _rest: tuple[Any, ...] = ()
    _dtype: Any = None
    _shape: tuple[int, ...] | None = None
    _device: Any = None
    _pair: GuidancePair = field(init=False)

    def __post_init__(self) -> None:
        names = tuple(inspect.signature(type(self.denoiser.module).forward).parameters)[1:]  # of the class: it is never wrapped
        self._pair = GuidancePair(self.run, self.denoiser, self._call, names)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """Returns what the denoiser returns: its output class, or a tuple if ``return_dict=False``."""
        with self.lock:
            return self._answer(args, kwargs)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:  # noqa: ANN401
        """Refuses to be copied: the copy's modules would compute with the original's.

        Raises:
            MismatchError: Always.
        """
        raise MismatchError(
            f"`pipe` must have no policy on while its {type(self.denoiser.module).__name__} is copied. "
            f"`.remove()` the policy first, and apply it to the copy as well; `pipe.save_pretrained` works with it on."
        )

    def _answer(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:  # noqa: ANN401
        run, family = self.run, self.denoiser.family
        timestep = family.timestep(args, kwargs) if family.raw_timestep else None
        if not self.guard(timestep) or run.t is None:
            return self.forward(*args, **kwargs)
        x = family.sample(args, kwargs)
        try:
            if run.t == 0 and not run.calls_before:
                self.enter(timestep)
            if run.t is None:  # the policy does not fit the call, which goes on without it
                return self.forward(*args, **kwargs)
            score = self._score(x, args, kwargs)
        except BaseException:
            run.reset()
            raise
        run.end_pass()
        return self._wrapped(family.sample_of(score, x), kwargs.get("return_dict") is not False)

    def _score(self, x: "Tensor", args: tuple[Any, ...], kwargs: dict[str, Any]) -> "Tensor":
        """Returns the step's score, with the shape of the denoiser's output."""
        run = self.run
        self._check_shape(x)
        step = run.step
        run.batches[run.key], self._device = x.shape[0], x.device
        if self.skips:
            return self._zeros(x)
        if not step.calls and not run.forced:
            return self._jump(x)
        score = self._pair.score(x, args, kwargs)
        if step.keyframe or run.forced:
            run.push_score(self._to_variable(score, x), x)
        elif step.lam < 1.0:
            score = self._mix(score, self._jump(x), step.lam)
        run.forced = False
        return score

    def _zeros(self, x: "Tensor") -> "Tensor":
        """Returns zeros in the form of the network's last output, for as many samples as ``x`` has."""
        assert self._shape is not None, "the network was never called"
        return x.new_zeros((x.shape[0], *self._shape[1:]), dtype=self._dtype)

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
        scores = run.scores[run.key]
        if step.weights == (1.0,):
            z = scores[0]
        else:
            terms = [w * score.float() for w, score in zip(step.weights, scores, strict=False) if w != 0.0]
            z = sum(terms[1:], terms[0])
        return self._from_variable(z, x).to(self._dtype)

    def _to_variable(self, score: "Tensor", x: "Tensor") -> "Tensor":
        """Returns a score in the policy's variable."""
        run, family = self.run, self.denoiser.family
        if run.policy.variable == "output":
            return score
        level = run.levels[run.step.t]
        return to_variable(score * family.sign, x, run.policy.variable, self.prediction, level, family.channels)

    def _from_variable(self, z: "Tensor", x: "Tensor") -> "Tensor":
        """Returns the score that a value of the policy's variable stands for."""
        run, family = self.run, self.denoiser.family
        if run.policy.variable == "output":
            return z
        level = run.levels[run.step.t]
        return from_variable(z, x, run.policy.variable, self.prediction, level, family.channels) * family.sign

    def _mix(self, score: "Tensor", jump: "Tensor", lam: float) -> "Tensor":
        """Returns lam * score + (1 - lam) * jump."""
        return (score * lam + jump * (1.0 - lam)).to(score.dtype)

    def _call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> "Tensor":
        """Runs the network with the sites following the policy."""
        run, denoiser = self.run, self.denoiser
        copies = denoiser.family.writes_in_place(denoiser.module, kwargs)
        bank = None if self.graphs is None else self.graphs.bank(run.key, args, kwargs, run.half)
        call = run.open_call(denoiser.component, copies, self.volatile, self._device, bank)
        if self.graphs is not None:
            output = self.graphs(self.forward, call, run.features, args, kwargs)
        elif self.volatile:
            with room_for_graphs(run.rows):
                output = self.forward(*args, **kwargs)
        else:
            output = self.forward(*args, **kwargs)
        run.close_call(call)
        as_class = kwargs.get("return_dict") is not False
        if isinstance(output, tuple):
            self._forms[as_class], self._rest = None, output[1:]
        else:
            self._forms[as_class], first = type(output), next(iter(output))
            self._rest = tuple((key, value) for key, value in output.items() if key != first)
        score = self.denoiser.family.score(output)
        self._dtype, self._shape = score.dtype, tuple(score.shape)
        return score.clone() if self.volatile else score

    def _wrapped(self, given: Any, as_class: bool) -> Any:  # noqa: ANN401
        """Returns a score in the form of the network's own output, with whatever else the last call returned."""
        rest, self._rest = self._rest, ()
        form = self._forms[as_class] if as_class in self._forms else _usual(as_class)
        return (given, *rest) if form is None else form(given, **dict(rest))


def _usual(as_class: bool) -> type | None:
    """Returns the form of an answer that the network itself has not given in this form yet; None for a tuple."""
    from diffusers.models.modeling_outputs import Transformer2DModelOutput

    return Transformer2DModelOutput if as_class else None
