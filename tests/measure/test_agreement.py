"""Agreement of a figure with what was stated: intervals that overlap, and nothing that rounding does."""

import pytest

from frdiff_tune.measure import Interval
from frdiff_tune.measure.agreement import Agreement


@pytest.mark.parametrize(
    ("stated", "measured", "holds"),
    [
        ((0.01, 0.008, 0.012), (0.013, 0.011, 0.015), True),
        ((0.01, 0.008, 0.012), (0.02, 0.013, 0.03), False),
        ((0.02, 0.013, 0.03), (0.01, 0.008, 0.012), False),
        ((0.0, 0.0, 0.0), (3e-8, 2e-8, 4e-8), True),
        ((3e-8, 2e-8, 4e-8), (0.0, 0.0, 0.0), True),
        ((0.0, 0.0, 0.0), (3e-5, 2e-5, 4e-5), False),
    ],
)
def test_a_figure_holds(stated: tuple[float, ...], measured: tuple[float, ...], holds: bool) -> None:
    assert Agreement("lpips_mean", "1", Interval(*stated), Interval(*measured)).holds is holds
