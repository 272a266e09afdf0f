"""Searches of a recorded table: ours, and those that it is compared with."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from itertools import islice
from typing import Any

import numpy as np
import optuna
from optuna.samplers import BaseSampler, NSGAIISampler
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import create_engine
from sqlalchemy.pool import StaticPool

from benchmarks.baselines import annealing, at_random, auto_fr, dynamic_programming, fewer_steps, uniform_grid
from benchmarks.ground import BLOCK, Ground, Method, Trace, Watch, listed
from benchmarks.record import RESULTS
from frdiff_tune.search import setting
from frdiff_tune.search.aim import Aim
from frdiff_tune.search.foresight.errors_foreseen import SCALES
from frdiff_tune.search.foresight.quality_model import PRIORS
from frdiff_tune.search.ledger import Ledger, Place
from frdiff_tune.search.outcome import TrialOutcome
from frdiff_tune.search.run import Run
from frdiff_tune.search.samplers import SAMPLERS, MakeSampler, Proposal, quiet
from frdiff_tune.search.samplers.acquisition import What
from frdiff_tune.search.samplers.guided import GuidedSampler
from frdiff_tune.search.space import Space
from frdiff_tune.search.study import Study
from frdiff_tune.search.table import TableEvaluator


def tuned(sampler: str, starting: tuple[str, ...] | None, race: float, patient: bool = True) -> Method:
    """Returns the search that ``tune`` runs.

    Arguments:
        sampler: Its sampler.
        starting: Its starting points; None: what suits the sampler.
        race: Its racing level.
        patient: Whether it may repeat itself for as long as ``tune`` lets it; else it ends when it has proposed as often as
            the table has policies.
    """

    def method(ground: Ground, seed: int, most: int) -> Trace:
        options = {"sampler": sampler, "seed": seed, "race": race, "starting_points": starting}
        search = ground.study.file.search.model_copy(update=options)
        study = replace(ground.study, file=ground.study.file.model_copy(update={"search": search}))
        recorded = starting != () or sampler in ("auto", "guided")
        # what recorded runs cost: as many pictures as half an evaluation draws, counted as a whole one
        reference = setting.FOLLOWED * ground.table.reference_ms / 1000
        watch = Watch(ground, int(recorded), recorded * reference)
        evaluator = TableEvaluator(ground.drawn(seed), BLOCK)
        proposed = None if patient else len(ground.table.rows)
        for outcome in islice(_run(study, ground.space, evaluator).trials(most, float("inf")), proposed):
            if outcome.duplicate_of is None:
                whole = isinstance(outcome, TrialOutcome)
                if not watch.see(ground.table.by_digest[outcome.digest] if whole else None, evaluator.seconds):
                    break
        return watch.trace

    return method


def _run(study: Study, space: Space, evaluator: TableEvaluator) -> Run:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
    return Run(
        study=study,
        space=space,
        optuna_study=optuna.create_study(directions=["minimize", "minimize"]),
        ledger=Ledger(engine),
        places={"eager": Place("table", "table", "table", study.name)},
        evaluator=evaluator,
        worker="benchmark",
    )


def _ecad(proposal: Proposal) -> BaseSampler:
    """Returns NSGA-II with ECAD's population, crossover and mutation, and its first generation drawn at random."""
    with quiet():
        return NSGAIISampler(population_size=72, crossover_prob=0.9, mutation_prob=0.05, seed=proposal.seed)


def ecad(ground: Ground, seed: int, most: int) -> Trace:
    """Runs NSGA-II as ECAD uses it.

    References:
        | Evolutionary Caching to Accelerate Your Off-the-Shelf Diffusion Model (Aggarwal et al., 2026)
        | https://arxiv.org/abs/2506.15682
    """
    with _standing_in("nsga2", _ecad):
        return tuned("nsga2", (), 0.0)(ground, seed, most)


