"""Policies measured on the same cases, every picture's LPIPS and every timed pair kept, resumable."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import Any

from frdiff_tune.measure import (
    Case,
    Drawn,
    Lpips,
    blocks,
    cases_digest,
    draw,
    pipe_device,
    time_interleaved,
    warm_up,
)
from frdiff_tune.measure.bench import Bench, Contender
from frdiff_tune.measure.drawn import Painter, joined
from frdiff_tune.measure.references import references
from frdiff_tune.measure.timing import arguments_of
from frdiff_tune.policy import Policy
from frdiff_tune.runtime import full_policy
from frdiff_tune.search.setting import cache_folder, measuring
from frdiff_tune.search.study import Study

ANCHOR_STEPS = 5
PAIRS = 5
"""Timed pairs of every policy with the anchor, a full run of five steps."""
QUALITY_BATCH = 16
RAW = Path("runs/benchmarks")
"""Where what was measured is kept, a file per study and set of cases."""


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
        ratios: Latency over the anchor's, per timed pair.
    """

    name: str
    family: str
    group: str
    steps: int
    nfe: int
    lpips: tuple[float, ...]
    ratios: tuple[float, ...]


class CaseBench:
    """Measures policies on cases of a study; what was measured before is read from a file.

    Arguments:
        study: The study.
        pipe: Its pipeline.
        cases: The cases, usually held out.
    """

    def __init__(self, study: Study, pipe: Any, cases: tuple[Case, ...]) -> None:  # noqa: ANN401
        settings = measuring(study)
        self.pipe, self.steps = pipe, int(settings["steps"])
        self.call, self.batch = dict(settings["call"]), int(settings["batch"])
        self.cases = cases
        self._arguments = arguments_of(self.cases, self.call, self.batch)
        self.bench = Bench(pipe)
        self.device = pipe_device(pipe)
        self.lpips = Lpips(self.device)
        self.parts = blocks(self.cases, QUALITY_BATCH)
        self.anchor = Contender(self.bench, full_policy(pipe, ANCHOR_STEPS), ANCHOR_STEPS)
        self.file = RAW / f"{study.name}-{cases_digest(self.cases)[:12]}.jsonl"
        self.kept: dict[str, list[float]] = dict(self._read())

    @cached_property
    def pictures(self) -> list[Drawn]:
        """The reference pictures, block by block."""
        return list(references(self.bench, self.parts, self.steps, self.call, cache_folder()))

    def _read(self) -> Iterator[tuple[str, list[float]]]:
        if self.file.is_file():
            yield from (tuple(json.loads(line)) for line in self.file.read_text().splitlines())

    def _keep(self, key: str, values: list[float]) -> tuple[float, ...]:
        self.kept[key] = values
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with self.file.open("a") as file:
            file.write(json.dumps([key, values]) + "\n")
        return tuple(values)

    def distances(self, policy: Policy, parts: int | None = None) -> tuple[float, ...]:
        """Returns a policy's LPIPS per picture, of the first ``parts`` blocks or of all."""
        return self.distances_by(Contender(self.bench, policy, 0), policy.digest, parts)

    def recall(self, policy: Policy, lpips: Sequence[float]) -> None:
        """Enters a policy's LPIPS per picture as an earlier run measured it, unless it is known."""
        begin = 0
        for b, block in enumerate(self.parts):
            key = f"lpips {policy.digest} {b}"
            if key not in self.kept:
                self._keep(key, list(lpips[begin : begin + len(block)]))
            begin += len(block)

    def distances_by(self, painter: Painter, digest: str, parts: int | None = None) -> tuple[float, ...]:
        """Returns the LPIPS per picture of whatever draws on the bench.

        Arguments:
            painter: What draws.
            digest: Of all that changes its pictures.
            parts: How many blocks it draws; None: all.
        """
        found = list[float]()
        for b, block in enumerate(self.parts[:parts]):
            key = f"lpips {digest} {b}"
            if key not in self.kept:
                self._keep(key, list(self.lpips(draw(painter, block, self.call), self.pictures[b])))
            found += self.kept[key]
        return tuple(found)

    def distances_of(self, policy: Policy, indexes: Sequence[int]) -> list[float]:
        """Returns a policy's LPIPS of some pictures, drawn in one call; they are counted block after block."""
        key = f"lpips {policy.digest} {','.join(map(str, indexes))}"
        if key not in self.kept:
            cases = [case for block in self.parts for case in block]
            drawn = draw(Contender(self.bench, policy, 0), [cases[i] for i in indexes], self.call)
            beside = Drawn(joined(self.pictures).pictures[[*indexes]], None, None)
            self._keep(key, list(self.lpips(drawn, beside)))
        return self.kept[key]

    def ratios(self, policy: Policy | None) -> tuple[float, ...]:
        """Returns the latency over the anchor's, per timed pair, of a policy or of the bare reference."""
        key = f"ratios {policy.digest if policy else 'reference'}"
        if key not in self.kept:
            candidate = Contender(self.bench, policy, self.steps)
            pairs = time_interleaved(candidate, self.anchor, self._arguments, range(PAIRS), self.device)
            return self._keep(key, [pair.first.total_ms / pair.second.total_ms for pair in pairs])
        return tuple(self.kept[key])

    def loop_ratios(self, policy: Policy, beside: Policy, pairs: int = PAIRS) -> tuple[float, ...]:
        """Returns the latency of a policy's denoising loop over that of another policy's, per timed pair."""
        key = f"loops {policy.digest} {beside.digest} {pairs}"
        if key not in self.kept:
            first, second = (Contender(self.bench, each, self.steps) for each in (policy, beside))
            found = time_interleaved(first, second, self._arguments, range(pairs), self.device)
            return self._keep(key, [pair.first.loop_ms / pair.second.loop_ms for pair in found])
        return tuple(self.kept[key])

    def row(self, name: str, family: str, group: str, policy: Policy) -> Row:
        """Returns a policy's row; see ``Row`` for the arguments."""
        steps, nfe = policy.sampling.num_inference_steps, policy.nfe
        return Row(name, family, group, steps, nfe, self.distances(policy), self.ratios(policy))

    def warm_up(self) -> None:
        """Runs the anchor until its times agree."""
        warm_up(self.anchor, self._arguments, self.device)

    def anchor_ms(self) -> float:
        """Returns the anchor's latency, the median of nine calls when it was first asked for, in ms."""
        if "anchor_ms" in self.kept:
            return self.kept["anchor_ms"][0]
        pairs = list(time_interleaved(self.anchor, self.anchor, self._arguments, range(5), self.device))
        found = median([pair.first.total_ms for pair in pairs] + [pair.second.total_ms for pair in pairs[1:]])
        return self._keep("anchor_ms", [found])[0]

    def close(self) -> None:
        """Restores the pipeline."""
        self.bench.close()
