"""Recorded tables: a designed set of policies and all that was measured of them, in one compact file; replayed at once.

A table is gzipped JSON: what was asked, of which machine, and a row per policy. With a table, searches are compared by the
hundred without a GPU: ``TableEvaluator`` stands in for the real one, and knows how long the real one would have taken.
"""

import gzip
import json
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

from frdiff_tune.errors import StudyError
from frdiff_tune.measure import Failure, Measurement, Reason
from frdiff_tune.measure.references import Watch, unwatched
from frdiff_tune.policy import Floor, Latency, Policy
from frdiff_tune.runtime import Capture
from frdiff_tune.search.space import Space

VERSION = 1


@dataclass(frozen=True, slots=True)
class Row:
    """One policy as measured.

    Arguments:
        digest: The policy's digest.
        params: Parameters that decode to it.
        nfe: Steps that call the network.
        cache_bytes: Bytes that a run stored at its most.
        lpips: LPIPS against the reference, one per case.
        ratios: Latency over the anchor's, one per timed pair; empty as long as it was not timed.
        failure: Why it could not be measured, as ``black``; then there are no values. Empty if it was.
    """

    digest: str
    params: Mapping[str, Any]
    nfe: int
    cache_bytes: int
    lpips: tuple[float, ...]
    ratios: tuple[float, ...]
    failure: Reason | Literal[""] = ""


@dataclass(frozen=True)
class Table:
    """Recorded measurements.

    Arguments:
        study: The study's name.
        definition: The study's question, as ``Study.definition`` gives it.
        machine: The machine that it was measured on, as in a policy file.
        whole: Whether it holds every policy of the study's space.
        cases: Digests of the cases, in the order of every row's values.
        anchor_ms: Latency of the anchor, in milliseconds; 0 as long as nothing was timed.
        reference_ms: Latency of the reference, in milliseconds; 0 as long as nothing was timed.
        rows: The policies.
    """

    study: str
    definition: Mapping[str, Any]
    machine: Mapping[str, Any]
    whole: bool
    cases: tuple[str, ...]
    anchor_ms: float
    reference_ms: float
    rows: tuple[Row, ...]

    @property
    def timed(self) -> bool:
        """Whether every policy that can be measured was timed."""
        return self.reference_ms > 0 and all(row.ratios or row.failure for row in self.rows)

    @cached_property
    def by_digest(self) -> dict[str, Row]:
        """The rows by their policies' digests."""
        return {row.digest: row for row in self.rows}

    def on(self, space: Space) -> "Table":
        """Returns the table with the digests that its parameters have here.

        Weights that are fitted to recorded runs differ in their last bits from machine to machine, and so do digests.

        Arguments:
            space: The space that it was recorded of, on its pipeline.
        """
        return replace(self, rows=tuple(replace(row, digest=space.decode(row.params).digest) for row in self.rows))

    def save(self, path: str | Path) -> None:
        """Writes the table; the same table gives the same bytes."""
        names = list(self.rows[0].params)
        head = {key: getattr(self, key) for key in ("study", "definition", "machine", "whole", "cases")}
        times = {"anchor_ms": self.anchor_ms, "reference_ms": self.reference_ms}
        rows = [
            [row.digest, [row.params[name] for name in names], row.nfe, row.cache_bytes, row.lpips, row.ratios, row.failure]
            for row in self.rows
        ]
        text = json.dumps({"version": VERSION, **head, **times, "parameters": names, "rows": rows}, separators=(",", ":"))
        Path(path).write_bytes(gzip.compress(text.encode(), mtime=0))

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Reads a table.

        Raises:
            StudyError: If the file is no table, or one of another version.
        """
        try:
            held = json.loads(gzip.decompress(Path(path).read_bytes()))
            version = held.pop("version")
        except (OSError, ValueError, KeyError, EOFError) as error:
            raise StudyError(
                f"`table` must be a recorded table but got {str(path)!r} ({error}). Write one with "
                f"`frdiff-tune record STUDY -o FILE`."
            ) from error
        if version != VERSION:
            raise StudyError(f"`version` must be {VERSION} but {str(path)!r} has {version}. Record it with this release.")
        names = held.pop("parameters")
        rows = tuple(
            Row(digest, dict(zip(names, values, strict=True)), nfe, cache_bytes, tuple(lpips), tuple(ratios), failure)
            for digest, values, nfe, cache_bytes, lpips, ratios, failure in held.pop("rows")
        )
        return cls(**held | {"cases": tuple(held["cases"])}, rows=rows)


class TableEvaluator:
    """Replays a table as if it measured: the same blocks, the same samples.

    Arguments:
        table: What was recorded.
        block: Cases per block.

    Attributes:
        seconds: What the measurements that were asked for would have taken: every picture a call's time, every timed pair a
            call's and an anchor's.
        tried: Digests of the policies that were asked for, in order.
    """

    def __init__(self, table: Table, block: int = 8) -> None:
        self.table, self.block = table, block
        self.seconds = 0.0
        self.tried: list[str] = []

    @property
    def anchor_ms(self) -> float:
        """Latency of the anchor, in milliseconds."""
        return self.table.anchor_ms

    @property
    def reference_latency(self) -> Latency:
        """Latency of the reference."""
        ms = self.table.reference_ms
        return Latency(median_ms=ms, low_ms=ms, high_ms=ms, count=1, samples_ms=(ms,))

    def prepare(self, watch: Watch = unwatched) -> Iterator[tuple[int, int]]:
        """Nothing is to be prepared."""
        yield from ()

    def floor(self, count: int) -> Generator[tuple[int, int], None, Floor | None]:
        """Returns nothing: a table holds no run of four times the steps."""
        yield from ()
        return None

    def __call__(self, policy: Policy, first: int = 0, capture: Capture = "eager") -> Iterator[Measurement | Failure]:
        """Yields a measurement per block of cases, from block ``first`` on.

        Arguments:
            policy: One of the table's.
            first: The block to begin with.
            capture: Must be ``eager``: tables hold nothing else.

        Raises:
            StudyError: If the table does not hold the policy.
        """
        row = self.table.by_digest.get(policy.digest)
        if row is None or capture != "eager":
            raise StudyError(
                f"`policy` must be one of the table's {len(self.table.rows)} but got {policy.digest[:12]}, {capture}. "
                f"Search the space that the table was recorded of."
            )
        self.tried.append(policy.digest)
        if row.failure:
            yield Failure(row.failure, f"recorded as {row.failure}", 0)
        for b in range(first, -(-len(row.lpips) // self.block)):
            yield self._measured(row, b)

    def _measured(self, row: Row, b: int) -> Measurement:
        cases = slice(b * self.block, (b + 1) * self.block)
        ratios = row.ratios if b == 0 else ()
        latency = tuple(ratio * self.anchor_ms for ratio in ratios)
        usual = sum(row.ratios) / len(row.ratios) * self.anchor_ms
        self.seconds += (len(row.lpips[cases]) * usual + sum(latency) + len(ratios) * self.anchor_ms) / 1000
        return Measurement(
            cases=self.table.cases[cases],
            values={"lpips": row.lpips[cases]},
            latency_ms=latency,
            anchor_ms=(self.anchor_ms,) * len(ratios),
            loop_ms=latency,
            cache_bytes=row.cache_bytes,
            nfe=row.nfe,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass
