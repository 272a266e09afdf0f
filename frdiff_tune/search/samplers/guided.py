"""Guided search: the policy whose expected gain is greatest, by what recorded runs and the trials so far foretell."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState
from threadpoolctl import ThreadpoolController

from frdiff_tune.runtime import Capture
from frdiff_tune.search.aim import Aim
from frdiff_tune.search.foresight import (
    LatencyModel,
    Outline,
    QualityModel,
    expected_gain,
    gain_in_loss,
    gain_in_time,
)
from frdiff_tune.search.outcome import POLISHED_FROM, SO_FAR, what
from frdiff_tune.search.samplers._base import Proposal
from frdiff_tune.search.samplers.candidates import Candidates
from frdiff_tune.search.samplers.local import local
from frdiff_tune.search.space_file import CAPTURE, Params

Array = NDArray[np.float64]
What = tuple[Outline, Capture]

LEARNT = 128
"""Trials that the model of distances learns from at most, and that the front is looked for among: those nearest to it."""
NODES = ((-(3**0.5), 1 / 6), (0.0, 2 / 3), (3**0.5, 1 / 6))
"""Where a foreseen latency is tried, in standard deviations, and how much it counts: Gauss and Hermite's rule of three."""
FASTEST = 0.01
"""Nothing is foreseen to take less of the reference's time."""
SHARED = 6
"""Proposals in a row that choose among the same draws."""
BEST, AROUND = 4, 12
"""Neighbours of so many best candidates become candidates, and how many there are."""


def guided(proposal: Proposal) -> BaseSampler:
    """Returns Bayesian optimisation whose models know what a policy does: its errors in recorded runs, and its network calls.

    It knows time against one figure of quality, and either of the two within a limit of the other. Of other objectives nothing
    is foreseen; then it is local search.

    Arguments:
        proposal: What is proposed for; what other running trials try counts as if it were measured as foreseen.
    """
    aim = Aim.of(proposal.objectives, proposal.limits, proposal.batch, proposal.min_lpips)
    return local(proposal) if aim is None else GuidedSampler(proposal, aim)


@dataclass(frozen=True, slots=True)
class _Seen:
    """A trial of which something is measured."""

    what: What
    loss: float
    ratio: float
    within: bool


@dataclass(frozen=True, slots=True)
class _Ended:
    """A trial of which it is known what it is."""

    trial: FrozenTrial
    what: What
    seen: _Seen | None
    whole: bool


