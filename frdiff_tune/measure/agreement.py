"""Whether what a policy states still holds: figure by figure, do the intervals overlap?"""

from dataclasses import dataclass

from frdiff_tune.errors import MeasureError
from frdiff_tune.measure.interval import Interval
from frdiff_tune.policy import Measured

ROUNDING = 2.0**-23
"""Machine epsilon of single precision, in which metrics compute: pictures that are the same are at 0 or a little above it."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """One figure, as stated and as measured again.

    Arguments:
        name: ``"speedup"``, or metric and statistic as ``"lpips_mean"``.
        unit: Unit of the figure; ``"1"`` for a pure number.
        stated: What the policy says.
        measured: What was measured now.
    """

    name: str
    unit: str
    stated: Interval
    measured: Interval

    @property
    def holds(self) -> bool:
        """Whether the two intervals overlap, but for rounding."""
        apart = max(self.stated.low - self.measured.high, self.measured.low - self.stated.high)
        return self.stated.overlaps(self.measured) or apart <= ROUNDING


def agreements(stated: Measured, measured: Measured) -> tuple[Agreement, ...]:
    """Returns the speed-up and every quality figure that both have.

    Absolute times are not among them: they move with the clock of the same machine, the ratio does not.

    Raises:
        MeasureError: If they have no quality figure in common.
    """
    again = {(row.metric, row.statistic, row.threshold): row for row in measured.quality}
    rows = [(row, again[key]) for row in stated.quality if (key := (row.metric, row.statistic, row.threshold)) in again]
    if not rows:
        raise MeasureError("`policy` must state a quality figure that is measured again but has none. Export it anew.")
    return (
        Agreement("speedup", "1", _speedup(stated), _speedup(measured)),
        *(
            Agreement(
                f"{old.metric}_{old.statistic}",
                old.unit,
                Interval(old.value, old.low, old.high),
                Interval(new.value, new.low, new.high),
            )
            for old, new in rows
        ),
    )


def holds(stated: Measured, measured: Measured) -> bool:
    """Returns whether every figure still holds."""
    return all(agreement.holds for agreement in agreements(stated, measured))


def _speedup(measured: Measured) -> Interval:
    return Interval(measured.speedup, measured.speedup_low, measured.speedup_high)
