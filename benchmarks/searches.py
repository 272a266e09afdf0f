"""Searches of a recorded table: ours, and those that it is compared with."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, median
from typing import Any

import numpy as np
import optuna
from optuna.samplers import BaseSampler, NSGAIISampler
from sqlalchemy import create_engine
from sqlalchemy.pool import StaticPool

from frdiff_tune.policy import Policy
from frdiff_tune.search import setting
from frdiff_tune.search.foresight import Outline, outline_of
from frdiff_tune.search.ledger import Ledger, Place
from frdiff_tune.search.outcome import TrialOutcome
from frdiff_tune.search.run import Run
from frdiff_tune.search.samplers import SAMPLERS, Proposal, quiet
from frdiff_tune.search.space import Space
from frdiff_tune.search.space_file import Params
from frdiff_tune.search.study import Study, load_study
from frdiff_tune.search.table import Row, Table, TableEvaluator
from frdiff_tune.search.volume import hypervolume

TABLES = Path(__file__).parent / "tables"
ENOUGH = 0.99
"""A search ends when it holds so much of the table's hypervolume."""
BLOCK = 8
"""Cases after which a trial may be stopped."""


class RememberingSpace(Space):
    """A space that decodes every policy once."""

    _known: dict[Outline, Policy]

    def decode(self, params: Params) -> Policy:
        """Returns the policy of any parameters within their bounds."""
        if not hasattr(self, "_known"):
            self._known = {}
        outline = outline_of(self, params)
        if outline not in self._known:
            self._known[outline] = super().decode(params)
        return self._known[outline]


@dataclass(frozen=True, slots=True, eq=False)
class Ground:
    """A table to search.

    Arguments:
        study: The study that it was recorded of.
        space: Its space.
        table: The measurements.
        outlines: Digest -> what the policy does.
    """

    study: Study
    space: Space
    table: Table
    outlines: Mapping[str, Outline]

    @classmethod
    def load(cls, name: str) -> "Ground":
        """Returns the table of an embedded model, ``demo`` or ``demo-dit``."""
        study = load_study(TABLES / f"{name}.toml")
        pipe = setting.open_pipeline(study)
        cases = setting.search_cases(study, pipe)
        steps, walk = study.file.call.num_inference_steps, setting.walk_of(study, pipe, cases)
        space = RememberingSpace(study.space, pipe, steps, walk=walk, trajectory=setting.trajectory_of(study, pipe, cases))
        table = Table.load(TABLES / f"{name}.json.gz").on(space)
        return cls(study, space, table, {row.digest: outline_of(space, row.params) for row in table.rows})

    def point(self, row: Row) -> tuple[float, float]:
        """Returns a policy's mean LPIPS and its latency over the reference's."""
        return fmean(row.lpips), median(row.ratios) * self.table.anchor_ms / self.table.reference_ms

    @property
    def volume(self) -> float:
        """The hypervolume of the whole table."""
        return hypervolume([self.point(row) for row in self.table.rows if not row.failure])


@dataclass(slots=True)
class Trace:
    """How a search went.

    Attributes:
        shares: Share of the table's hypervolume after each evaluation.
        seconds: Measured time after each, in seconds.
        stopped: Evaluations that were stopped early.
    """

    shares: list[float]
    seconds: list[float]
    stopped: int = 0


Method = Callable[[Ground, int, int], Trace]
"""(table, seed, evaluations at most) -> how it went."""


class _Watch:
    """Keeps a trace while policies are measured."""

    def __init__(self, ground: Ground, evaluations: int = 0, seconds: float = 0.0) -> None:
        self.ground, self.whole = ground, ground.volume
        self.points: list[tuple[float, float]] = []
        self.before = seconds
        self.trace = Trace([0.0] * evaluations, [seconds] * evaluations)

    def see(self, row: Row | None, seconds: float) -> bool:
        """Adds an evaluation, of which everything was measured or (None) not; returns whether to go on."""
        if row is not None and not row.failure:
            self.points.append(self.ground.point(row))
        self.trace.stopped += row is None
        self.trace.shares.append(hypervolume(self.points) / self.whole)
        self.trace.seconds.append(self.before + seconds)
        return self.trace.shares[-1] < ENOUGH


def tuned(sampler: str, starting: tuple[str, ...] | None, race: float) -> Method:
    """Returns the search that ``tune`` runs.

    Arguments:
        sampler: Its sampler.
        starting: Its starting points; None: what suits the sampler.
        race: Its racing level.
    """

    def method(ground: Ground, seed: int, most: int) -> Trace:
        options = {"sampler": sampler, "seed": seed, "race": race, "starting_points": starting}
        search = ground.study.file.search.model_copy(update=options)
        study = replace(ground.study, file=ground.study.file.model_copy(update={"search": search}))
        recorded = starting != () or sampler in ("auto", "guided")
        # what recorded runs cost: as many pictures as half an evaluation draws, counted as a whole one
        reference = setting.FOLLOWED * ground.table.reference_ms / 1000
        watch = _Watch(ground, int(recorded), recorded * reference)
        evaluator = TableEvaluator(ground.table, BLOCK)
        for outcome in _run(study, ground.space, evaluator).trials(most, float("inf")):
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


def listed(order: Callable[[Ground, np.random.Generator], Iterable[Row]]) -> Method:
    """Returns a search that measures policies in an order of its own; one that is measured again costs nothing."""

    def method(ground: Ground, seed: int, most: int) -> Trace:
        watch, evaluator = _Watch(ground), TableEvaluator(ground.table, len(ground.table.cases))
        seen: set[str] = set()
        for row in order(ground, np.random.default_rng(seed)):
            if row.digest not in seen:
                seen.add(row.digest)
                list(evaluator(ground.space.decode(row.params)))
                if not watch.see(row, evaluator.seconds) or len(seen) == most:
                    break
        return watch.trace

    return method


