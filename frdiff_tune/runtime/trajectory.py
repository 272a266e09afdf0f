"""Trajectories: what the network was given and what it answered at every step of full runs, as Gram matrices.

Whatever a score is stored as (the network's output, noise, or the clean sample) is a weighted sum of output and input,

    z[t] = s[t] * o[t] + r[t] * x[t]

so the inner products of all o[t] and x[t] hold those of z in every variable, and one recording serves all. With a guidance
pair, o[t] is the guided output u[t] + scale * (c[t] - u[t]), which is what the solver sees.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from frdiff_tune.errors import MismatchError
from frdiff_tune.policy import Policy
from frdiff_tune.runtime.applied import Applied
from frdiff_tune.runtime.builders import full_policy
from frdiff_tune.runtime.features import Features
from frdiff_tune.runtime.guidance import conditional_of
from frdiff_tune.runtime.holder import own_scheduler
from frdiff_tune.runtime.recorder import places
from frdiff_tune.runtime.recording import check_whole, weights_between
from frdiff_tune.runtime.run import Run
from frdiff_tune.runtime.site import find_denoiser
from frdiff_tune.runtime.solver import timesteps_of
from frdiff_tune.runtime.storage import AS_IT_IS
from frdiff_tune.runtime.variable import Level, Variable, coefficients, noise_levels

if TYPE_CHECKING:
    from torch import Tensor

    from frdiff_tune.runtime.families import Family

Grams = NDArray[np.float64]

ENTRIES = 4096
"""Entries that are taken of a sample and of its score at most: inner products then have a relative error of 1.6 %."""


@dataclass(frozen=True, slots=True, eq=False)
class Trajectory:
    """Full runs of some cases.

    Arguments:
        times: The scheduler's timesteps that were walked, length T.
        levels: Noise level of each, length T; empty where the scheduler's are not known.
        prediction: The scheduler's prediction type.
        grams: Means over entries of products: output of all steps, then input of all steps; with shape (cases, 2 T, 2 T).
    """

    times: tuple[float, ...]
    levels: tuple[Level, ...]
    prediction: str
    grams: Grams

    def gram(self, variable: Variable, times: Sequence[float] | None = None) -> Grams:
        """Returns mean over entries of z[s] * z[t], with shape (cases, T, T).

        For another walk it is read between the recorded steps, as ``Recording.gram`` is.

        Arguments:
            variable: What z is: the network's output, noise or clean sample.
            times: Timesteps of the walk that it is for, length T'; None: those that were recorded.

        Raises:
            MismatchError: If the scheduler's noise levels are not known and it is not the output.
        """
        T = len(self.times)
        if variable != "output" and not self.levels:
            raise MismatchError(f"`variable` must be 'output' where noise levels are not known but got {variable!r}.")
        pairs = [coefficients(variable, self.prediction, level) for level in self.levels] or [(1.0, 0.0)] * T
        s, r = (np.diag(each) for each in zip(*pairs, strict=True))
        mix = np.concatenate([s, r], axis=1)
        if times is not None and tuple(times) != self.times:
            mix = weights_between(self.times, times) @ mix
        found: Grams = mix @ self.grams @ mix.T
        return found


@dataclass(slots=True)
class Tracks:
    """What is being recorded.

    Arguments:
        entries: Entries to take of a sample, at most.
        seed: Decides which.

    Attributes:
        grams: One matrix per whole run, with shape (2 T, 2 T).
        levels: Noise level of each step.
    """

    entries: int
    seed: int
    grams: list[Grams] = field(default_factory=list)
    levels: tuple[Level, ...] = ()
    _outputs: dict[int, "Tensor"] = field(default_factory=dict)
    _inputs: dict[int, "Tensor"] = field(default_factory=dict)
    _chosen: "Tensor | None" = None

    def take(self, t: int, output: "Tensor", x: "Tensor") -> None:
        """Takes entries of a step's output and input, both with shape (1, channels, ...)."""
        self._outputs[t], self._inputs[t] = self._some(output), self._some(x)

    def settle(self, T: int) -> None:
        """Ends a run of T steps: adds it if it was whole."""
        import torch

        if len(self._outputs) == T:
            rows = torch.stack([each[t] for each in (self._outputs, self._inputs) for t in range(T)]).double()
            gram = (rows @ rows.T / rows.shape[1]).numpy()
            self.grams.append((gram + gram.T) / 2)
        self._outputs.clear()
        self._inputs.clear()

    def _some(self, tensor: "Tensor") -> "Tensor":
        flat = tensor.detach().reshape(-1)
        if len(flat) > self.entries:
            if self._chosen is None:
                self._chosen = places([len(flat)], self.entries, self.seed)[0].to(flat.device)
            flat = flat[self._chosen]
        return flat.float().cpu()


