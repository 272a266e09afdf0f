"""Floors: differences from the reference that are no policy's doing.

    numerics         the full policy, launched and batched as the candidate is, against the reference
    discretisation   the reference against the same run with four times the steps

A candidate whose figure is not beyond a floor is at the floor: nothing better can be said of it.
"""

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from frdiff_tune.measure.bench import Bench, Contender
from frdiff_tune.measure.case import Case, blocks
from frdiff_tune.measure.drawn import Drawn, draw, joined
from frdiff_tune.measure.figure import Figure
from frdiff_tune.measure.metrics import Paired
from frdiff_tune.measure.references import references
from frdiff_tune.measure.walk import Walk
from frdiff_tune.policy import Floor, FloorKind
from frdiff_tune.runtime import Capture
from frdiff_tune.runtime.holder import own_scheduler
from frdiff_tune.runtime.solver import walk, walker_of

FINER = 4
"""Times the reference's steps."""


def finer_steps(pipe: Any, steps: int) -> int | None:  # noqa: ANN401
    """Returns four times as many steps; None where the pipeline's scheduler cannot walk them.

    Arguments:
        pipe: A diffusers pipeline; nothing of it is changed.
        steps: The reference's step count.
    """
    scheduler = own_scheduler(pipe)
    if FINER * steps > int(scheduler.config.get("num_train_timesteps", FINER * steps)):
        return None
    try:
        walk(walker_of(scheduler), FINER * steps)
    except ValueError:  # schedulers of distilled models know only the timesteps that they were distilled at
        return None
    return FINER * steps


@dataclass(frozen=True, slots=True)
class Reference:
    """What floors are measured against.

    Arguments:
        bench: The pipeline.
        cases: The cases, of any kinds.
        drawn: The reference's picture of each case, by the case's digest.
        steps: The reference's step count.
        call: Arguments that are the same for all cases.
    """

    bench: Bench
    cases: Sequence[Case]
    drawn: Mapping[str, Drawn]
    steps: int
    call: Mapping[str, Any]

    def numerics(self, capture: Capture, batch: int, metrics: Sequence[Paired]) -> tuple[Floor, ...]:
        """Returns how far the full policy is off, launched and batched as the candidate is."""
        policy = Walk(self.bench.pipe, self.cases, self.call).full(self.steps)
        full = Contender(self.bench, policy, self.steps, capture)
        parts = blocks(self.cases, batch)
        return self._floors("numerics", parts, [draw(full, part, self.call) for part in parts], metrics)

    def discretisation(
        self, quality_batch: int, folder: Path, metrics: Sequence[Paired]
    ) -> Generator[int, None, tuple[Floor, ...]]:
        """Measures how far the reference is from four times its steps; no floor where its scheduler cannot walk them.

        Yields:
            Pictures made so far.
        """
        steps = finer_steps(self.bench.pipe, self.steps)
        if steps is None:
            return ()
        parts = blocks(self.cases, quality_batch)
        finer: list[Drawn] = []
        for drawn in references(self.bench, parts, steps, self.call, folder):
            finer.append(drawn)
            yield sum(map(len, finer))
        return self._floors("discretisation", parts, finer, metrics)

    def _floors(
        self, kind: FloorKind, parts: Sequence[Sequence[Case]], drawn: Sequence[Drawn], metrics: Sequence[Paired]
    ) -> tuple[Floor, ...]:
        wanted = [joined([self.drawn[case.digest] for case in part]) for part in parts]
        rows: list[Floor] = []
        for metric in metrics:
            values = [value for ours, theirs in zip(drawn, wanted, strict=True) for value in metric(ours, theirs)]
            rows += _rows(kind, metric.name, values)
        return tuple(rows)


def _rows(kind: FloorKind, metric: str, values: Sequence[float]) -> Iterator[Floor]:
    for statistic in ("mean", "median"):
        figure = Figure(metric, statistic)
        found = figure.of(values)
        yield Floor(
            kind=kind,
            metric=metric,
            unit=figure.unit,
            statistic=statistic,
            value=found.value,
            low=found.low,
            high=found.high,
            count=len(values),
        )
