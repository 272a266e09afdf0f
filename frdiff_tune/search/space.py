"""The search space on a pipeline: one flat set of parameters, each vector of which is a policy.

Every parameter is suggested in every trial, also those that the others make idle: model-based samplers fall back to
random outside the space that all trials share. ``decode`` is total; ``encode`` inverts it where a policy lies in the space.

    num_inference_steps            step count; where the cases walk none of it, or not equally many, the next larger one
    scheduler                      "DDIMScheduler/trailing"
    keyframes.encoding             which of the next two counts
    keyframes.interval             uniform: every so many steps
    keyframes.gap_01 ...           free set: gaps between keyframes
    mixing, mixing.slope, mixing.bias, mixing.knot_0 ...
    forecast.order, forecast.strength, forecast.variable
    forecast.fit_early, ...        how far jump scores go from there to fitted ones, in each part of the run
    forecast.features              what stands in for features that are reused
    group.<name>                   True: the group reuses between keyframes where lam > 0
    every.<name>                   ... and computes there at every so many steps
    fit.between                    scheduler "fitted": reuse steps between two keyframes; see ``fitted_part``
    capture                        how the network is launched; no part of the policy
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache, cached_property, partial
from itertools import product
from typing import Any

from optuna.distributions import BaseDistribution

from frdiff_tune.errors import SpaceError
from frdiff_tune.measure import Walk
from frdiff_tune.policy import Policy
from frdiff_tune.runtime import Capture, Recording, Trajectory, full_policy, keyframe_policy
from frdiff_tune.runtime.holder import own_scheduler
from frdiff_tune.runtime.site import KnownSites
from frdiff_tune.runtime.solver import timesteps_of
from frdiff_tune.search.autofr import Learnt
from frdiff_tune.search.distributions import within
from frdiff_tune.search.encodings import ENCODINGS, Bounds, Encoding
from frdiff_tune.search.fitted_part import FittedPart, encode_fitted
from frdiff_tune.search.fitting import CaseFit
from frdiff_tune.search.forecasts import HOLD, forecast, needs_recording
from frdiff_tune.search.foresight import Foresight
from frdiff_tune.search.grouping import Sites, resolve_groups, without_nesting
from frdiff_tune.search.intervals import chosen, intervals_of, with_intervals
from frdiff_tune.search.mixing_space import MixingSpace
from frdiff_tune.search.parameters import parameters_of, variables_of
from frdiff_tune.search.score_fit import ScoreFits, with_fit
from frdiff_tune.search.solvers import runnable
from frdiff_tune.search.space_file import CAPTURE, FEATURES, FITTED, STRENGTH, Params, SpaceFile, round_fit, round_strength
from frdiff_tune.search.trend import trends


class Space:
    """A space file on a pipeline.

    Arguments:
        file: What may vary.
        pipe: The pipeline; only its configuration is read.
        reference_steps: Step count of the reference; longer runs are cut off the space.
        record: (group -> site names) -> what they keep in full runs of the reference. It is called here, and only if a forecast
            is to be fitted; None: policies with such a forecast cannot be decoded.
        trajectory: Full runs of the reference that jump scores are fitted to, if the space fits any; None: they are not fitted.
        captures: How the network may be launched.
        walk: How many steps the calls walk; None: all of a solver's timesteps.
        fit: What solves for the weights of fitted steps; None: the space has none.

    Raises:
        SpaceError: If the pipeline can run none of the solvers, or walks no steps with any of them.
        MismatchError: If a group means no site.
    """

    def __init__(
        self,
        file: SpaceFile,
        pipe: Any,  # noqa: ANN401
        reference_steps: int,
        record: Callable[[Mapping[str, Sites]], Recording] | None = None,
        captures: Sequence[Capture] = ("eager",),
        walk: Walk | None = None,
        trajectory: Trajectory | None = None,
        gates: Sequence[Learnt] = (),
        fit: CaseFit | None = None,
    ) -> None:
        self.file = file
        self.pipe = pipe
        self.reference_steps = reference_steps
        self.captures = tuple(captures)
        fewest, most = file.steps.num_inference_steps
        fewest, most = min(fewest, reference_steps), min(most, reference_steps)
        self.steps = fewest, most - (most - fewest) % file.steps.grid
        self._walk = walk or Walk(pipe)
        self.schedulers = self._walked(runnable(pipe, file.steps.scheduler, file.steps.spacing))
        self.groups = resolve_groups(pipe, file.groups)
        self.nested = cache(partial(without_nesting, self.groups))
        self.mixing = MixingSpace(file.mixing)
        self.variables = variables_of(file.forecast.variable, pipe)
        self._full: dict[tuple[int, str], Policy] = {}
        self.fitted: FittedPart | None = None
        if fit is not None and FITTED in file.steps.scheduler:
            self.schedulers[FITTED] = own_scheduler(pipe)
            T = len(self.times(self.full(reference_steps, FITTED), FITTED))
            self.fitted = FittedPart(fit, file.fit, T)
        longest = max(self.full(self.steps[1], label).T for label in self.schedulers)
        rules = file.keyframes
        bounds = Bounds(longest=longest, **rules.model_dump(exclude={"encodings", "every"}))
        self.encodings: dict[str, Encoding] = {name: ENCODINGS[name](bounds) for name in file.keyframes.encodings}
        self.trajectory, self.gates = trajectory, tuple(gates)
        self._fits = ScoreFits(trajectory) if trajectory is not None and file.forecast.fit[1] > 0 else None
        self.recording = record(self.groups) if record is not None and needs_recording(file.forecast.features) else None

    @property
    def has_strength(self) -> bool:
        """Whether the strength of a forecast may vary."""
        least, greatest = self.file.forecast.strength
        return least < greatest

    @property
    def intervals(self) -> tuple[int, ...]:
        """What groups choose from: at every how many steps they compute between keyframes."""
        return self.file.keyframes.every

    @property
    def has_fit(self) -> bool:
        """Whether jump scores may be fitted to recorded runs."""
        return self._fits is not None

    @cached_property
    def foresight(self) -> Foresight:
        """What is foreseen of the space's policies."""
        return Foresight(self)

    @property
    def freest_encoding(self) -> str:
        """Which encoding can write the most keyframe sets: the free one, else the one that the space names last."""
        return "keyframes" if "keyframes" in self.encodings else next(reversed(self.encodings))

    def full(self, steps: int, scheduler: str) -> Policy:
        """Returns the policy that computes every step.

        Arguments:
            steps: Step count.
            scheduler: Label of one of ``schedulers``.
        """
        steps = self.reference_steps if scheduler == FITTED else steps
        if (steps, scheduler) not in self._full:
            solver = self.schedulers[scheduler]
            T = self._walk.T(steps, solver)
            further = T < 1 and steps < self.steps[1]
            self._full[steps, scheduler] = (
                self.full(steps + 1, scheduler) if further else full_policy(self.pipe, steps, T=T, scheduler=solver)
            )
        return self._full[steps, scheduler]

    def _walked(self, schedulers: dict[str, Any]) -> dict[str, Any]:
        """Returns the solvers with which all cases walk the same at the greatest step count."""
        found = {label: solver for label, solver in schedulers.items() if self._walk.T(self.steps[1], solver)}
        if not found:
            raise SpaceError(
                f"`steps.num_inference_steps` must leave steps to walk, for every case the same, but up to {self.steps[1]} no "
                f"solver of the space does. Raise it, or give the cases one strength."
            )
        return found

    @cached_property
    def distributions(self) -> dict[str, BaseDistribution]:
        """Every parameter with its values, in the order in which they are suggested."""
        return parameters_of(self)

    def capture(self, params: Params) -> Capture:
        """Returns how the network is launched."""
        found: Capture = params.get(CAPTURE, self.captures[0])
        return found

    def holds(self, params: Params) -> bool:
        """Whether every parameter has a value within its bounds."""
        return all(within(params[name], distribution) for name, distribution in self.distributions.items())

    def keyframes(self, params: Params) -> tuple[list[int], int]:
        """Returns the keyframe set that parameters write, and the denoiser steps of the run that it belongs to."""
        T = self.steps_of(params)
        encoding = self.encodings[params["keyframes.encoding"]]
        return list(encoding.decode({name: params[f"keyframes.{name}"] for name in encoding.parameters}, T)), T

    def with_keyframes(self, params: Params, keyframes: list[int]) -> dict[str, Any]:
        """Returns the parameters with another keyframe set, or the one nearest to it that the space can write.

        Arguments:
            params: A value per name of ``distributions``.
            keyframes: In order, step 0 first, below the run's denoiser steps.
        """
        return {**params, **self.gaps(keyframes, self.steps_of(params)), "keyframes.encoding": self.freest_encoding}

    def steps_of(self, params: Params) -> int:
        """Returns the denoiser steps of the run that parameters write."""
        if self.fitted is not None and params["scheduler"] == FITTED:
            return self.fitted.T
        return self.full(params["num_inference_steps"], params["scheduler"]).T

    def decode(self, params: Params) -> Policy:
        """Returns the policy of any parameters within their bounds.

        Where nothing is reused and no step jumps, it is the full policy of that step count. Groups that lie inside each
        other are resolved: the outer one wins. Every group that is reused and can be forecast is forecast in the same way.

        Arguments:
            params: A value per name of ``distributions``.
        """
        scheduler = params["scheduler"]
        full = self.full(params["num_inference_steps"], scheduler)
        keyframes, groups = self.keyframes(params)[0], self.reusing(params)
        if self.fitted is not None and scheduler == FITTED:
            return full if len(keyframes) == self.fitted.T else self.fitted.decode(params, keyframes, groups)
        policy = keyframe_policy(
            self.pipe,
            full.sampling.num_inference_steps,
            keyframes,
            mixing=self.mixing.decode(params)(full.T),
            groups=groups,
            order=params["forecast.order"],
            variable=params["forecast.variable"],
            strength=round_strength(params.get(STRENGTH, self.file.forecast.strength[0])),
            T=full.T,
            scheduler=self.schedulers[scheduler],
        )
        policy = with_intervals(policy, chosen(params, tuple(policy.masks), self.intervals))
        if not policy.masks and min(policy.mixing) == 1.0:
            return full
        shares = [round_fit(params.get(name, 0.0)) for name in self.file.forecast.fits]
        if self._fits is not None and any(shares) and min(policy.mixing) < 1.0:
            policy = with_fit(policy, self._fits(policy, self.times(policy, scheduler)), shares)
        features = params.get(FEATURES, self.file.forecast.features[0])
        return forecast(policy, features, self.recording, self.schedulers[scheduler])

    def identity(self, params: Params) -> str:
        """Returns what is equal for parameters that write the same policy; nothing is fitted for it."""
        if self.fitted is not None and params["scheduler"] == FITTED:
            return self.fitted.identity(params, self.keyframes(params)[0], self.reusing(params))
        return self.decode(params).digest

    def reusing(self, params: Params) -> KnownSites:
        """Returns the groups that parameters let reuse, without those that lie inside others."""
        return self.nested(tuple(name for name in self.groups if params[f"group.{name}"]))

    def encode(self, policy: Policy) -> dict[str, Any] | None:
        """Returns parameters that decode to a policy of the same digest, or None if it lies outside the space."""
        if policy.sampling.grid is not None:
            return encode_fitted(self, policy)
        steps = policy.sampling.num_inference_steps
        if not self.steps[0] <= steps <= self.steps[1]:
            return None
        scheduler = next((name for name in self.schedulers if self.full(steps, name).sampling == policy.sampling), None)
        if scheduler is None or not set(policy.masks) <= set(self.groups):
            return None
        groups: dict[str, Any] = {f"group.{name}": name in policy.masks for name in self.file.groups}
        keyframes = [t for t, bit in enumerate(policy.keyframes) if bit == "1"]
        intervals = intervals_of(policy, tuple(self.file.groups), self.intervals)
        if intervals is None:
            return None
        groups |= intervals
        fixed = {"num_inference_steps": steps, "scheduler": scheduler, **self.gaps(keyframes, policy.T), **groups}
        fixed[CAPTURE] = self.captures[0]
        lam = {t: value for t, value in enumerate(policy.mixing) if policy.keyframes[t] == "0"}
        variables = [name for name in self.variables if name == policy.variable] or self.variables
        able = [name for name, encoding in self.encodings.items() if self._writes(encoding, keyframes, policy)]
        times = self.times(policy, scheduler)
        fits = self._fits(policy, times) if self._fits is not None else None
        forecasts = list(trends(policy, times, self.file.forecast, fits))
        for mixing in self.mixing.encode(lam, policy.T):
            for trend, variable, features, encoding in product(forecasts, variables, self._features(policy), able):
                shape = {**trend, FEATURES: features, "forecast.variable": variable, "keyframes.encoding": encoding}
                params = {name: (fixed | mixing | shape)[name] for name in self.distributions}
                if self.holds(params) and self.decode(params).digest == policy.digest:
                    return params
        return None

    def times(self, policy: Policy, scheduler: str) -> tuple[float, ...]:
        """Returns the timesteps that a policy walks, length T, by one of ``schedulers``; fitted steps repeat none."""
        times = tuple(timesteps_of(self.schedulers[scheduler], policy.sampling.num_inference_steps)[-policy.T :])
        return tuple(dict.fromkeys(times)) if scheduler == FITTED else times

    def _features(self, policy: Policy) -> list[str]:
        """Returns the forecasts that may have made a policy; where its features are held, holding comes first."""
        able = [name for name in self.file.forecast.features if self.recording or not needs_recording([name])]
        if set(policy.forecast) <= {"score"}:
            return sorted(able, key=lambda name: name != HOLD)
        return [name for name in able if name != HOLD]

    def _writes(self, encoding: Encoding, keyframes: list[int], policy: Policy) -> bool:
        """Whether an encoding can write a policy's keyframes; those of a full policy do not matter."""
        full = not policy.masks and min(policy.mixing) == 1.0
        return full or encoding.decode(encoding.encode(keyframes, policy.T), policy.T) == tuple(keyframes)

    def gaps(self, keyframes: list[int], T: int) -> dict[str, float]:
        """Returns the parameters of every encoding for one keyframe set, as near as each can write it."""
        return {
            f"keyframes.{name}": min(max(value, numbers.low), numbers.high)
            for encoding in self.encodings.values()
            for (name, numbers), value in zip(encoding.parameters.items(), encoding.encode(keyframes, T).values(), strict=True)
        }
