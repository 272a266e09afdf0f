"""What the evaluator yields, block by block, and what it adds up to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from frdiff_tune.errors import MeasureError
from frdiff_tune.measure.figure import figures
from frdiff_tune.measure.interval import Interval, bootstrap
from frdiff_tune.measure.latency import paired_ratio


@dataclass(frozen=True, slots=True)
class Measurement:
    """One block of cases under one policy.

    Arguments:
        cases: Digests of the block's cases.
        values: Metric -> its value for each case, with length ``len(cases)``.
        latency_ms: Times of the policy's calls at the user's batch; may be empty.
        anchor_ms: Times of the anchor's calls, each taken directly beside the policy's call of the same index.
        loop_ms: Times of the denoising loop within the policy's calls.
        cache_bytes: Bytes that the policy's run stored at its most, at the user's batch.
        nfe: Steps of the policy that call the network.
        counts: Counter -> what it has counted in each of the policy's timed calls, as ``peak_mib``.
        sets: Figures between the sets of all blocks' pictures and the references, as ``fd_alex_32``; empty but for the last
            block of a measurement that began with the first.
    """

    cases: tuple[str, ...]
    values: Mapping[str, tuple[float, ...]]
    latency_ms: tuple[float, ...]
    anchor_ms: tuple[float, ...]
    loop_ms: tuple[float, ...]
    cache_bytes: int
    nfe: int
    counts: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    sets: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        assert all(len(values) == len(self.cases) for values in self.values.values()), "one value per case"
        assert len(self.latency_ms) == len(self.anchor_ms) == len(self.loop_ms), "times are taken in pairs"
        assert all(len(counts) == len(self.latency_ms) for counts in self.counts.values()), "one count per timed call"


@dataclass(frozen=True, slots=True)
class Result:
    """The figures of one policy, each with its 95 % interval.

    Arguments:
        latency_ms: Whole call: median of the paired ratios policy / anchor, times the anchor's latency.
        figures: Every quality figure by its name, as ``lpips_p90``.
        count: Pictures.
        timed: Timed calls.
        cache_bytes: Bytes that a run stored at its most.
        nfe: Steps that call the network.
        counts: Counter -> the mean of its counts.
    """

    latency_ms: Interval
    figures: Mapping[str, Interval]
    count: int
    timed: int
    cache_bytes: int
    nfe: int
    counts: Mapping[str, Interval] = field(default_factory=dict)


def summarise(measurements: Sequence[Measurement], *, anchor_ms: float) -> Result:
    """Returns the figures of one policy from its blocks.

    Arguments:
        measurements: The blocks measured so far, at least one with a timed call, all with the same metrics.
        anchor_ms: Latency of the anchor; the same one for all policies that are compared.

    Raises:
        MeasureError: If nothing was measured, or a value is not finite.
    """
    if not measurements:
        raise MeasureError("`measurements` must hold at least one block but got none. Consume the evaluator first.")
    values = {metric: [each for block in measurements for each in block.values[metric]] for metric in measurements[0].values}
    counts = {name: [each for block in measurements for each in block.counts[name]] for name in measurements[0].counts}
    latencies = [time for block in measurements for time in block.latency_ms]
    anchors = [time for block in measurements for time in block.anchor_ms]
    return Result(
        latency_ms=paired_ratio(latencies, anchors) * anchor_ms,
        figures=figures(values),
        count=sum(len(block.cases) for block in measurements),
        timed=len(latencies),
        cache_bytes=max(block.cache_bytes for block in measurements),
        nfe=measurements[0].nfe,
        counts={name: bootstrap(counted) for name, counted in counts.items()},
    )