def at_random(ground: Ground, rng: np.random.Generator) -> Iterator[Row]:
    """Yields all policies, each as likely."""
    yield from (ground.table.rows[i] for i in rng.permutation(len(ground.table.rows)))


def uniform_grid(ground: Ground, rng: np.random.Generator) -> Iterator[Row]:
    """Yields FRDiff's policies: even keyframes in the reference's own run, groups that reuse, its score mixing or none."""
    steps, own = ground.space.reference_steps, ground.space.foresight.errors.own
    found = [
        row
        for row in ground.table.rows
        if (o := ground.outlines[row.digest]).groups and o.steps == steps and o.scheduler == own and _even(o)
    ]
    yield from (found[i] for i in rng.permutation(len(found)))


def _even(outline: Outline) -> bool:
    gaps = np.diff(outline.keyframes)
    return len(gaps) == 0 or bool(gaps.max() - gaps.min() <= 1)


def fewer_steps(ground: Ground, rng: np.random.Generator) -> Iterator[Row]:
    """Yields full runs with every step count and solver."""
    found = [row for row in ground.table.rows if len(ground.outlines[row.digest].keyframes) == ground.outlines[row.digest].T]
    yield from (found[i] for i in rng.permutation(len(found)))


def dynamic_programming(ground: Ground, rng: np.random.Generator) -> Iterator[Row]:
    """Yields, of every size, the jumps of held scores whose keyframes are of least error in recorded runs."""
    rows = _jumps(ground)
    errors = ground.space.foresight.errors
    sizes = sorted({len(ground.outlines[row.digest].keyframes) for row in rows})
    for i in rng.permutation(len(sizes)):
        same = [row for row in rows if len(ground.outlines[row.digest].keyframes) == sizes[i]]
        yield min(same, key=lambda row: errors(ground.outlines[row.digest]).sources[0])


def annealing(ground: Ground, rng: np.random.Generator) -> Iterator[Row]:
    """Yields what BudCache measures: for every budget, simulated annealing over keyframe sets, then hill climbing.

    A move goes to one of the sets that are nearest by keyframes that differ.

    References:
        | Budget-Constrained Step-Level Diffusion Caching (Lei et al., 2026), https://arxiv.org/abs/2606.13496
    """
    rows = _jumps(ground)
    sizes = sorted({len(ground.outlines[row.digest].keyframes) for row in rows})
    for i in rng.permutation(len(sizes)):
        same = [row for row in rows if len(ground.outlines[row.digest].keyframes) == sizes[i]]
        yield from _annealed(same, ground, rng)


def _annealed(rows: list[Row], ground: Ground, rng: np.random.Generator) -> Iterator[Row]:
    def near(row: Row) -> list[Row]:
        own = set(ground.outlines[row.digest].keyframes)
        others = [other for other in rows if other is not row]
        return sorted(others, key=lambda other: len(own ^ set(ground.outlines[other.digest].keyframes)))[:3]

    now = rows[int(rng.integers(len(rows)))]
    yield now
    for temperature in np.geomspace(0.5, 0.02, 2 * len(rows)):
        if around := near(now):
            other = around[int(rng.integers(len(around)))]
            yield other
            worse = np.log(fmean(other.lpips) + 1e-9) - np.log(fmean(now.lpips) + 1e-9)
            now = other if rng.random() < np.exp(-max(worse, 0.0) / temperature) else now
    while True:
        around = near(now)
        yield from around
        best = min([now, *around], key=lambda row: fmean(row.lpips))
        if best is now:
            return
        now = best


def _jumps(ground: Ground) -> list[Row]:
    """Returns the policies that jump with held scores in the reference's own run, and reuse nothing."""
    steps, own = ground.space.reference_steps, ground.space.foresight.errors.own
    return [
        row
        for row in ground.table.rows
        if (o := ground.outlines[row.digest]).jumps
        and not o.groups
        and (o.steps, o.scheduler, o.order, o.shares) == (steps, own, 0, ())
        and o.nfe == len(o.keyframes)
    ]


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
    own: dict[str, Any] = SAMPLERS | {"nsga2": _ecad}
    kept = dict(SAMPLERS)
    SAMPLERS.update(own)
    try:
        return tuned("nsga2", (), 0.0)(ground, seed, most)
    finally:
        SAMPLERS.update(kept)


METHODS: dict[str, Method] = {
    "ours": tuned("auto", None, 0.05),
    "ours, no racing": tuned("auto", None, 0.0),
    "ours, no foresight": tuned("local", None, 0.05),
    "ours, no foresight, no racing": tuned("local", None, 0.0),
    "local search": tuned("local", (), 0.0),
    "TPE": tuned("tpe", (), 0.0),
    "GP": tuned("gp", (), 0.0),
    "NSGA-II": tuned("nsga2", (), 0.0),
    "NSGA-III": tuned("nsga3", (), 0.0),
    "NSGA-II, as ECAD": ecad,
    "random": listed(at_random),
    "quasi-random": tuned("qmc", (), 0.0),
    "dynamic programming": listed(dynamic_programming),
    "BudCache's annealing": listed(annealing),
    "FRDiff's uniform grid": listed(uniform_grid),
    "fewer steps": listed(fewer_steps),
}
"""Name -> search."""
CAPS = {"GP": 80, "TPE": 600}
"""Evaluations of searches whose proposals take long, at most; the others go on to the whole table."""
