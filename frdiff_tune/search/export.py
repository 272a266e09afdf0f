"""Export: the chosen policy, measured again where the search never looked, written with its figures."""

from collections.abc import Generator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from frdiff_tune.errors import LimitError
from frdiff_tune.measure import Figure, Interval, verification
from frdiff_tune.policy import Measured, Policy, Provenance
from frdiff_tune.search import setting
from frdiff_tune.search.choice import Pick, pick
from frdiff_tune.search.cost_figure import of_measured
from frdiff_tune.search.finalists import Finalist, again
from frdiff_tune.search.limit import Limit
from frdiff_tune.search.pareto import Point, front
from frdiff_tune.search.study import Study


@dataclass(frozen=True, slots=True)
class Export:
    """An exported policy.

    Arguments:
        policy: With what was measured on held-out cases, the machine and its provenance.
        point: What the search had measured of it.
        broken: The limits that the held-out figures do not keep, in words; the file says so as well.
        finalists: What was measured again with fresh seeds before it was chosen.
    """

    policy: Policy
    point: Point
    broken: tuple[str, ...]
    finalists: tuple[Finalist, ...] = ()


def export_policy(
    study: Study,
    wanted: Pick | str | None,
    path: str | Path,
    *,
    force: bool = False,
    pipe: Any = None,  # noqa: ANN401
    seeds: int = 1,
) -> Export:
    """Chooses a policy, measures it on the held-out cases, and writes it with its figures.

    A limit is kept when the upper end of the held-out 95 % interval keeps it.

    Arguments:
        study: The study that found it.
        wanted: Which point; None: the knee; or ``trial:N``.
        path: Where the file goes.
        force: Whether a policy that breaks a limit is written as well, marked.
        pipe: The study's pipeline, if it is loaded already.
        seeds: Seeds per held-out case.

    Raises:
        LimitError: If no point keeps the limits, or the held-out figures do not; then no file is written.
        PolicyError: If the file cannot be written.
    """
    run = exporting(study, wanted, path, force=force, pipe=pipe, seeds=seeds)
    while True:
        try:
            next(run)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]


def exporting(
    study: Study,
    wanted: Pick | str | None,
    path: str | Path,
    *,
    force: bool = False,
    pipe: Any = None,  # noqa: ANN401
    seeds: int = 1,
) -> Generator[tuple[int, int], None, Export]:
    """Does what ``export_policy`` does; yields what is done and what there is to do.

    Raises:
        LimitError: As there.
        MeasureError: If the device does not count what the study names.
    """
    asked = Pick.parse(wanted) if isinstance(wanted, str) else wanted or Pick()
    found = front(study)
    pick(found, asked)  # what cannot be had is said before the pipeline is loaded
    pipe = setting.open_pipeline(study) if pipe is None else pipe
    setting.check_counters(study, pipe)
    point, finalists = yield from again(study, found, asked, pipe)
    cases = setting.held_out_cases(study, pipe, seeds)
    capture = point.trial.capture
    options = setting.measuring(study) | setting.precision(study)
    measured = yield from verification(
        pipe, point.policy, cases, cache_dir=setting.cache_folder(), capture=capture, **options
    )
    broken = broken_limits(study, asked, measured)
    limited = bool(limits_of(study, asked))
    if broken and not force:
        raise LimitError(
            f"Trial {point.trial.number} must keep its limits on the held-out cases but {'; '.join(broken)}. "
            f"Loosen the limit by that much, choose another point, or write it marked with --force."
        )
    model = study.file.model
    policy = point.policy.replace(
        model=point.policy.model.model_copy(update={"source": model.source, "revision": model.revision}),
        measured=measured.model_copy(update={"within_limits": not broken if limited else None}),
        machine=setting.machine_of(study, pipe, capture),
        provenance=_provenance(study, point),
    )
    policy.save(path)
    return Export(policy=policy, point=point, broken=broken, finalists=finalists)


def limits_of(study: Study, asked: Pick) -> tuple[Limit, ...]:
    """Returns the limits: the study's, and those that were asked for."""
    wanted = {"lpips": asked.max_lpips, "latency_ms": asked.max_latency_ms}
    return (*study.limits, *(Limit(name, bound) for name, bound in wanted.items() if bound is not None))


def broken_limits(study: Study, asked: Pick, measured: Measured) -> tuple[str, ...]:
    """Returns the limits that the worse ends of the intervals do not keep, each in words."""
    quality = {str(Figure(row.metric, row.statistic)): Interval(row.value, row.low, row.high) for row in measured.quality}
    found = quality | of_measured(measured, study.file.call.batch)
    worst = [(limit, limit.worst(found[limit.name])) for limit in limits_of(study, asked)]
    return tuple(_words(limit.name, end, limit.bound, limit.upper) for limit, end in worst if limit.excess(end) > 0)


def _words(name: str, worst: float, bound: float, upper: bool) -> str:
    end, side = ("upper", "above") if upper else ("lower", "below")
    return f"`{name}` reaches {worst:.4g} ({end} end of the 95 % interval), {abs(worst - bound):.4g} {side} {bound:g}"


def _provenance(study: Study, point: Point) -> Provenance:
    search = study.file.search
    return Provenance(
        study=study.name,
        trial=point.trial.number,
        parameters=dict(point.trial.params),
        sampler=search.sampler,
        seed=search.seed,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        frdiff_tune=version("frdiff-tune"),
    )
