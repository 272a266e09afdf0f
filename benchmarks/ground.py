"""A recorded table as a search meets it, and how a search of it went."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from statistics import fmean, median

import numpy as np

from frdiff_tune.policy import Policy
from frdiff_tune.search import setting
from frdiff_tune.search.foresight import Outline, outline_of
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


Calls = tuple[str, int, int, tuple[tuple[str, int], ...]]


@dataclass(frozen=True, eq=False)
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
        """Returns a policy's mean LPIPS and its latency over the reference's.

        The latency is that of all policies that make the same network calls: single ones scatter by 2 % around it, and a front
        of single ones would be one of those that were lucky.
        """
        return fmean(row.lpips), self.latencies[self._calls(row)] * self.table.anchor_ms / self.table.reference_ms

    @cached_property
    def ratios(self) -> Mapping[Calls, list[float]]:
        """What policies call -> latency over the anchor's, per timed pair."""
        found: dict[Calls, list[float]] = {}
        for row in self.table.rows:
            found.setdefault(self._calls(row), []).extend(row.ratios)
        return found

    @cached_property
    def latencies(self) -> Mapping[Calls, float]:
        """What policies call -> median latency over the anchor's."""
        return {calls: median(ratios) for calls, ratios in self.ratios.items() if ratios}

    def drawn(self, seed: int) -> Table:
        """Returns the table as another day would have recorded it: its cases in another order, its pairs drawn anew.

        Arguments:
            seed: Of both; the pairs of a policy are drawn from those of all that make the same calls.
        """
        rng = np.random.default_rng(seed)
        order = rng.permutation(len(self.table.cases))
        rows = [
            row if row.failure else replace(
                row,
                lpips=tuple(row.lpips[i] for i in order),
                ratios=tuple(rng.choice(self.ratios[self._calls(row)], len(row.ratios)).tolist()),
            )
            for row in self.table.rows
        ]  # fmt: skip
        return replace(self.table, cases=tuple(self.table.cases[i] for i in order), rows=tuple(rows))

    def _calls(self, row: Row) -> Calls:
        """Returns what a policy calls: solver, steps, network calls, and of which how many reuse each group."""
        own = self.outlines[row.digest]
        return own.scheduler, own.T, own.nfe, tuple((group, own.reused(group)) for group in own.groups)

    @cached_property
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


class Watch:
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


def listed(
    order: Callable[[Ground, np.random.Generator], Iterable[Row]], evaluations: int = 0, seconds: float = 0.0
) -> Method:
    """Returns a search that measures policies in an order of its own; one that is measured again costs nothing.

    Arguments:
        order: Yields them.
        evaluations: What it has cost before the first, in evaluations.
        seconds: The same in seconds.
    """

    def method(ground: Ground, seed: int, most: int) -> Trace:
        watch, evaluator = Watch(ground, evaluations, seconds), TableEvaluator(ground.table, len(ground.table.cases))
        seen: set[str] = set()
        for row in order(ground, np.random.default_rng(seed)):
            if row.digest not in seen:
                seen.add(row.digest)
                list(evaluator(ground.space.decode(row.params)))
                if not watch.see(row, evaluator.seconds) or len(seen) == most:
                    break
        return watch.trace

    return method
