"""What the evaluator yields, block by block, and what it adds up to."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from frdiff_tune.errors import MeasureError
from frdiff_tune.measure.interval import Interval, bootstrap, share
from frdiff_tune.measure.latency import paired_ratio

FLIP = 0.05  # LPIPS above which a picture counts as another composition


@dataclass(frozen=True, slots=True)
class Measurement:
    """One block of cases under one policy.

    Arguments:
        cases: Digests of the block's cases.
        lpips: LPIPS of each case against its reference, with length ``len(cases)``.
        latency_ms: Times of the policy's calls at the user's batch; may be empty.
        anchor_ms: Times of the anchor's calls, each taken directly beside the policy's call of the same index.
        loop_ms: Times of the denoising loop within the policy's calls.
        cache_bytes: Bytes that the policy's run stored at its most, at the user's batch.
        nfe: Steps of the policy that call the network.
    """

    cases: tuple[str, ...]
    lpips: tuple[float, ...]
    latency_ms: tuple[float, ...]
    anchor_ms: tuple[float, ...]
    loop_ms: tuple[float, ...]
    cache_bytes: int
    nfe: int

    def __post_init__(self) -> None:
        assert len(self.lpips) == len(self.cases), "one LPIPS per case"
        assert len(self.latency_ms) == len(self.anchor_ms) == len(self.loop_ms), "times are taken in pairs"


@dataclass(frozen=True, slots=True)
class Result:
    """The figures of one policy, each with its 95 % interval.

    Arguments:
        latency_ms: Whole call: median of the paired ratios policy / anchor, times the anchor's latency.
        lpips_mean: Mean LPIPS.
        lpips_median: Median LPIPS.
        lpips_p90: 90th percentile of LPIPS.
        flips: Share of pictures with LPIPS above ``threshold``.
        threshold: What counts as a flip.
        count: Pictures.
        timed: Timed calls.
        cache_bytes: Bytes that a run stored at its most.
        nfe: Steps that call the network.
    """

    latency_ms: Interval
    lpips_mean: Interval
    lpips_median: Interval
    lpips_p90: Interval
    flips: Interval
    threshold: float
    count: int
    timed: int
    cache_bytes: int
    nfe: int

    def statistic(self, name: Literal["mean", "median", "p90", "flips"]) -> Interval:
        """Returns one of the quality figures by name."""
        return {"mean": self.lpips_mean, "median": self.lpips_median, "p90": self.lpips_p90, "flips": self.flips}[name]


def summarise(measurements: Sequence[Measurement], *, anchor_ms: float, flip: float = FLIP) -> Result:
    """Returns the figures of one policy from its blocks.

    Arguments:
        measurements: The blocks measured so far, at least one with a timed call.
        anchor_ms: Latency of the anchor; the same one for all policies that are compared.
        flip: LPIPS above which a picture counts as flipped.

    Raises:
        MeasureError: If nothing was measured, or a value is not finite.
    """
    if not measurements:
        raise MeasureError("`measurements` must hold at least one block but got none. Consume the evaluator first.")
    distances = [distance for block in measurements for distance in block.lpips]
    latencies = [time for block in measurements for time in block.latency_ms]
    anchors = [time for block in measurements for time in block.anchor_ms]
    mean, median, p90, flips = lpips_intervals(distances, flip)
    return Result(
        latency_ms=paired_ratio(latencies, anchors) * anchor_ms,
        lpips_mean=mean,
        lpips_median=median,
        lpips_p90=p90,
        flips=flips,
        threshold=flip,
        count=len(distances),
        timed=len(latencies),
        cache_bytes=max(block.cache_bytes for block in measurements),
        nfe=measurements[0].nfe,
    )


def lpips_intervals(distances: Sequence[float], flip: float = FLIP) -> tuple[Interval, Interval, Interval, Interval]:
    """Returns mean, median, 90th percentile and share of flips, each with its interval.

    Arguments:
        distances: LPIPS per picture.
        flip: LPIPS above which a picture counts as flipped.
    """
    return (
        bootstrap(distances, "mean"),
        bootstrap(distances, "median"),
        bootstrap(distances, "p90"),
        share(sum(distance > flip for distance in distances), len(distances)),
    )
