"""One run of a study: ask Optuna, decode, measure, tell."""

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, Trial, TrialState

from frdiff_tune.errors import StudyError
from frdiff_tune.measure import Failure, Interval, Measurement, Result, summarise
from frdiff_tune.policy import Latency, Policy
from frdiff_tune.runtime import Capture
from frdiff_tune.search import storage
from frdiff_tune.search.agenda import Agenda, takes_place
from frdiff_tune.search.elsewhere import known_elsewhere, remember, remembered, same_pictures
from frdiff_tune.search.first_rung import RUNG, beaten_at_first_rung, rung_of
from frdiff_tune.search.floor import searched_min_lpips
from frdiff_tune.search.ledger import Ledger, Place
from frdiff_tune.search.measures import Measures
from frdiff_tune.search.outcome import (
    KNOWN,
    POLICY,
    POLISHED,
    POLISHED_FROM,
    TrialFailure,
    TrialOutcome,
    TrialStopped,
    attributes,
    distinct,
    failure_attributes,
    infeasible,
    stopped,
    stopped_attributes,
    what,
)
from frdiff_tune.search.pareto import front
from frdiff_tune.search.racing import Member, Race
from frdiff_tune.search.rivals import members, races
from frdiff_tune.search.samplers import EXHAUSTED, SAMPLERS, Proposal
from frdiff_tune.search.space import Space
from frdiff_tune.search.starting import StartingPoint
from frdiff_tune.search.study import Study
from frdiff_tune.search.transfer import carried

Ended = TrialOutcome | TrialFailure | TrialStopped
REPEATS = 3
"""Repeats in a row that end a study: its sampler has nothing new to propose."""
SLACK = 0.03
"""A latency of a first few calls may be too high by so much, whatever its interval says."""


