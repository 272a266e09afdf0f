"""A study as a report: its figures, its chosen policies with their pictures, and the page that explains them."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from frdiff_tune.report.words import describe, launched, solver

if TYPE_CHECKING:
    from frdiff_tune.measure import Case, Profile
    from frdiff_tune.report.side_by_side import Pair
    from frdiff_tune.search import Front, Point, Study

PAGE = "report.html"
RECORDED, ROUNDS = 4, 3
"""Full runs that are recorded for what changes from step to step, and how often a profile times everything."""


@dataclass(frozen=True, slots=True)
class Report:
    """A written report.

    Arguments:
        page: The page, which needs no other file.
        files: Its figures, each as PNG and as SVG.
    """

    page: Path
    files: tuple[Path, ...]


def reporting(
    study: Study,
    folder: Path,
    *,
    command: str,
    trials: Sequence[int] = (),
    pictures: int = 4,
    profile: Profile | None = None,
    pipe: Any = None,  # noqa: ANN401 - a diffusers pipeline
) -> Generator[tuple[int, int], None, Report]:
    """Writes the report of a study; yields what is done and what there is to do.

    Arguments:
        study: The study.
        folder: Where page and figures go.
        command: What a person types to name the study.
        trials: Numbers of the trials that it looks at; none: the best compromise, the closest and the fastest.
        pictures: Held-out pictures of each; 0: none, and no profile either, so that the model need not be loaded.
        profile: What is known of the model's steps; None: it is profiled.
        pipe: The study's pipeline, if it is loaded already.

    Raises:
        StudyError: If nothing was measured yet, a trial does not exist, or the folder cannot be written.
    """
    from frdiff_tune.search import front, held_out_cases, open_pipeline

    found = front(study)
    chosen = looked_at(found, trials)
    drawn: dict[int, list[Pair]] = {}
    cases: tuple[Case, ...] = ()
    if pictures:
        pipe = open_pipeline(study) if pipe is None else pipe
        cases = held_out_cases(study, pipe)[:pictures]
        total = len(chosen) * len(cases) * (1 if profile else 2)
        for point in chosen.values():
            for pair in _pairs(study, point, pipe, cases):
                drawn.setdefault(point.trial.number, []).append(pair)
                yield sum(map(len, drawn.values())), total
        if profile is None:
            profile = yield from _profiled(study, pipe, total // 2)
    return _written(study, found, chosen, drawn, cases, profile, command, folder)


def looked_at(found: Front, trials: Sequence[int] = ()) -> dict[str, Point]:
    """Returns the policies that a report looks at: title -> point, each once.

    Arguments:
        found: What a study has measured.
        trials: Their numbers; none: the best compromise, the closest to the reference and the fastest.

    Raises:
        StudyError: If a trial does not exist.
    """
    from frdiff_tune.errors import LimitError
    from frdiff_tune.report.summary import FLIP
    from frdiff_tune.search import Pick, pick

    if trials:
        return {f"Asked for ({number})": pick(found, Pick(trial=number)) for number in dict.fromkeys(trials)}
    try:
        wanted = {"The best compromise": pick(found)}
    except LimitError:
        closest = min(found.points, key=lambda point: point.trial.lpips.value)
        return {"The closest; none keeps the study's limits": closest}
    able = [point for point in found.best if point.within_limits and point.trial.speedup.low > 1]
    close = [point for point in able if point.trial.lpips.value <= FLIP]
    if able:
        wanted["The closest"] = min(able, key=lambda point: (point.trial.lpips.value, point.trial.latency_ms.value))
    if close:
        wanted["The fastest that keeps compositions"] = min(close, key=lambda point: point.trial.latency_ms.value)
    seen: dict[int, str] = {}
    return {title: point for title, point in wanted.items() if seen.setdefault(point.trial.number, title) == title}


def _pairs(study: Study, point: Point, pipe: Any, cases: Sequence[Case]) -> Iterator[Pair]:  # noqa: ANN401
    from frdiff_tune.report.pairs import pairs

    call = study.file.call
    yield from pairs(pipe, point.policy, cases, call.arguments, steps=call.num_inference_steps)


def _profiled(study: Study, pipe: Any, share: int) -> Generator[tuple[int, int], None, Profile]:  # noqa: ANN401
    """Profiles a study's model as the second half of the work."""
    from frdiff_tune.report.profiled import question_of_study

    run = question_of_study(study, pipe, RECORDED).profiling(RECORDED, ROUNDS)
    while True:
        try:
            done, total = next(run)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        yield round(share * (1 + done / total)), 2 * share


