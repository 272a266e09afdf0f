import numpy as np
import pytest

from frdiff_tune.errors import MeasureError
from frdiff_tune.measure import Interval, bootstrap, share


def test_statistics_by_hand() -> None:
    assert bootstrap([1.0, 2.0, 6.0], "mean").value == 3.0
    assert bootstrap([1.0, 2.0, 6.0], "median").value == 2.0
    assert bootstrap([float(i) for i in range(11)], "p90").value == pytest.approx(9.0)


def test_two_samples_give_every_resample() -> None:
    # The mean of a resample of (0, 1) is 0, 1/2 or 1 with chance 1/4, 1/2, 1/4: both tails reach the ends.
    assert bootstrap([0.0, 1.0]) == Interval(0.5, 0.0, 1.0)


def test_one_sample_and_equal_samples_have_no_width() -> None:
    assert bootstrap([3.0], "p90") == Interval(3.0, 3.0, 3.0)
    assert bootstrap([0.25] * 7, "median") == Interval(0.25, 0.25, 0.25)


def test_the_same_samples_give_the_same_ends() -> None:
    samples = np.random.default_rng(1).normal(size=20)
    assert bootstrap(samples) == bootstrap(samples.tolist())
    assert bootstrap(samples) != bootstrap(samples, seed=1)


def test_intervals_cover_the_truth() -> None:
    rng = np.random.default_rng(0)
    for statistic, truth in (("mean", 0.0), ("median", 0.0)):
        intervals = [bootstrap(rng.normal(size=40), statistic) for _ in range(200)]  # type: ignore[arg-type]
        covered = sum(interval.low <= truth <= interval.high for interval in intervals)
        assert 176 <= covered <= 199  # 95 % of 200 is 190; the binomial's deviation is 3, the small sample costs some


def test_wilson_by_hand() -> None:
    # 0 of 10: the upper end is z^2 / (n + z^2) = 3.84146 / 13.84146.
    assert share(0, 10).low == 0.0
    assert share(0, 10).high == pytest.approx(3.84146 / 13.84146, abs=1e-5)
    assert share(5, 10).low == pytest.approx(0.23659, abs=1e-5)
    assert share(5, 10).high == pytest.approx(0.76341, abs=1e-5)
    assert share(10, 10).high == 1.0


def test_scale_and_overlap() -> None:
    assert Interval(2.0, 1.0, 3.0) * 2.0 == Interval(4.0, 2.0, 6.0)
    assert Interval(2.0, 1.0, 3.0).overlaps(Interval(4.0, 3.0, 5.0))
    assert not Interval(2.0, 1.0, 3.0).overlaps(Interval(4.0, 3.5, 5.0))


@pytest.mark.parametrize(("samples", "named"), [([], "at least one"), ([1.0, float("nan")], "finite but got nan")])
def test_bad_samples(samples: list[float], named: str) -> None:
    with pytest.raises(MeasureError, match=named):
        bootstrap(samples)


def test_bad_counts_and_ends() -> None:
    for hits, count in ((3, 2), (-1, 2), (0, 0)):
        with pytest.raises(MeasureError, match=f"got {hits} of {count}"):
            share(hits, count)
    with pytest.raises(MeasureError, match="low <= value <= high but got 2.0, 1.0, 3.0"):
        Interval(1.0, 2.0, 3.0)
