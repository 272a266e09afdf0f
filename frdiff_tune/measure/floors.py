"""Floors: differences from the reference that are no policy's doing.

    numerics         the full policy, launched and batched as the candidate is, against the reference
    discretisation   the reference against the same run with four times the steps

A candidate whose figure is not beyond a floor is at the floor: nothing better can be said of it.
"""

from collections.abc import Iterator, Mapping, Sequence
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

FINER = 4
"""Times the reference's steps."""


@dataclass(frozen=True, slots=True)
class Reference:
    """What floors are measured against.

    Arguments:
        bench: The pipeline.
        cases: The cases, of any kinds.
        drawn: The reference's pictures of these cases, in their order.
        steps: The reference's step count.
        call: Arguments that are the same for all cases.
    """

    bench: Bench
    cases: Sequence[Case]
    drawn: Drawn
    steps: int
    call: Mapping[str, Any]

    def numerics(self, capture: Capture, batch: int, metrics: Sequence[Paired]) -> tuple[Floor, ...]:
        """Returns how far the full policy is off, launched and batched as the candidate is."""
        policy = Walk(self.bench.pipe, self.cases, self.call).full(self.steps)
        full = Contender(self.bench, policy, self.steps, capture)
        parts = blocks(self.cases, batch)
        return self._floors("numerics", parts, [draw(full, part, self.call) for part in parts], metrics)

    def discretisation(self, quality_batch: int, folder: Path, metrics: Sequence[Paired]) -> tuple[Floor, ...]:
        """Returns how far the reference is from four times its steps, or from all that its solver was trained with.

        None where the reference walks all of them.
        """
        most = int(self.bench.pipe.scheduler.config.get("num_train_timesteps", FINER * self.steps))
        steps = min(FINER * self.steps, most)
        if steps <= self.steps:
            return ()
        parts = blocks(self.cases, quality_batch)
        finer = list(references(self.bench, parts, steps, self.call, folder))
        return self._floors("discretisation", parts, finer, metrics)

    def _floors(
        self, kind: FloorKind, parts: Sequence[Sequence[Case]], drawn: Sequence[Drawn], metrics: Sequence[Paired]
    ) -> tuple[Floor, ...]:
        place = {case.digest: i for i, case in enumerate(self.cases)}
        wanted = [joined([self.drawn[place[case.digest]] for case in part]) for part in parts]
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
