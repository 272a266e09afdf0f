"""Agreement of a figure with what was stated: intervals that overlap, but for rounding."""

import pytest

from frdiff_tune.measure import Interval
from frdiff_tune.measure.agreement import Agreement


@pytest.mark.parametrize(
    ("stated", "measured", "holds"),
    [
        ((0.01, 0.008, 0.012), (0.013, 0.011, 0.015), True),
        ((0.01, 0.008, 0.012), (0.02, 0.013, 0.03), False),
        ((0.02, 0.013, 0.03), (0.01, 0.008, 0.012), False),
        ((0.0, 0.0, 0.0), (3.3e-13, 3.2e-13, 3.4e-13), True),  # the embedded model, every step computed, drawn twice
        ((3.3e-13, 3.2e-13, 3.4e-13), (0.0, 0.0, 0.0), True),
        ((0.0, 0.0, 0.0), (3e-7, 2e-7, 4e-7), False),
    ],
)
def test_a_figure_holds(stated: tuple[float, ...], measured: tuple[float, ...], holds: bool) -> None:
    assert Agreement("lpips_mean", "1", Interval(*stated), Interval(*measured)).holds is holds
