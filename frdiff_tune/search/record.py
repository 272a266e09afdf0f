"""Recording: a designed set of policies is measured into a table, pictures first, then times.

All is kept as soon as it is measured, so a recording that was broken off goes on where it was.
"""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from statistics import median
from typing import Any

from frdiff_tune.errors import StudyError
from frdiff_tune.measure import (
    Case,
    Drawn,
    Failure,
    Measurement,
    Paired,
    blocks,
    check_black,
    digest_of,
    draw,
    load_paired,
    machine_digest,
    paired_ratio,
    pipe_device,
    references,
    shuffled,
    time_interleaved,
    warm_up,
)
from frdiff_tune.measure.bench import Bench, Contender
from frdiff_tune.measure.failure import tried
from frdiff_tune.measure.timing import arguments_of
from frdiff_tune.policy import Machine, Policy
from frdiff_tune.search import setting, storage
from frdiff_tune.search.cost import ANCHOR_STEPS
from frdiff_tune.search.designed import Designed, designed, whole
from frdiff_tune.search.ledger import Ledger, Place
from frdiff_tune.search.space_file import Params
from frdiff_tune.search.study import Study
from frdiff_tune.search.table import Row, Table

Progress = Generator[tuple[int, int], None, None]

PAIRS = 4
"""Timed pairs of a policy and the anchor."""
REFERENCE_PAIRS = 9
REFERENCE = "reference"
"""Stands in the ledger for the bare pipeline's digest."""
DIGITS = 4
"""Significant digits of what a table holds."""


