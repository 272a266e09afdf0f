"""Verification of a point: its figures on held-out cases, kept in the ledger, and the limits that they do not keep."""

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from frdiff_tune.measure import Figure, Interval, verification
from frdiff_tune.policy import Measured
from frdiff_tune.search import setting, storage
from frdiff_tune.search.choice import Pick
from frdiff_tune.search.cost_figure import of_measured
from frdiff_tune.search.ledger import Ledger
from frdiff_tune.search.limit import Limit
from frdiff_tune.search.pareto import Point
from frdiff_tune.search.study import Study


@dataclass(frozen=True, slots=True)
class Verified:
    """A point on held-out cases.

    Arguments:
        point: As the search has measured it.
        measured: What was measured.
        broken: The limits that it does not keep, in words.
        beyond: How far it is beyond them, added up as shares of the bounds.
    """

    point: Point
    measured: Measured
    broken: tuple[str, ...]
    beyond: float

    @property
    def trial(self) -> int:
        """Number of the trial."""
        return self.point.trial.number


def verify_point(
    study: Study,
    asked: Pick,
    point: Point,
    pipe: Any,  # noqa: ANN401
    seeds: int = 1,
) -> Generator[tuple[int, int], None, Verified]:
    """Measures a point on the held-out cases, unless that was done before, and holds its figures against the limits.

    Arguments:
        study: The study.
        asked: What is wanted of it.
        point: The point.
        pipe: The study's pipeline.
        seeds: Seeds per held-out case.

    Yields:
        What is done and what there is to do.
    """
    measured = yield from _measured(study, point, pipe, seeds)
    return Verified(point, measured, broken_limits(study, asked, measured), _beyond(study, asked, measured))


def _measured(
    study: Study,
    point: Point,
    pipe: Any,  # noqa: ANN401
    seeds: int,
) -> Generator[tuple[int, int], None, Measured]:
    """Returns the figures of a point on the held-out cases, measured if they were not before."""
    cases, capture = setting.held_out_cases(study, pipe, seeds), point.trial.capture
    ledger = Ledger(storage.open_storage(study.file.search.storage).engine)
    place = setting.place_of(study, pipe, cases, capture, more={"verification": _precision(study)})
    stored = ledger.verification(point.policy.digest, place)
    if stored is not None:
        return stored
    options = setting.measuring(study) | setting.precision(study)
    measured = yield from verification(
        pipe, point.policy, cases, cache_dir=setting.cache_folder(), capture=capture, **options
    )
    ledger.enter_verification(point.policy.digest, place, measured)
    return measured


def _precision(study: Study) -> dict[str, Any]:
    """Returns how surely an export is measured, as JSON values; of a folder of pictures, which files it holds."""
    values = {name: value for name, value in setting.precision(study).items() if name != "weights"}
    folder = Path(values["unpaired"] or "")
    if values["unpaired"] and folder.is_dir():
        files = ((file, file.stat()) for file in sorted(folder.rglob("*")))
        values["unpaired"] = [[str(file), state.st_size, state.st_mtime_ns] for file, state in files]
    return values


def limits_of(study: Study, asked: Pick) -> tuple[Limit, ...]:
    """Returns the limits: the study's, and those that were asked for."""
    return (*study.limits, *asked.limits)


def broken_limits(study: Study, asked: Pick, measured: Measured) -> tuple[str, ...]:
    """Returns the limits that the worse ends of the intervals do not keep, each in words."""
    ends = [(limit, limit.worst(figure)) for limit, figure in _bounded(study, asked, measured)]
    return tuple(_words(limit.name, end, limit.bound, limit.upper) for limit, end in ends if limit.excess(end) > 0)


def _beyond(study: Study, asked: Pick, measured: Measured) -> float:
    return sum(limit.share_beyond(figure) for limit, figure in _bounded(study, asked, measured))


def _bounded(study: Study, asked: Pick, measured: Measured) -> list[tuple[Limit, Interval]]:
    """Returns the limits, each with the figure that it bounds."""
    quality = {str(Figure(row.metric, row.statistic)): Interval(row.value, row.low, row.high) for row in measured.quality}
    figures = quality | of_measured(measured, study.file.call.batch)
    return [(limit, figures[limit.name]) for limit in limits_of(study, asked)]


def _words(name: str, worst: float, bound: float, upper: bool) -> str:
    end, side = ("upper", "above") if upper else ("lower", "below")
    return f"`{name}` reaches {worst:.4g} ({end} end of the 95 % interval), {abs(worst - bound):.4g} {side} {bound:g}"