class Run:
    """One run of a study: its parts, and what the study fixed when it began.

    Arguments:
        study: The question.
        space: Its space on the pipeline.
        optuna_study: Where trials are kept.
        ledger: Where measurements are kept.
        places: How the network is launched -> where measurements of that belong there.
        evaluator: What measures; prepared before the first trial.
        worker: Name of this run among those that share the study.
    """

    def __init__(
        self,
        *,
        study: Study,
        space: Space,
        optuna_study: optuna.Study,
        ledger: Ledger,
        places: Mapping[Capture, Place],
        evaluator: Measures,
        worker: str,
    ) -> None:
        self.study, self.space, self.optuna_study = study, space, optuna_study
        self.ledger, self.places, self.evaluator, self.worker = ledger, places, evaluator, worker
        self.optuna_study.set_user_attr("frdiff:parameters", list(space.distributions))

    def trials(self, count: int, end: float) -> Iterator[Ended]:
        """Yields trials until ``count`` are finished in the study, time is up, or nothing new is left to propose.

        Arguments:
            count: Finished trials of the whole study.
            end: When to stop, by the monotonic clock; a trial that has begun is finished.
        """
        self._fix(count)
        storage.restore(self.optuna_study, self.worker)
        agenda = Agenda.of(self.study, self.space, self.optuna_study.user_attrs["frdiff:trials"])
        repeats = 0
        kept = self.optuna_study
        while len(self._finished()) < count and time.monotonic() < end and repeats < REPEATS * count:
            if EXHAUSTED in kept.user_attrs and not kept.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
                return
            try:
                outcome = self._trial(agenda)
            except UpdateFinishedTrialError:  # another run took it for one of a run that is gone, and queued it again
                continue
            repeats = repeats + 1 if outcome.duplicate_of is not None else 0
            yield outcome

    def begin_from(self, other: Study) -> None:
        """Puts another study's front before everything else, and keeps its figures of quality where they are those of this one.

        Raises:
            StudyError: If the other study has no trials.
        """
        self.enqueue(carried(self.space, front(other), other.name))
        theirs = storage.find_study(other, storage.open_storage(other.file.search.storage, create=False))
        one, two = (each.user_attrs[storage.DEFINITION] for each in (theirs, self.optuna_study))
        if same_pictures(one, two):
            remember(self.optuna_study, known_elsewhere(theirs, self.space))

    def enqueue(self, points: Iterable[StartingPoint]) -> None:
        """Puts points before everything else, those that were put there before left out."""
        for point in points:
            attributes = {"family": point.family, storage.WORKER: self.worker}
            self.optuna_study.enqueue_trial(dict(point.params), attributes, skip_if_exists=True)

    def enqueue_policy(self, policy: Policy, of: TrialOutcome) -> None:
        """Puts a policy that no parameters decode to before everything else.

        Arguments:
            policy: What is to be measured.
            of: The trial that it was made from, whose parameters it takes.
        """
        self.ledger.keep(policy)
        attributes = {"family": POLISHED, POLICY: policy.digest, POLISHED_FROM: of.number, storage.WORKER: self.worker}
        self.optuna_study.enqueue_trial(dict(of.params), attributes)

    def waiting(self) -> Iterator[Ended]:
        """Yields the trials that wait."""
        self._fix(self.study.file.search.trials)
        storage.restore(self.optuna_study, self.worker)
        while self.optuna_study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
            yield self._trial(Agenda(self.space, ()))

    def _policy(self, trial: Trial) -> Policy:
        """Returns what a trial measures: what its parameters decode to, unless it was given a policy."""
        given = self.ledger.policy(trial.user_attrs[POLICY]) if POLICY in trial.user_attrs else None
        return self.space.decode(trial.params) if given is None else given

    def _fix(self, count: int) -> None:
        """Keeps what must not change when the study goes on: anchor, reference, and how many starting points it has."""
        kept = self.optuna_study.user_attrs
        for key, value in (
            ("frdiff:trials", count),
            ("frdiff:anchor_ms", self.evaluator.anchor_ms),
            ("frdiff:reference_latency", self.evaluator.reference_latency.model_dump(mode="json")),
        ):
            if key not in kept:
                self.optuna_study.set_user_attr(key, value)

    def _finished(self) -> list[FrozenTrial]:
        """Returns the finished trials without repeats, those that failed for good or were stopped among them."""
        ended = self.optuna_study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL))
        counted = [trial for trial in ended if POLISHED_FROM not in trial.user_attrs]
        return distinct([each for each in counted if each.state == TrialState.COMPLETE or stopped(each) or infeasible(each)])

    def _trial(self, agenda: Agenda) -> Ended:
        """Asks for one trial, measures it and tells; marks it and queues it again if it is broken off."""
        trial = self._ask(agenda)
        try:
            self._measure(trial, self._policy(trial), self.space.capture(trial.params))
        except UpdateFinishedTrialError:
            raise
        except BaseException as error:
            trial.set_user_attr("failure", f"{type(error).__name__}: {error}")
            trial.set_user_attr("broken_off", not isinstance(error, Exception))
            frozen = self.optuna_study.tell(trial, state=TrialState.FAIL)
            if not isinstance(error, Exception):
                storage.enqueue_again(self.optuna_study, frozen, self.worker)
            raise
        frozen = self.optuna_study.get_trials(deepcopy=False)[trial.number]
        if frozen.state == TrialState.PRUNED:
            return TrialStopped.read(frozen)
        return TrialFailure.read(frozen) if infeasible(frozen) else TrialOutcome.read(frozen)

    def _ask(self, agenda: Agenda) -> Trial:
        """Returns the next trial: one that was broken off, a starting point, or a proposal of the sampler."""
        everything = self.optuna_study.get_trials(deepcopy=False)
        tried = sum(takes_place(trial) for trial in everything)
        if not any(trial.state == TrialState.WAITING for trial in everything):
            point = agenda.due(tried, everything)
            given = {} if point is None else {"family": agenda.points[point].family, "starting": point}
            params = {} if point is None else dict(agenda.points[point].params)
            self.optuna_study.enqueue_trial(params, {**given, storage.WORKER: self.worker})
        running = any(trial.state == TrialState.RUNNING for trial in everything)
        self.optuna_study.sampler = SAMPLERS[self.study.file.search.sampler](self._proposal(tried, running))
        trial = self.optuna_study.ask(self.space.distributions)
        trial.set_user_attr(storage.WORKER, self.worker)
        return trial

    def _proposal(self, tried: int, running: bool) -> Proposal:
        search = self.study.file.search
        known = tuple(remembered(self.optuna_study))
        least, batch = searched_min_lpips(self.study, self.optuna_study), self.study.file.call.batch
        return Proposal(self.space, search.seed, tried, running, search.objectives, self.study.limits, known, batch, least)

    def _measure(self, trial: Trial, policy: Policy, capture: Capture) -> None:
        """Measures what is not known of a policy that is launched in a way, and tells the trial."""
        digest, place = policy.digest, self.places[capture]
        twin = next((other for other in self._finished() if what(other) == (digest, capture)), None)
        self.ledger.keep(policy)
        known: list[Measurement] = []
        exempt = trial.user_attrs.get("family", "").startswith((KNOWN, POLISHED)) or not races(self.study)
        rivals = [] if exempt else members(self.optuna_study, self.ledger, self.places)
        self._keep(trial, {RUNG: rung_of(policy)} if policy.fit else {})
        others = self.optuna_study.get_trials(deepcopy=False)
        if not exempt and (nearer := beaten_at_first_rung(policy, others)) is not None:
            self._stop(trial, policy, nearer.number, [], {"capture": capture} | _twin(twin))
            return
        for block in self._blocks(policy, place, capture):
            if isinstance(block, Failure):
                self._keep(trial, failure_attributes(block, digest, capture, policy.nfe) | _twin(twin))
                self.optuna_study.tell(trial, state=TrialState.FAIL)
                return
            known.append(block)
            if winner := self._winner(known, rivals):
                self._stop(trial, policy, winner.number, known, {"capture": capture} | _twin(twin))
                return
        result, batch = self._summary(known), self.study.file.call.batch
        self._tell(trial, attributes(result, digest, capture, self.reference_ms, batch) | _twin(twin))

    def _stop(self, trial: Trial, policy: Policy, by: int, known: list[Measurement], more: dict[str, Any]) -> None:
        """Ends a trial of which not all was measured, because the trial with the number ``by`` beats it."""
        summary, of = self._summary(known) if known else None, self.study.file.cases.search_count
        self._keep(trial, stopped_attributes(policy, by, summary, of) | more)
        self.optuna_study.tell(trial, state=TrialState.PRUNED)

    def _winner(self, known: list[Measurement], rivals: list[Member]) -> Member | None:
        """Returns who surely beats a trial of which not all is measured."""
        cases = self.study.file.cases
        if not rivals or sum(len(block.cases) for block in known) >= cases.search_count:
            return None
        latency = self._summary(known).latency_ms
        fastest = min(latency.low, latency.value * (1 - SLACK))
        blocks, race = -(-cases.search_count // len(known[0].cases)), Race(self.study.file.search.race)
        return race.beaten_by(known, Interval(latency.value, fastest, latency.high), rivals, blocks)

    def _blocks(self, policy: Policy, place: Place, capture: Capture) -> Iterator[Measurement | Failure]:
        """Yields the blocks of a policy: those that are known, then those that are measured now; a failure is the last."""
        kept, b, pictures = self.ledger.blocks(policy.digest, place), 0, 0
        while b in kept:
            block = kept[b]
            yield block
            if isinstance(block, Failure):
                return
            b, pictures = b + 1, pictures + len(block.cases)
        if pictures < self.study.file.cases.search_count:
            for number, found in enumerate(self.evaluator(policy, b, capture), b):
                self.ledger.enter(policy.digest, place, number, found)
                yield found

    def _keep(self, trial: Trial, values: dict[str, Any]) -> None:
        for key, value in values.items():
            trial.set_user_attr(key, value)

    def _tell(self, trial: Trial, figures: dict[str, Any]) -> None:
        wanted = (*self.study.file.search.objectives, *(limit.name for limit in self.study.limits))
        if missing := next((name for name in wanted if name not in figures), None):
            raise StudyError(
                f"`search.objectives` and `limits` must name what is measured but got {missing!r}, which this evaluator does "
                f"not tell; a recorded table holds LPIPS, latency and cache. Leave it out, or measure the model itself."
            )
        self._keep(trial, figures)
        for limit in self.study.limits:
            trial.set_constraint(str(limit), limit.excess(figures[limit.name][0]))
        self.optuna_study.tell(trial, [figures[name][0] for name in self.study.file.search.objectives])

    def _summary(self, known: list[Measurement]) -> Result:
        return summarise(known, anchor_ms=self.optuna_study.user_attrs["frdiff:anchor_ms"])

    @property
    def reference_ms(self) -> float:
        """The reference's latency, in milliseconds, as it was when the study began."""
        return Latency.model_validate_json(json.dumps(self.optuna_study.user_attrs["frdiff:reference_latency"])).median_ms


def _twin(twin: FrozenTrial | None) -> dict[str, int]:
    return {} if twin is None else {"duplicate_of": twin.number}