class GuidedSampler(BaseSampler):
    """Proposes what is expected to gain most: hypervolume in (log10 LPIPS, latency over the reference's), or one objective.

    Candidates are the whole space where it is small, else keyframe sets of least foreseen error, neighbours of the front,
    uniform draws and the known policies.

    Arguments:
        proposal: What is proposed for.
        aim: What is wanted.
    """

    def __init__(self, proposal: Proposal, aim: Aim) -> None:
        self.space, self.aim, self.elsewhere = proposal.space, aim, proposal.elsewhere
        self.turn = proposal.study_seed, proposal.finished // SHARED
        self.candidates = Candidates(proposal.space, np.random.default_rng(proposal.seed))
        self.kept = proposal.space.foresight.kept
        self.random = RandomSampler(seed=proposal.seed)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Returns the whole space."""
        return self.space.distributions

    def sample_relative(self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]) -> dict[str, Any]:
        """Returns the parameters of the best candidate that is new; nothing where they are given, or there is none."""
        if trial.system_attrs.get("fixed_params"):
            return {}
        trials = study.get_trials(deepcopy=False)
        reference = study.user_attrs["frdiff:reference_latency"]["median_ms"]
        ended = self._ended(trials, reference)
        seen = [each.seen for each in ended if each.seen is not None]
        pending = [self._what(other.params) for other in trials if _is_asked(other, search_space)]
        with _blas().limit(limits=1, user_api="blas"):  # the matrices are small: threads would wait for each other
            return self._best(_Foretold(self, seen, pending, self.aim.slowest(reference)), ended, pending)

    def _best(
        self, foretold: "_Foretold", ended: Sequence["_Ended"], pending: Sequence[What]
    ) -> dict[str, Any]:
        """Returns the parameters of the best candidate that is new."""
        listed, known = self.space.foresight.listed, {each.what for each in ended} | set(pending)
        trials = [each.trial for each in ended]
        if listed is not None:
            every = {(outline, capture): params for outline, params in listed.items() for capture in self.space.captures}
            return self._params(_ranked(foretold, every, known), trials)
        front = set(foretold.front)
        found = self._drawn([each.trial.params for each in ended if each.whole and each.what in front])
        ranked = _ranked(foretold, found, known)
        around = self.candidates.near([found[each] for each in list(ranked)[:BEST]], AROUND)
        return self._params(_ranked(foretold, found | {self._what(params): params for params in around}, known), trials)

    def _drawn(self, parents: Sequence[Params]) -> dict[What, Params]:
        """Returns candidates; while the front stays as it is, ``SHARED`` proposals choose among the same ones."""
        key = self.turn, tuple(tuple(each.items()) for each in parents)
        found: dict[What, Params]
        beginning, found = self.kept.get("drawn", (None, {}))
        if beginning != key:
            drawn = Candidates(self.space, np.random.default_rng(self.turn))(parents)
            found = {self._what(params): params for params in drawn}
            self.kept["drawn"] = key, found
        return found

    def _params(self, ranked: Mapping[What, Params], trials: Sequence[FrozenTrial]) -> dict[str, Any]:
        """Returns all parameters of the first that no trial has tried; nothing where there is none."""
        tried = {what(trial) for trial in trials}
        for (_, capture), params in ranked.items():
            if (self.space.decode(params).digest, capture) not in tried:  # a policy may have more than one outline
                return {name: capture if name == CAPTURE else params[name] for name in self.space.distributions}
        return {}

    def _what(self, params: Params) -> What:
        return self.space.foresight.of(params), self.space.capture(params)

    def _ended(self, trials: Sequence[FrozenTrial], reference: float) -> list["_Ended"]:
        """Returns what the trials tell of which it is known what they are; that of those which are over is kept."""
        kept, found = self.kept.setdefault(self.aim, {}), []
        for trial in trials:
            told = kept.get(trial.number)
            if told is None or told.trial is not trial:
                if "digest" not in trial.user_attrs:
                    continue
                own = self._known(trial)
                told = _Ended(trial, own, self._seen(trial, own, reference), trial.state == TrialState.COMPLETE)
                if trial.state.is_finished():
                    kept[trial.number] = told
            found.append(told)
        return found

    def _known(self, trial: FrozenTrial) -> What:
        outline = self.space.foresight.outline(trial.user_attrs["digest"], trial.params)
        return outline, trial.user_attrs.get("capture", "eager")

    def _seen(self, trial: FrozenTrial, own: What, reference: float) -> _Seen | None:
        kept, whole = trial.user_attrs, trial.state == TrialState.COMPLETE
        if not (whole or trial.state == TrialState.PRUNED) or "duplicate_of" in kept or POLISHED_FROM in kept:
            return None  # what is polished competes with what will be polished
        names = "latency_ms", self.aim.quality
        figures = {name: kept[name][0] for name in names} if whole else kept.get(SO_FAR)
        if figures is None:
            return None
        within = whole and all(excess <= 0 for excess in trial.constraints.values())
        return _Seen(own, self.aim.loss(figures), figures["latency_ms"] / reference, within)

    def losses_elsewhere(self, here: set[Outline]) -> list[tuple[Outline, float]]:
        """Returns what is known from another machine of policies that are not measured here."""
        able = [each for each in self.elsewhere if self.aim.quality in each.figures]
        pairs = [(self.space.foresight.outline(each.digest, each.params), self.aim.loss(each.figures)) for each in able]
        return [pair for pair in pairs if pair[0] not in here]

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:  # noqa: ANN401
        """Returns a uniform draw."""
        return self.random.sample_independent(study, trial, param_name, param_distribution)


class _Foretold:
    """Models of what is measured, and the front.

    The front's times are the model's, which knows all trials: of single timings the front would hold the lucky ones.

    Arguments:
        sampler: Whose space and corner.
        seen: Trials of which something is measured.
        pending: What other running trials try; it counts as if it came out as foreseen.
        slowest: The greatest latency that counts, over the reference's.
    """

    def __init__(
        self, sampler: GuidedSampler, seen: Sequence[_Seen], pending: Sequence[What], slowest: float
    ) -> None:
        self.aim, losses = sampler.aim, [each.loss for each in seen]
        worst = max(losses, default=0.0) if self.aim.worst_loss is None else self.aim.worst_loss
        self.corner = worst, slowest
        self.errors = errors = sampler.space.foresight.errors
        some = _nearest(seen)
        pairs = [(each.what[0], each.loss) for each in some]
        pairs += sampler.losses_elsewhere({outline for outline, _ in pairs})
        self.quality = QualityModel(errors.names, [errors(outline) for outline, _ in pairs], [loss for _, loss in pairs])
        T = sampler.space.full(sampler.space.reference_steps, errors.own).T
        names = tuple(sampler.space.groups), errors.solvers, T
        by_launch = {capture: [each for each in seen if each.what[1] == capture] for capture in sampler.space.captures}
        self.latency = {
            capture: LatencyModel(*names, [each.what[0] for each in own], [each.ratio for each in own])
            for capture, own in by_launch.items()
        }
        within = [each for each in some if each.within]
        times = self._latency([each.what for each in within])[0].tolist()
        self.points = [(each.loss, ratio) for each, ratio in zip(within, times, strict=True)]
        self.front = _front([each.what for each in within], self.points)
        if pending:
            mean, _ = self.quality([errors(outline) for outline, _ in pending])
            self.points += zip(mean.tolist(), self._latency(pending)[0].tolist(), strict=True)

    def gains(self, some: Sequence[What]) -> Array:
        """Returns the expected gain of each."""
        if not some:
            return np.zeros(0)
        mean, deviation = self.quality([self.errors(outline) for outline, _ in some])
        latency, unsure = self._latency(some)
        found = np.zeros(len(some))
        for place, weight in NODES:
            found += weight * self._gains(np.maximum(latency + place * unsure, FASTEST), mean, deviation)
        return found

    def _gains(self, latency: Array, mean: Array, deviation: Array) -> Array:
        if self.aim.fast and self.aim.close:
            return expected_gain(self.points, latency, mean, deviation, self.corner, self.aim.floor)
        if self.aim.fast:
            fastest = min((ratio for _, ratio in self.points), default=None)
            return gain_in_time(latency, mean, deviation, self.corner, fastest)
        closest = min((loss for loss, _ in self.points), default=None)
        return gain_in_loss(latency, mean, deviation, self.corner, closest, self.aim.floor)

    def _latency(self, some: Sequence[What]) -> tuple[Array, Array]:
        """Returns latency over the reference's, and its standard deviation."""
        found, unsure = np.zeros(len(some)), np.zeros(len(some))
        for capture, model in self.latency.items():
            at = [i for i, (_, own) in enumerate(some) if own == capture]
            if at:
                found[at], unsure[at] = model([some[i][0] for i in at])
        return found, unsure


