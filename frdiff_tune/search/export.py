"""Export: the chosen policy, measured again where the search never looked, written with its figures."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from frdiff_tune.errors import LimitError
from frdiff_tune.policy import Policy, Provenance
from frdiff_tune.search import setting
from frdiff_tune.search.choice import Pick, pick
from frdiff_tune.search.finalists import Finalist, again
from frdiff_tune.search.pareto import Point, front
from frdiff_tune.search.study import Study
from frdiff_tune.search.verification import Verified, limits_of, verify_point


@dataclass(frozen=True, slots=True)
class Export:
    """An exported policy.

    Arguments:
        policy: With what was measured on held-out cases, the machine and its provenance.
        point: What the search had measured of it.
        broken: The limits that the held-out figures do not keep, in words; the file says so as well.
        finalists: What was measured again with fresh seeds before it was chosen.
        remarks: What a reader must know of the choice, a sentence each: what was passed over, and why.
    """

    policy: Policy
    point: Point
    broken: tuple[str, ...]
    finalists: tuple[Finalist, ...] = ()
    remarks: tuple[str, ...] = ()


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

    A limit is kept when the upper end of the held-out 95 % interval keeps it. A finalist that does not keep it makes place for
    the next one. What was measured stays in the ledger: the same question is not measured twice.

    Arguments:
        study: The study that found it.
        wanted: Which point; None: the fastest within the study's floor; or ``knee``, or ``trial:N``.
        path: Where the file goes.
        force: Whether a policy that breaks a limit is written as well, marked.
        pipe: The study's pipeline, if it is loaded already.
        seeds: Seeds per held-out case.

    Raises:
        LimitError: If no point keeps the limits, or the held-out figures of no finalist do; then no file is written.
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
    ranking = yield from again(study, found, asked, pipe)
    verified = list[Verified]()
    for point in ranking.points:
        verified.append((yield from verify_point(study, asked, point, pipe, seeds)))
        if not verified[-1].broken:
            break
    chosen = min(verified, key=lambda each: each.beyond)  # 0 of the last one if it keeps all
    if chosen.broken and not force:
        raise LimitError(_refusal(verified, chosen))
    remarks = (ranking.remark, *(_passed_over(each) for each in verified if each is not chosen))
    policy = _documented(study, asked, chosen, pipe)
    policy.save(path)
    return Export(policy, chosen.point, chosen.broken, ranking.finalists, tuple(filter(None, remarks)))


def _passed_over(finalist: Verified) -> str:
    return f"Trial {finalist.trial} was passed over: on the held-out cases {'; '.join(finalist.broken)}."


def _refusal(verified: Sequence[Verified], nearest: Verified) -> str:
    """Returns that no finalist keeps the limits, which comes nearest, and what to do."""
    ends = f"on the held-out cases but {'; '.join(nearest.broken)}"
    if len(verified) == 1:
        cure = "Loosen the limit by that much, choose another point, or write it marked with --force."
        return f"Trial {nearest.trial} must keep its limits {ends}. {cure}"
    cure = "Loosen the limit by that much, raise `measure.finalists`, search longer, or write it marked with --force."
    return f"One of {len(verified)} finalists must keep its limits {ends}: trial {nearest.trial}, the nearest. {cure}"


def _documented(study: Study, asked: Pick, chosen: Verified, pipe: Any) -> Policy:  # noqa: ANN401
    """Returns a policy with what was measured of it, where, and where it comes from."""
    point, model = chosen.point, study.file.model
    within = not chosen.broken if limits_of(study, asked) else None
    return point.policy.replace(
        model=point.policy.model.model_copy(update={"source": model.source, "revision": model.revision}),
        measured=chosen.measured.model_copy(update={"within_limits": within}),
        machine=setting.machine_of(study, pipe, point.trial.capture),
        provenance=_provenance(study, point),
    )


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
