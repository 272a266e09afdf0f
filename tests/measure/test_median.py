"""The interval of a median, and whether it still covers when measuring stops as soon as it is narrow."""

from collections.abc import Callable
from math import comb

import numpy as np
import pytest
from numpy.typing import NDArray

from frdiff_tune.errors import MeasureError
from frdiff_tune.measure import Interval
from frdiff_tune.measure.latency import Stopping
from frdiff_tune.measure.median import correlation_time, covering_rank, median_interval

Noise = Callable[[np.random.Generator, int], NDArray[np.float64]]  # rng, n -> n values with median 0
MEASUREMENTS = 400


def test_ends_by_hand() -> None:
    # Ten values, shuffled: the second and the ninth cover with 1 - 2 (1 + 10) / 2^10 = 97.9 %; the third would with 89 %.
    assert median_interval([5.0, 1.0, 8.0, 3.0, 9.0, 2.0, 10.0, 4.0, 6.0, 7.0]) == Interval(5.5, 2.0, 9.0)
    assert median_interval([2.0, 1.0, 3.0]) == Interval(2.0, 1.0, 3.0)
    with pytest.raises(MeasureError, match="finite"):
        median_interval([1.0, float("nan")])


@pytest.mark.parametrize("n", [6, 8, 16, 37, 64])
def test_the_rank_is_the_last_that_covers(n: int) -> None:
    def coverage(k: int) -> float:
        return 1 - 2 * float(sum(comb(n, j) for j in range(k))) / 2.0**n

    assert coverage(covering_rank(n)) >= 0.95 > coverage(covering_rank(n) + 1)


def test_a_drift_widens_the_interval() -> None:
    drifting, shuffled = np.arange(16.0), np.random.default_rng(0).permutation(16.0 * np.arange(16) / 16)
    assert correlation_time(shuffled) < 2 < correlation_time(drifting)
    assert median_interval(drifting.tolist()) == Interval(7.5, 0.0, 15.0)


def _normal(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    return rng.normal(size=n)


def _outliers(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    return np.asarray(rng.normal(size=n) * np.where(rng.random(n) < 0.2, 6, 1))


def _skewed(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    return np.asarray(rng.exponential(size=n) - np.log(2))


def _correlated(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    values = [rng.normal()]
    for step in rng.normal(size=n - 1) * 0.8:
        values.append(0.6 * values[-1] + step)
    return np.array(values)


@pytest.mark.parametrize("noise", [_normal, _outliers, _skewed, _correlated])
@pytest.mark.parametrize("size", [0.01, 0.03])
def test_measurements_that_stop_early_still_cover(noise: Noise, size: float) -> None:
    rng, rule, hits, pairs = np.random.default_rng(0), Stopping(0.02, 64), 0, 0
    for _ in range(MEASUREMENTS):
        ratios = 2 * (1 + size * noise(rng, rule.most))
        for n in rule.looks():
            found = median_interval(ratios[:n].tolist())
            if rule.reached(found):
                break
        hits, pairs = hits + (found.low <= 2 <= found.high), pairs + n
    assert hits >= 0.93 * MEASUREMENTS
    assert pairs < 60 * MEASUREMENTS