class Recorder:
    """Measures a designed set of policies of a study; what is known in the study's database is not measured again.

    Arguments:
        study: The study: model, call, search cases and space.
        policies: How many policies; None: all of a space that can be enumerated.
        pipe: The study's pipeline, if it is loaded already.
        pairs: Timed pairs of every policy.
        begun: A table of the same question that was not finished: its pictures are not drawn again, and nothing is timed again
            that was timed on a machine of this kind.

    Raises:
        StudyError: If the space cannot be enumerated and no number is given, the storage cannot be opened, or the table that
            was begun is of another question.
    """

    def __init__(
        self,
        study: Study,
        policies: int | None = None,
        pipe: Any = None,  # noqa: ANN401
        pairs: int = PAIRS,
        begun: Table | None = None,
    ) -> None:
        self.study, self.pairs = study, pairs
        self.pipe = setting.open_pipeline(study) if pipe is None else pipe
        cases = setting.search_cases(study, self.pipe)
        space = setting.space_of(study, self.pipe, cases)
        if policies is None and not whole(space):
            raise StudyError("`policies` must be given for a space that cannot be enumerated but is not. Use `--policies 500`.")
        self.cases, self.whole = shuffled(cases), policies is None
        self.designed: tuple[Designed, ...] = tuple(designed(space, policies))
        call = study.file.call
        self._arguments = arguments_of(self.cases, call.arguments, call.batch)
        self.ledger = Ledger(storage.open_storage(study.file.search.storage).engine)
        self._walk = setting.walk_of(study, self.pipe, cases)
        place = setting.place_of(study, self.pipe, cases)
        self._pictures = _kind(place, "recorded pictures")
        self._times = _kind(place, f"recorded times, {pairs} pairs")
        self._machine = setting.machine_of(study, self.pipe)
        if begun is not None:
            self._enter(begun)

    def pictures(self) -> Progress:
        """Draws and compares the pictures of every policy; other load on the machine does not matter.

        Yields:
            How many policies are drawn, and how many there are.
        """
        call, parts = self.study.file.call, blocks(self.cases, self.study.file.cases.quality_batch)
        (metric,) = load_paired(("lpips",), pipe_device(self.pipe))
        with Bench(self.pipe) as bench:
            wanted = list(references(bench, parts, call.num_inference_steps, call.arguments, setting.cache_folder()))
            for done, (_, policy) in enumerate(self.designed, start=1):
                known = self.ledger.blocks(policy.digest, self._pictures)
                for b, part in enumerate(parts):
                    if b not in known and not _failed(known):
                        known[b] = self._drawn(Contender(bench, policy, 0), part, wanted[b], metric, b)
                        self.ledger.enter(policy.digest, self._pictures, b, known[b])
                yield done, len(self.designed)

    def times(self) -> Progress:
        """Times every policy, and the reference, in turn with a short full run; nothing else should run meanwhile.

        Yields:
            How many policies are timed, and how many there are.
        """
        device, steps = pipe_device(self.pipe), self.study.file.call.num_inference_steps
        anchor_steps = max(ANCHOR_STEPS, self._walk.steps(ANCHOR_STEPS))
        with Bench(self.pipe) as bench:
            anchor = Contender(bench, self._walk.full(anchor_steps), anchor_steps)
            warm_up(anchor, self._arguments, device)
            self._time(Contender(bench, None, steps), anchor, REFERENCE, REFERENCE_PAIRS)
            for done, (_, policy) in enumerate(self.designed, start=1):
                if not _failed(self.ledger.blocks(policy.digest, self._pictures)):
                    self._time(Contender(bench, policy, 0), anchor, policy.digest, self.pairs)
                yield done, len(self.designed)

    def _enter(self, begun: Table) -> None:
        """Keeps what a table holds as if it had been measured here."""
        if (begun.definition, begun.cases) != (self.study.definition, tuple(case.digest for case in self.cases)):
            raise StudyError(
                f"`output` must be a table of this very study but holds one of {begun.study!r} with another question. Move it "
                f"away, or give another -o."
            )
        here = begun.machine and machine_digest(Machine.model_validate(begun.machine)) == machine_digest(self._machine)
        for row in begun.rows:
            self._enter_pictures(row, begun.cases)
            if here and len(row.ratios) == self.pairs:
                self._enter_times(row.digest, row.ratios, begun.anchor_ms, row.cache_bytes, row.nfe)
        if here and begun.reference_ms > 0:
            self._enter_times(REFERENCE, (begun.reference_ms / begun.anchor_ms,), begun.anchor_ms, 0, 0)

    def _enter_pictures(self, row: Row, cases: Sequence[str]) -> None:
        if row.failure:
            self.ledger.enter(row.digest, self._pictures, 0, Failure(row.failure, f"recorded as {row.failure}", 0))
            return
        first = 0
        for b, part in enumerate(blocks(self.cases, self.study.file.cases.quality_batch)):
            some = slice(first, first + len(part))
            block = Measurement(tuple(cases[some]), {"lpips": row.lpips[some]}, (), (), (), 0, row.nfe)
            self.ledger.enter(row.digest, self._pictures, b, block)
            first += len(part)

    def _enter_times(self, name: str, ratios: Sequence[float], anchor_ms: float, most: int, nfe: int) -> None:
        times, anchors = tuple(ratio * anchor_ms for ratio in ratios), (anchor_ms,) * len(ratios)
        self.ledger.enter(name, self._times, 0, Measurement((), {}, times, anchors, times, most, nfe))

    def table(self) -> Table:
        """Returns what is recorded so far; policies that were not drawn yet are left out."""
        reference = self.ledger.blocks(REFERENCE, self._times).get(0)
        rows = [row for params, policy in self.designed if (row := self._row(params, policy)) is not None]
        timed = isinstance(reference, Measurement)
        anchor_ms = median(reference.anchor_ms) if isinstance(reference, Measurement) else 0.0
        full = paired_ratio(reference.latency_ms, reference.anchor_ms).value if isinstance(reference, Measurement) else 0.0
        return Table(
            study=self.study.name,
            definition=self.study.definition,
            machine=self._machine.model_dump(mode="json") if timed else {},
            whole=self.whole and len(rows) == len(self.designed),
            cases=tuple(case.digest for case in self.cases),
            anchor_ms=_short(anchor_ms),
            reference_ms=_short(full * anchor_ms),
            rows=tuple(rows),
        )

    def _row(self, params: Params, policy: Policy) -> Row | None:
        """Returns what is known of a policy; None if its pictures are not."""
        drawn = self.ledger.blocks(policy.digest, self._pictures)
        timed = self.ledger.blocks(policy.digest, self._times).get(0)
        if failure := _failed(drawn):
            return Row(policy.digest, params, policy.nfe, 0, (), (), failure.reason)
        blocks_ = [block for block in drawn.values() if isinstance(block, Measurement)]
        if sum(len(block.cases) for block in blocks_) < len(self.cases):
            return None
        lpips = tuple(_short(value) for block in blocks_ for value in block.values["lpips"])
        if not isinstance(timed, Measurement):
            return Row(policy.digest, params, policy.nfe, 0, lpips, ())
        ratios = tuple(_short(a / b) for a, b in zip(timed.latency_ms, timed.anchor_ms, strict=True))
        return Row(policy.digest, params, policy.nfe, timed.cache_bytes, lpips, ratios)

    def _drawn(
        self, contender: Contender, cases: Sequence[Case], wanted: Drawn, metric: Paired, b: int
    ) -> Measurement | Failure:
        """Returns the LPIPS of a block of pictures, or why there are none."""
        policy = contender.policy
        assert policy is not None

        def measured() -> Measurement:
            drawn = draw(contender, cases, self.study.file.call.arguments)
            check_black(drawn, wanted, cases)
            values = {"lpips": metric(drawn, wanted)}
            return Measurement(tuple(case.digest for case in cases), values, (), (), (), 0, policy.nfe)

        return tried(self.pipe, contender.bench.close, b, measured)

    def _time(self, contender: Contender, anchor: Contender, name: str, pairs: int) -> None:
        if 0 in self.ledger.blocks(name, self._times):
            return
        taken = list(time_interleaved(contender, anchor, self._arguments, range(pairs), pipe_device(self.pipe)))
        first, second = ([getattr(pair, which) for pair in taken] for which in ("first", "second"))
        totals, anchors, loops = (
            tuple(run.total_ms for run in first),
            tuple(run.total_ms for run in second),
            tuple(run.loop_ms for run in first),
        )
        nfe = contender.policy.nfe if contender.policy else 0
        most = max(run.cache_bytes for run in first)
        self.ledger.enter(name, self._times, 0, Measurement((), {}, totals, anchors, loops, most, nfe))


def _kind(place: Place, kind: str) -> Place:
    """Returns the place of one kind of measurement; no study's trials are there."""
    return replace(place, setting=digest_of([place.setting, kind]))


def _failed(blocks_: Mapping[int, Measurement | Failure]) -> Failure | None:
    return next((block for block in blocks_.values() if isinstance(block, Failure)), None)


def _short(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