def _written(
    study: Study,
    found: Front,
    chosen: Mapping[str, Point],
    drawn: Mapping[int, Sequence[Pair]],
    cases: Sequence[Case],
    profile: Profile | None,
    command: str,
    folder: Path,
) -> Report:
    """Writes the figures and the page."""
    from frdiff_tune.report import page, plates
    from frdiff_tune.report.points import points_of
    from frdiff_tune.report.policy_tables import machine_line
    from frdiff_tune.report.summary import found as sentences

    numbers = [point.trial.number for point in chosen.values()]
    first = next(iter(chosen.values()))
    everything = {
        "front": plates.front_plate(study, found, first.trial.number),
        "importance": plates.importance_plate(found),
        "growth": plates.growth_plate(study),
        "similarity": plates.similarity_plate(study, profile),
    }
    looks = [_look(study, title, point, drawn.get(point.trial.number, ()), cases, command) for title, point in chosen.items()]
    every = [*everything.values(), *(plate for look in looks for plate in (look["schedule"], look["pictures"]))]
    files = [path for plate in every if plate for path in plate.save(folder)]
    solvers = {point.policy.sampling.scheduler.name for point in found.points if point.trial.family == "known: full"}
    path = page.write_page(
        folder / PAGE,
        {
            **{name: plate and plate.placed() for name, plate in everything.items()},
            "name": study.name,
            "model": study.file.model.source,
            "reference_steps": study.file.call.num_inference_steps,
            "reference_solver": ", ".join(map(solver, sorted(solvers))) or "the pipeline's own solver",
            "machine_words": machine_line(found.machine) if found.machine else "machine unknown",
            "made": datetime.now(UTC).date().isoformat(),
            "facts": list(page.fact_cards(first, found)),
            "sentences": list(sentences(points_of(found), found.reference.median_ms, found.failures, found.stopped)),
            "rows": list(page.front_rows(found, numbers)),
            "further": page.headings(found),
            "policies": [
                look | {name: plate and plate.placed() for name, plate in look.items() if name in ("schedule", "pictures")}
                for look in looks
            ],
            "groups": list(page.group_rows(profile)) if profile else [],
            "machine": list(page.machine_rows(found.machine)) if found.machine else [],
            "words": list(page.word_rows()),
        },
    )
    return Report(path, tuple(files))


def _look(study: Study, title: str, point: Point, pairs: Sequence[Pair], cases: Sequence[Case], command: str) -> dict[str, Any]:
    """Returns what the page says of one policy."""
    from frdiff_tune.report import plates
    from frdiff_tune.report.exported import call_text
    from frdiff_tune.report.summary import apply_lines, digits

    trial = point.trial
    call = call_text(cases[0], study.file.call.arguments) if cases else "..."
    file = Path(f"policy-{trial.number}.json")
    return {
        "title": title,
        "trial": trial.number,
        "words": (
            f"{describe(point.policy)}{launched(trial.capture)}. {trial.speedup.value:.2f} times faster than the reference, "
            f"mean LPIPS {digits(trial.lpips.value)} ({digits(trial.lpips.low)} to {digits(trial.lpips.high)}) on the "
            f"{trial.count} pictures of the search."
        ),
        "schedule": plates.schedule_plate(point),
        "pictures": plates.pictures_plate(study, point, pairs) if pairs else None,
        "export": f"frdiff-tune export {command} --pick trial:{trial.number} -o {file}",
        "apply": "\n".join(apply_lines(file, call, trial.capture)),
    }
