"""A study as a report: its figures, its chosen policies with their pictures, and the page that explains them."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from frdiff_tune.report.words import describe, launched, solver

if TYPE_CHECKING:
    from frdiff_tune.measure import Profile
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
        trials: Numbers of the trials that it looks at; none: the fastest within the floor, the best compromise, the closest
            and the fastest.
        pictures: Held-out pictures of each; 0: none, and no profile either, so that the model need not be loaded.
        profile: What is known of the model's steps; None: it is profiled.
        pipe: The study's pipeline, if it is loaded already.

    Raises:
        StudyError: If nothing was measured yet, a trial does not exist, or the folder cannot be written.
    """
    from frdiff_tune.report.pictured import pictured
    from frdiff_tune.search import front, open_pipeline

    found = front(study)
    chosen = looked_at(found, trials)
    drawn: dict[int, list[Pair]] = {}
    if pictures:
        pipe = open_pipeline(study) if pipe is None else pipe
        total = len(chosen) * (1 if profile else 2)
        for point, pairs in pictured(study, [point for _, point in chosen], found.reference.median_ms, pictures, pipe):
            drawn[point.trial.number] = pairs
            yield len(drawn), total
        if profile is None:
            profile = yield from _profiled(study, pipe)
    return _written(study, found, chosen, drawn, profile, command, _call(study, pipe), folder)


def looked_at(found: Front, trials: Sequence[int] = ()) -> list[tuple[str, Point]]:
    """Returns the policies that a report looks at, each once, with what they are.

    Arguments:
        found: What a study has measured.
        trials: Their numbers; none: the fastest within the floor, the best compromise, the closest to the reference and the
            fastest.

    Raises:
        StudyError: If a trial does not exist.
    """
    from frdiff_tune.errors import LimitError
    from frdiff_tune.search import Pick, pick
    from frdiff_tune.search.choice import within_floor

    if trials:
        return [("Asked for", pick(found, Pick(trial=number))) for number in dict.fromkeys(trials)]
    try:
        wanted = [("The best compromise", pick(found, Pick(knee=True)))]
    except LimitError:
        return [("The closest; none keeps the study's limits", min(found.points, key=lambda point: point.trial.lpips.value))]
    wanted = [("The fastest within the floor", point) for point in within_floor(found, Pick(), found.points)[:1]] + wanted
    able = [point for point in found.best if point.within_limits and point.trial.speedup.low > 1]
    close = [point for point in able if point.trial.lpips.value <= found.flip]
    if able:
        wanted.append(("The closest", min(able, key=lambda point: (point.trial.lpips.value, point.trial.latency_ms.value))))
    if close:
        bounded = any(limit.name == "lpips" for limit in found.limits)
        title = "The fastest within the limit" if bounded else "The fastest that keeps compositions"
        wanted.append((title, min(close, key=lambda point: point.trial.latency_ms.value)))
    once: dict[int, tuple[str, Point]] = {}
    for title, point in wanted:
        once.setdefault(point.trial.number, (title, point))
    return list(once.values())


def _call(study: Study, pipe: Any) -> str:  # noqa: ANN401
    """Returns what stands between the parentheses of a call; dots where the model was not loaded."""
    from frdiff_tune.report.exported import call_text
    from frdiff_tune.search import held_out_cases

    return "..." if pipe is None else call_text(held_out_cases(study, pipe)[0], study.file.call.arguments)


def _profiled(study: Study, pipe: Any) -> Generator[tuple[int, int], None, Profile]:  # noqa: ANN401
    """Profiles a study's model as the second half of the work; a page shows nothing of how long solvers take."""
    from frdiff_tune.report.profiled import question_of_study

    run = replace(question_of_study(study, pipe, RECORDED), solvers=()).profiling(RECORDED, ROUNDS)
    while True:
        try:
            done, total = next(run)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        yield total + done, 2 * total


def _written(
    study: Study,
    found: Front,
    chosen: Sequence[tuple[str, Point]],
    drawn: Mapping[int, Sequence[Pair]],
    profile: Profile | None,
    command: str,
    call: str,
    folder: Path,
) -> Report:
    """Writes the figures and the page."""
    from frdiff_tune.report import page, plates
    from frdiff_tune.report.policy_tables import machine_line
    from frdiff_tune.report.summary import study_sentences

    numbers = [point.trial.number for _, point in chosen]
    title, first = chosen[0]
    everything = {
        "front": plates.front_plate(study, found, first.trial.number),
        "calls": plates.calls_plate(found),
        "importance": plates.importance_plate(found),
        "growth": plates.growth_plate(study),
        "similarity": plates.similarity_plate(study, profile),
    }
    looks = [_look(study, title, point, drawn.get(point.trial.number, ()), command, call) for title, point in chosen]
    every = [*everything.values(), *(plate for look in looks for plate in (look["schedule"], look["pictures"]))]
    files = [path for plate in every if plate for path in plate.save(folder)]
    solvers = {point.policy.sampling.scheduler.name for point in found.points if point.trial.family == "known: full"}
    path = page.write_page(
        folder / PAGE,
        {
            **{name: plate and plate.placed() for name, plate in everything.items()},
            "floor": found.floor is not None and found.floor.value < found.flip,
            "name": study.name,
            "model": study.file.model.source,
            "reference_steps": study.file.call.num_inference_steps,
            "reference_solver": ", ".join(map(solver, sorted(solvers))) or "the pipeline's own solver",
            "machine_words": machine_line(found.machine) if found.machine else "machine unknown",
            "made": datetime.now(UTC).date().isoformat(),
            "facts": list(page.fact_cards(title, first, found)),
            "sentences": list(study_sentences(found)),
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


def _look(study: Study, title: str, point: Point, pairs: Sequence[Pair], command: str, call: str) -> dict[str, Any]:
    """Returns what the page says of one policy."""
    from frdiff_tune.report import plates
    from frdiff_tune.report.summary import apply_lines, digits

    trial = point.trial
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