class TrajectoryRun(Run):
    """A run of one picture that is recorded.

    Arguments:
        policy: The full policy.
        tracks: Where it is recorded.
        family: Of the denoiser.
        guidance: Scale of the guidance pair.
    """

    def __init__(self, policy: Policy, tracks: Tracks, family: "Family", guidance: float) -> None:
        self.tracks, self._family, self._guidance = tracks, family, guidance
        super().__init__(policy, Features(AS_IT_IS))

    def reset(self) -> None:
        """Ends any run; one that was whole is added."""
        super().reset()
        self.tracks.settle(self.policy.T)

    def read_levels(self, scheduler: Any, times: Sequence[float], start: int) -> None:  # noqa: ANN401
        """Reads the noise levels of the steps that are walked, if they are known."""
        try:
            self.tracks.levels = noise_levels(scheduler, times)[start : start + self.policy.T]
        except MismatchError:
            self.tracks.levels = ()

    def push_score(self, score: "Tensor", x: "Tensor") -> None:
        """Takes the step's guided output; of separate passes the second one completes it.

        Arguments:
            score: With shape (batch, channels, ...).
            x: The network's input, with shape (batch, channels, ...).
        """
        channels = self._family.channels
        count = min(score.shape[channels], x.shape[channels])
        output, x = (each.narrow(channels, 0, count).float() for each in (score * self._family.sign, x))
        conditional = self.passes.get(conditional_of(self.key))
        self.passes[self.key] = output
        if conditional is not None and conditional.shape == output.shape:
            output = self._guided(output, conditional)
        elif output.shape[0] % 2 == 0:
            first, second = output.chunk(2)
            output = self._guided(*((second, first) if self._family.conditional_first else (first, second)))
        self.tracks.take(self.step.t, output[:1], x[:1])

    def _guided(self, unconditional: "Tensor", conditional: "Tensor") -> "Tensor":
        return unconditional + self._guidance * (conditional - unconditional)


@contextmanager
def record_trajectory(
    pipe: Any,  # noqa: ANN401
    steps: int,
    *,
    T: int | None = None,
    guidance: float = 1.0,
    entries: int = ENTRIES,
    seed: int = 0,
) -> "Iterator[TrajectoryRecords]":
    """Records all whole runs of a pipeline that has no policy on; each call must draw one picture.

    The runs give bit for bit what they give without it; afterwards, also after an error, the pipeline is as it was.

    Arguments:
        pipe: A diffusers pipeline.
        steps: ``num_inference_steps`` of the calls.
        T: Steps that a call walks, where it is fewer than the scheduler's timesteps; None: all.
        guidance: The scale with which the calls guide, where they do.
        entries: Entries that are taken of a sample, at most.
        seed: Decides which.

    Raises:
        MismatchError: If a policy is on already, or a call is for another step count.
    """
    policy, scheduler = full_policy(pipe, steps, T=T), own_scheduler(pipe)
    times = timesteps_of(scheduler, steps)
    tracks = Tracks(entries, seed)
    run = TrajectoryRun(policy, tracks, find_denoiser(pipe).family, guidance)
    with Applied(pipe, policy, run=run):
        prediction = scheduler.config.get("prediction_type", "flow_prediction")
        yield TrajectoryRecords(tuple(times[len(times) - policy.T :]), prediction, tracks)


@dataclass(frozen=True, slots=True)
class TrajectoryRecords:
    """What is being recorded.

    Arguments:
        times: The scheduler's timesteps of a run, length T.
        prediction: The scheduler's prediction type.
        tracks: Where it is collected.
    """

    times: tuple[float, ...]
    prediction: str
    tracks: Tracks

    @property
    def trajectory(self) -> Trajectory:
        """What was recorded so far.

        Raises:
            MismatchError: If no run was whole.
        """
        check_whole(bool(self.tracks.grams), "trajectory", len(self.times), "record_trajectory")
        return Trajectory(self.times, self.tracks.levels, self.prediction, np.stack(self.tracks.grams))
