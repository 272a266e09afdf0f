"""Guided search: the policy whose expected gain is greatest, by what recorded runs and the trials so far foretell."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState
from threadpoolctl import ThreadpoolController

from frdiff_tune.search.aim import Aim
from frdiff_tune.search.foresight import Outline
from frdiff_tune.search.outcome import POLISHED_FROM, SO_FAR, what
from frdiff_tune.search.samplers._base import Proposal
from frdiff_tune.search.samplers.acquisition import Acquisition, Observation, What, ranked
from frdiff_tune.search.samplers.candidates import Candidates
from frdiff_tune.search.samplers.fitted_proposals import FittedProposals
from frdiff_tune.search.samplers.local import local
from frdiff_tune.search.space_file import CAPTURE, Params

SHARED = 6
"""Proposals in a row that choose among the same draws."""
FLOOR_TURN = 2
"""Every second proposal looks for what an export takes unless told otherwise: the fastest that is surely within the floor."""
BEST, AROUND = 4, 12
"""Neighbours of so many best candidates become candidates, and how many there are."""


def guided(proposal: Proposal) -> BaseSampler:
    """Returns Bayesian optimisation whose models know what a policy does: its errors in recorded runs, and its network calls.

    It knows time against one figure of quality, and either of the two within a limit of the other. Of other objectives nothing
    is foreseen; then it is local search. In a study of time and LPIPS with a floor the aims alternate: hypervolume, and the
    fastest policy that is surely within the floor.

    Arguments:
        proposal: What is proposed for; what other running trials try counts as if it were measured as foreseen.
    """
    aim = Aim.of(proposal.objectives, proposal.limits, proposal.batch, proposal.min_lpips)
    if aim is None:
        return local(proposal)
    within_floor = aim.within_floor() if proposal.finished % FLOOR_TURN else None
    return GuidedSampler(proposal, within_floor or aim)


@dataclass(frozen=True, slots=True)
class _Ended:
    """A trial of which it is known what it is."""

    trial: FrozenTrial
    what: What
    seen: Observation | None
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
            slowest = self.aim.slowest(reference)
            acquisition = Acquisition(self.space, self.aim, seen, self.losses_elsewhere(), pending, slowest)
            return self._best(acquisition, ended, pending)

    def _best(
        self, acquisition: Acquisition, ended: Sequence["_Ended"], pending: Sequence[What]
    ) -> dict[str, Any]:
        """Returns the parameters of the best candidate that is new."""
        listed, known = self.space.foresight.listed, {each.what for each in ended} | set(pending)
        trials = [each.trial for each in ended]
        if listed is not None:
            every = {(outline, capture): params for outline, params in listed.items() for capture in self.space.captures}
            return self._params(ranked(acquisition, every, known), known, trials)
        front = set(acquisition.front)
        found = self._drawn([each.trial.params for each in ended if each.whole and each.what in front])
        best = list(ranked(acquisition, found, known))[:BEST]
        around = self.candidates.near([found[each] for each in best], AROUND)
        found = found | {self._what(params): params for params in around}
        return self._params(ranked(acquisition, found, known), known, trials)

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

    def _params(self, candidates: Mapping[What, Params], known: set[What], trials: Sequence[FrozenTrial]) -> dict[str, Any]:
        """Returns all parameters of the first that no trial has tried; nothing where there is none."""
        tried = {what(trial) for trial in trials}

        def measured(params: Params) -> bool:  # a policy may have more than one outline
            own = self._what(params)
            return own in known or (self.space.decode(params).digest, own[1]) in tried

        nearest = FittedProposals(self.space, measured)
        ordered = ({**params, CAPTURE: capture} for (_, capture), params in candidates.items())
        for params in chain(filter(None, map(nearest, ordered)), nearest.rest):
            if not measured(params):
                return {name: params[name] for name in self.space.distributions}
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

    def _seen(self, trial: FrozenTrial, own: What, reference: float) -> Observation | None:
        kept, whole = trial.user_attrs, trial.state == TrialState.COMPLETE
        if not (whole or trial.state == TrialState.PRUNED) or "duplicate_of" in kept or POLISHED_FROM in kept:
            return None  # what is polished competes with what will be polished
        ends = {"latency_ms": 0, self.aim.quality: 2 if self.aim.surely else 0}  # value, lower and upper end
        figures = {name: kept[name][end] for name, end in ends.items()} if whole else kept.get(SO_FAR)
        if figures is None:
            return None
        within = whole and all(excess <= 0 for excess in trial.constraints.values())
        return Observation(own, self.aim.loss(figures), figures["latency_ms"] / reference, within)

    def losses_elsewhere(self) -> dict[Outline, float]:
        """Returns what is known from another machine."""
        able = [each for each in self.elsewhere if self.aim.quality in each.figures]
        return {self.space.foresight.outline(each.digest, each.params): self.aim.loss(each.figures) for each in able}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:  # noqa: ANN401
        """Returns a uniform draw."""
        return self.random.sample_independent(study, trial, param_name, param_distribution)


@cache
def _blas() -> ThreadpoolController:
    """Returns what limits threads; to find the libraries takes longer than to limit them."""
    return ThreadpoolController()


def _is_asked(trial: FrozenTrial, space: dict[str, BaseDistribution]) -> bool:
    """Whether a trial runs and all its parameters are drawn."""
    return trial.state == TrialState.RUNNING and trial.params.keys() == space.keys()
