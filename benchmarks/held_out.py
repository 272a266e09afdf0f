"""Policies measured on held-out cases, every picture's LPIPS and every timed pair kept, resumable."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from frdiff_tune.measure import Lpips, blocks, call_arguments, cases_digest, pipe_device, render, time_interleaved, warm_up
from frdiff_tune.measure.bench import Bench, Contender
from frdiff_tune.measure.references import references
from frdiff_tune.policy import Policy
from frdiff_tune.runtime import full_policy
from frdiff_tune.search.setting import cache_folder, held_out_cases, measuring
from frdiff_tune.search.study import Study

ANCHOR_STEPS = 5
PAIRS = 5
"""Timed pairs of every policy with the anchor, a full run of five steps."""
QUALITY_BATCH = 16


@dataclass(frozen=True, slots=True)
class Row:
    """One policy as measured.

    Arguments:
        name: What it is, for tables.
        family: ``found``, ``starting``, ``fewer steps``, ``FRDiff``, ``jump`` or ``full``.
        group: Solver and spacing of fewer steps, else empty.
        steps: Step count.
        nfe: Steps that call the network.
        lpips: LPIPS per held-out picture.
        ratios: Latency over the anchor's, per timed pair; empty if it was only screened.
    """

    name: str
    family: str
    group: str
    steps: int
    nfe: int
    lpips: tuple[float, ...]
    ratios: tuple[float, ...]


class HeldOut:
    """Measures policies on a study's held-out cases; what was measured before is read from a file.

    Arguments:
        study: The study.
        pipe: Its pipeline.
        seeds: Seeds per held-out line.
        folder: Where rows are kept, a file per study.
    """

    def __init__(self, study: Study, pipe: Any, seeds: int, folder: Path) -> None:  # noqa: ANN401
        settings = measuring(study)
        self.pipe, self.steps = pipe, int(settings["steps"])
        self.call, self.batch = dict(settings["call"]), int(settings["batch"])
        self.cases = held_out_cases(study, pipe, seeds)
        self.bench = Bench(pipe)
        self.device = pipe_device(pipe)
        self.lpips = Lpips(self.device)
        self.parts = blocks(self.cases, QUALITY_BATCH)
        self.anchor = Contender(self.bench, full_policy(pipe, ANCHOR_STEPS), ANCHOR_STEPS)
        self.pictures = list(references(self.bench, self.parts, self.steps, self.call, cache_folder()))
        self.file = folder / f"{study.name}-{cases_digest(self.cases)[:12]}.jsonl"
        self.rows = {tuple(key): Row(**_tuples(row)) for key, row in self._read()}

    def _read(self) -> Iterator[tuple[Any, Any]]:
        if self.file.is_file():
            yield from (json.loads(line) for line in self.file.read_text().splitlines())

    def measure(self, name: str, family: str, group: str, policy: Policy, parts: int | None = None) -> Row:
        """Returns a policy's row: all cases and its latency, or the LPIPS of the first ``parts`` blocks alone.

        Arguments:
            name: What it is, for tables.
            family: See ``Row``.
            group: See ``Row``.
            policy: The policy.
            parts: Blocks of cases to screen with; None: all, and the latency.
        """
        key = (policy.digest, parts or 0)
        if key not in self.rows:
            candidate = Contender(self.bench, policy, 0)
            chosen = list(zip(self.parts, self.pictures, strict=True))[:parts]
            distances = [d for block, seen in chosen for d in self.lpips(render(candidate, block, self.call), seen)]
            ratios = () if parts else tuple(self._ratios(candidate))
            row = Row(name, family, group, policy.sampling.num_inference_steps, policy.nfe, tuple(distances), ratios)
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with self.file.open("a") as file:
                file.write(json.dumps([key, asdict(row)]) + "\n")
            self.rows[key] = row
        kept = self.rows[key]
        return Row(name, family, group, kept.steps, kept.nfe, kept.lpips, kept.ratios)

    def reference_row(self) -> tuple[float, ...]:
        """Returns the reference's latency over the anchor's, per timed pair."""
        bare = Contender(self.bench, None, self.steps)
        warm_up(self.anchor, self._arguments, self.device)
        return tuple(self._ratios(bare))

    def _ratios(self, candidate: Contender) -> Iterator[float]:
        for pair in time_interleaved(candidate, self.anchor, self._arguments, range(PAIRS), self.device):
            yield pair.first.total_ms / pair.second.total_ms

    def anchor_ms(self) -> float:
        """Returns the anchor's latency now, the median of nine calls, in ms."""
        pairs = list(time_interleaved(self.anchor, self.anchor, self._arguments, range(5), self.device))
        times = sorted([pair.first.total_ms for pair in pairs] + [pair.second.total_ms for pair in pairs[1:]])
        return times[len(times) // 2]

    def _arguments(self, i: int) -> dict[str, Any]:
        chosen = [self.cases[(i * self.batch + j) % len(self.cases)] for j in range(self.batch)]
        return {**self.call, **call_arguments(chosen)}


def _tuples(row: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}


def mean(values: Sequence[float]) -> float:
    """Returns the arithmetic mean."""
    return sum(values) / len(values)
