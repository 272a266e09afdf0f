"""What a profile is asked of: a model, or a study with its own call, cases and groups."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from frdiff_tune.measure import Case, Profile
    from frdiff_tune.search import Study

STEPS = 50  # of a model's full run


@dataclass(frozen=True, slots=True)
class Question:
    """What is profiled, and how it is called.

    Arguments:
        source: Where the model comes from.
        pipe: The pipeline.
        groups: Group -> site names.
        cases: What to draw.
        steps: Step count of the full run.
        call: Arguments that are the same for all cases.
        batch: Pictures per call.
        solvers: Class names of solvers whose jumps are timed; None: those of the shipped spaces.
    """

    source: str
    pipe: Any
    groups: Mapping[str, tuple[str, ...]]
    cases: tuple[Case, ...]
    steps: int
    call: Mapping[str, Any]
    batch: int = 1
    solvers: tuple[str, ...] | None = None

    def profiling(self, recorded: int, rounds: int) -> Generator[tuple[int, int], None, Profile]:
        """Profiles it; yields what is done and what there is to do.

        Arguments:
            recorded: Cases that are recorded.
            rounds: How often everything is timed.
        """
        from frdiff_tune.measure import profile

        return profile(
            self.pipe,
            self.cases,
            self.call,
            self.batch,
            steps=self.steps,
            groups=self.groups,
            rounds=rounds,
            similar=recorded,
            solvers=self.solvers,
        )


def question_of(name: str, *, prompt: str, steps: int | None, cases: int, device: str, dtype: str) -> Question:
    """Returns what to profile.

    Arguments:
        name: A study, by bare name or path, or the source of a model.
        prompt: What to draw instead of the study's cases; empty: those, or any.
        steps: Step count of the full run; None: the study's, else 50.
        cases: How many cases to draw.
        device: Where the networks run; empty: where the study says, else the GPU if there is one.
        dtype: Of the networks; empty: as the study says, else the files' own.

    Raises:
        FrdiffError: If the study or the model is not to be had.
    """
    from frdiff_tune.search.location import shipped

    if Path(name).suffix == ".toml" or name in shipped("studies"):
        return _of_study(name, prompt, steps, cases, device, dtype)
    from frdiff_tune.runtime import default_groups, load_pipeline

    pipe = load_pipeline(name, device=device, dtype=dtype)
    return Question(name, pipe, default_groups(pipe), _typed(pipe, prompt, cases), steps or STEPS, {})


def _of_study(name: str, prompt: str, steps: int | None, cases: int, device: str, dtype: str) -> Question:
    from dataclasses import replace

    from frdiff_tune.search import load_study, open_pipeline

    study = _placed(load_study(name), device, dtype)
    found = question_of_study(study, open_pipeline(study), cases)
    drawn = _typed(found.pipe, prompt, cases) if prompt else found.cases
    return replace(found, cases=drawn, steps=steps or found.steps)


def question_of_study(study: Study, pipe: Any, cases: int) -> Question:  # noqa: ANN401 - a diffusers pipeline
    """Returns what to profile of a study: its own groups, as it calls the pipeline.

    Arguments:
        study: The study.
        pipe: Its pipeline.
        cases: How many of its cases to draw.
    """
    from frdiff_tune.search import search_cases
    from frdiff_tune.search.grouping import resolve_groups

    call = study.file.call
    return Question(
        source=study.file.model.source,
        pipe=pipe,
        groups=resolve_groups(pipe, study.space.groups),
        cases=search_cases(study, pipe)[:cases],
        steps=call.num_inference_steps,
        call=call.arguments,
        batch=call.batch,
        solvers=study.space.steps.scheduler,
    )


def _placed(study: Study, device: str, dtype: str) -> Study:
    """Returns a study on another device, or in another dtype."""
    from dataclasses import replace

    changed = {key: value for key, value in (("device", device), ("dtype", dtype)) if value}
    model = study.file.model.model_copy(update=changed)
    return replace(study, file=study.file.model_copy(update={"model": model}))


def _typed(pipe: Any, prompt: str, count: int) -> tuple[Case, ...]:  # noqa: ANN401
    """Returns so many cases of one prompt, each with a seed of its own."""
    from dataclasses import replace

    from frdiff_tune.report.cases import case_of

    case = case_of(pipe, prompt)
    return tuple(replace(case, seed=seed) for seed in range(count))