@cache
def _blas() -> ThreadpoolController:
    """Returns what limits threads; to find the libraries takes longer than to limit them."""
    return ThreadpoolController()


def _ranked(foretold: _Foretold, candidates: Mapping[What, Params], known: set[What]) -> dict[What, Params]:
    """Returns the candidates that are new, the greatest expected gain first."""
    new = [each for each in candidates if each not in known]
    return {new[i]: candidates[new[i]] for i in np.argsort(-foretold.gains(new), kind="stable")}


def _nearest(seen: Sequence[_Seen]) -> Sequence[_Seen]:
    """Returns the trials whose loss is least above the best that is no slower, at most ``LEARNT``."""
    if len(seen) <= LEARNT:
        return seen
    above, best = [], float("inf")
    for each in sorted(seen, key=lambda each: (each.ratio, each.loss)):
        best = min(best, each.loss)
        above.append((each.loss - best, each))
    return [each for _, each in sorted(above, key=lambda pair: pair[0])[:LEARNT]]


def _front(some: Sequence[What], points: Sequence[tuple[float, float]]) -> list[What]:
    """Returns what lies on the front, given loss and latency of each."""
    found: list[What] = []
    best = float("inf")
    for each, (loss, _) in sorted(zip(some, points, strict=True), key=lambda pair: pair[1][::-1]):
        if loss < best:
            best = loss
            found.append(each)
    return found


def _is_asked(trial: FrozenTrial, space: dict[str, BaseDistribution]) -> bool:
    """Whether a trial runs and all its parameters are drawn."""
    return trial.state == TrialState.RUNNING and trial.params.keys() == space.keys()