class _Deaf(GuidedSampler):
    """Guided search that learns nothing from trials that were stopped."""

    def _seen(self, trial: FrozenTrial, own: What, reference: float) -> Any:  # noqa: ANN401
        return None if trial.state == TrialState.PRUNED else super()._seen(trial, own, reference)


def _deaf(proposal: Proposal) -> BaseSampler:
    aim = Aim.of(proposal.objectives, proposal.limits)
    assert aim is not None
    return _Deaf(proposal, aim)


def deaf(ground: Ground, seed: int, most: int) -> Trace:
    """Runs ours, but what is measured of a stopped trial is forgotten."""
    with _standing_in("auto", _deaf):
        return METHODS["ours"](ground, seed, most)


def crossed(ground: Ground, seed: int, most: int) -> Trace:
    """Runs ours with what foresight expects before anything is measured fitted to the other model's table alone."""
    with _fitted_to(ground, "demo-dit" if ground.study.name == "demo" else "demo"):
        return METHODS["ours"](ground, seed, most)


@contextmanager
def _fitted_to(ground: Ground, name: str) -> Iterator[None]:
    """Puts the priors and scales that ``benchmarks.priors`` has fitted to one table in the place of those of both."""
    errors = ground.space.foresight.errors
    scales, priors = errors.scales, dict(PRIORS)
    fitted = json.loads((RESULTS / f"priors-{name}.json").read_text())
    PRIORS.update({kind: tuple(prior) for kind, prior in fitted["priors"].items()})
    errors.scales = np.array([fitted["scales"].get(kind, SCALES[kind]) for kind in errors.traits])
    errors._kept.cache_clear()
    try:
        yield
    finally:
        PRIORS.update(priors)
        errors.scales = scales
        errors._kept.cache_clear()


@contextmanager
def _standing_in(name: str, make: MakeSampler) -> Iterator[None]:
    """Puts a sampler in the place of another one."""
    own = SAMPLERS[name]
    SAMPLERS[name] = make
    try:
        yield
    finally:
        SAMPLERS[name] = own


METHODS: dict[str, Method] = {
    "ours": tuned("auto", None, 0.05),
    "ours, fitted to the other table": crossed,
    "ours, no racing": tuned("auto", None, 0.0),
    "ours, deaf to stopped trials": deaf,
    "ours, no foresight, no racing": tuned("local", None, 0.0),
    "local search": tuned("local", (), 0.0),
    "TPE": tuned("tpe", (), 0.0),
    "GP": tuned("gp", (), 0.0),
    "NSGA-II": tuned("nsga2", (), 0.0, patient=False),
    "NSGA-III": tuned("nsga3", (), 0.0, patient=False),
    "NSGA-II, as ECAD": ecad,
    "random": listed(at_random),
    "quasi-random": tuned("qmc", (), 0.0),
    "dynamic programming": listed(dynamic_programming),
    "BudCache's annealing": listed(annealing),
    "Auto-FR": auto_fr,
    "FRDiff's uniform grid": listed(uniform_grid),
    "fewer steps": listed(fewer_steps),
}
"""Name -> search."""
LONG = ("ours, no foresight, no racing", "local search", "TPE", "NSGA-II", "NSGA-III", "NSGA-II, as ECAD", "quasi-random")
CAPS = {"GP": 40, **dict.fromkeys(LONG, 400)}
"""Evaluations of searches whose proposals take long, at most; who is not there by then counts as the whole table."""


@lru_cache(maxsize=1)
def ground_of(name: str) -> Ground:
    """Returns the table of an embedded model, ``demo`` or ``demo-dit``, loaded once per process."""
    return Ground.load(name)


def search(name: str, method: str, seed: int) -> Trace:
    """Runs one search; a process of a pool finds it by name.

    Arguments:
        name: ``demo`` or ``demo-dit``.
        method: One of ``METHODS``.
        seed: Its seed.
    """
    ground = ground_of(name)
    return METHODS[method](ground, seed, CAPS.get(method, len(ground.table.rows)))
