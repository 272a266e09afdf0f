"""Many cases in lockstep through first-order jumps between steps of the reference's run, without a pipeline's loop.

With x the sample, x0 the network's prediction of the clean one at grid point k, and n a later grid point,

    x[n] = sigma[n] / sigma[k] * x[k] + (alpha[n] - alpha[k] * sigma[n] / sigma[k]) * x0

is DDIM's step over any gap, and what a policy does that holds the score in ``epsilon`` from keyframe k to keyframe n. Sets of
keyframes that begin alike share what they begin with: each beginning is walked once.

References:
    | Denoising Diffusion Implicit Models (Song et al., 2021), equation 12, https://arxiv.org/abs/2010.02502
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.methods._base import Keyframes
from frdiff_tune.measure import Case, blocks, call_arguments
from frdiff_tune.measure.picture import quiet
from frdiff_tune.measure.trajectories import guidance_of
from frdiff_tune.runtime.patch import Patch
from frdiff_tune.runtime.site import Denoiser, find_denoiser
from frdiff_tune.runtime.solver import timesteps_of
from frdiff_tune.runtime.variable import Level, noise_levels, to_variable

if TYPE_CHECKING:
    from torch import Tensor

SIZE = 8
"""Cases that share a call of the network."""


class _Caught(BaseException):
    """The network was called."""


@dataclass(frozen=True, slots=True)
class Call:
    """The arguments with which a pipeline calls its network for some cases.

    Arguments:
        denoiser: The network.
        args: By place.
        kwargs: By name.
        count: Cases; a guidance pair has twice as many samples.
        guidance: Scale of the pair.
    """

    denoiser: Denoiser
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    count: int
    guidance: float

    @property
    def start(self) -> "Tensor":
        """The noise that the run begins with, with shape (count, channels, ...)."""
        return self.denoiser.family.sample(self.args, self.kwargs)[: self.count].clone()

    def output(self, x: "Tensor", time: float) -> "Tensor":
        """Returns the guided output of the network.

        Arguments:
            x: Samples, with shape (count, channels, ...).
            time: The scheduler's timestep.
        """
        import torch

        family = self.denoiser.family
        pair = len(family.sample(self.args, self.kwargs)) == 2 * self.count
        given = self._with(torch.cat([x, x]) if pair else x, time)
        with torch.no_grad():
            score = family.score(self.denoiser.module(*given[0], **given[1])) * family.sign
        score = score.narrow(family.channels, 0, x.shape[family.channels])
        if not pair:
            return score
        first, second = score.chunk(2)
        conditional, other = (first, second) if family.conditional_first else (second, first)
        return other + self.guidance * (conditional - other)

    def _with(self, x: "Tensor", time: float) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Returns the arguments with other samples and another timestep."""
        import torch

        family, named = self.denoiser.family, dict(self.kwargs)
        at = torch.full_like(torch.as_tensor(family.timestep(self.args, self.kwargs)), time)
        places = list(self.args)
        for place, name, value in ((0, family.sample_argument, x), (1, "timestep", at)):
            if len(places) > place:
                places[place] = value
            else:
                named[name] = value
        return tuple(places), named


def catch(pipe: Any, cases: Sequence[Case], call: Mapping[str, Any], steps: int) -> Call:  # noqa: ANN401
    """Returns how a pipeline calls its network for cases of one kind.

    Arguments:
        pipe: A diffusers pipeline without a policy.
        cases: The cases.
        call: Arguments that are the same for all cases.
        steps: Step count.
    """
    denoiser, found = find_denoiser(pipe), list[tuple[tuple[Any, ...], dict[str, Any]]]()

    def caught(*args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        found.append((args, kwargs))
        raise _Caught

    patch = Patch(denoiser.module, "forward", lambda _: caught)
    try:
        with quiet(pipe):
            pipe(**{**call, **call_arguments(cases)}, num_inference_steps=steps)
    except _Caught:
        pass
    finally:
        patch.remove()
    return Call(denoiser, *found[0], len(cases), guidance_of(pipe, call))


class Lockstep:
    """Cases that walk chosen steps of the reference's run side by side.

    Arguments:
        pipe: A diffusers pipeline whose own solver is DDIM.
        cases: The N cases.
        call: Arguments that are the same for all cases.
        steps: The reference's step count, T.
    """

    def __init__(self, pipe: Any, cases: Sequence[Case], call: Mapping[str, Any], steps: int) -> None:  # noqa: ANN401
        import torch

        own = pipe.scheduler
        assert type(own).__name__ == "DDIMScheduler", "a jump is DDIM's step"
        self.times = timesteps_of(own, steps)
        self.T = len(self.times)
        end = float(own.final_alpha_cumprod)
        self.levels = (*noise_levels(own, self.times), Level(end**0.5, (1 - end) ** 0.5))
        self.prediction: str = own.config.prediction_type
        self.calls = [catch(pipe, block, call, steps) for block in blocks(cases, SIZE)]
        self.start: Tensor = torch.cat([each.start for each in self.calls])
        self._states: dict[Keyframes, Tensor] = {(0,): self.start}
        self._clean: dict[Keyframes, Tensor] = {}

    def clean(self, x: "Tensor", k: int) -> "Tensor":
        """Returns the network's prediction of the clean samples at step k, with shape (N, channels, ...)."""
        import torch

        parts = torch.split(x, [each.count for each in self.calls])
        outputs = [each.output(part, self.times[k]) for each, part in zip(self.calls, parts, strict=True)]
        return to_variable(torch.cat(outputs), x, "sample", self.prediction, self.levels[k])

    def jump(self, x: "Tensor", clean: "Tensor", k: int, n: int) -> "Tensor":
        """Returns the samples at grid point n, T being the end, with shape (N, channels, ...)."""
        here, there = self.levels[k], self.levels[n]
        share = there.sigma / here.sigma
        return share * x + (there.alpha - here.alpha * share) * clean

    def reference(self) -> "Tensor":
        """Returns the states of the whole run, with shape (T + 1, N, channels, ...)."""
        import torch

        states = [self.start]
        for k in range(self.T):
            states.append(self.jump(states[-1], self.clean(states[-1], k), k, k + 1))
        return torch.stack(states)

    def final(self, keyframes: Keyframes) -> "Tensor":
        """Returns what a run ends with that calls the network at keyframes alone, with shape (N, channels, ...)."""
        for i in range(1, len(keyframes) + 1):
            self._walk(keyframes[:i])
        return self.jump(self._states[keyframes], self._clean[keyframes], keyframes[-1], self.T)

    def _walk(self, beginning: Keyframes) -> None:
        """Walks to the last keyframe of a beginning, whose own beginning was walked, and calls the network there."""
        if beginning in self._clean:
            return
        before, k = beginning[:-1], beginning[-1]
        if before:
            self._states[beginning] = self.jump(self._states[before], self._clean[before], before[-1], k)
        self._clean[beginning] = self.clean(self._states[beginning], k)


def log_error(found: "Tensor", wanted: "Tensor") -> float:
    """Returns the mean over cases of the logarithm of |found - wanted| / |wanted|: one that flips does not decide alone.

    Arguments:
        found: With shape (N, channels, ...).
        wanted: With shape (N, channels, ...).
    """
    error, size = ((each.flatten(1).norm(dim=1)) for each in (found - wanted, wanted))
    return float((error / size).clamp(min=1e-6).log().mean())
