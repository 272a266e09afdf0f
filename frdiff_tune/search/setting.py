"""What a study is measured with: the pipeline, its cases, and the evaluator that measures."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from frdiff_tune.measure import (
    COUNTERS,
    Case,
    Figure,
    Walk,
    cases_digest,
    counters,
    digest_of,
    load_cases,
    machine_digest,
    machine_info,
    picture_size,
    pipe_device,
    recording,
    shuffled,
    trajectory,
    weights_fingerprint,
)
from frdiff_tune.measure.bench import Bench
from frdiff_tune.policy import Machine
from frdiff_tune.runtime import Capture, Recording, Trajectory, load_pipeline
from frdiff_tune.search.autofr import Learnt, learnt_gates
from frdiff_tune.search.cost_figure import COSTS
from frdiff_tune.search.fitted_part import make_fit
from frdiff_tune.search.ledger import Place
from frdiff_tune.search.measures import Measures
from frdiff_tune.search.space import Space
from frdiff_tune.search.space_file import FITTED
from frdiff_tune.search.starting import AUTOFR
from frdiff_tune.search.study import Study

RECORDED = 4
"""Search cases to whose full runs forecasts of features are fitted."""
FOLLOWED = 8
"""Search cases to whose full runs jump scores are fitted, and in which keyframe sets are found."""
HELD_OUT_SEED = 1_000_000
"""Seeds of held-out cases count from here, so that no prompt and no noise of theirs was seen by the search."""


def cache_folder() -> Path:
    """Returns where references and recordings are kept: $FRDIFF_TUNE_CACHE, else frdiff-tune in the user's cache folder."""
    own = os.environ.get("FRDIFF_TUNE_CACHE")
    return Path(own) if own else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "frdiff-tune"


def open_pipeline(study: Study) -> Any:  # noqa: ANN401
    """Loads the study's pipeline onto its device.

    Raises:
        ModelError: If the model or the device is not to be had.
    """
    return load_pipeline(**study.file.model.model_dump(exclude={"extensions"}))


def search_cases(study: Study, pipe: Any) -> tuple[Case, ...]:  # noqa: ANN401
    """Returns the cases that the search compares.

    Raises:
        MeasureError: If the file cannot be used.
    """
    return load_cases(pipe, study.file.cases.search, study.file.cases.search_count)


def held_out_cases(study: Study, pipe: Any, seeds: int = 1) -> tuple[Case, ...]:  # noqa: ANN401
    """Returns the cases that the search never sees, each with so many seeds.

    Raises:
        MeasureError: If the file cannot be used.
    """
    cases = study.file.cases
    return load_cases(pipe, cases.held_out, cases.held_out_count, first_seed=HELD_OUT_SEED, seeds=seeds)


def walk_of(study: Study, pipe: Any, cases: tuple[Case, ...]) -> Walk:  # noqa: ANN401
    """Returns how many steps the study's calls walk.

    Raises:
        MeasureError: If the reference would walk none, or some cases fewer than others.
    """
    call = study.file.call
    walk = Walk(pipe, cases, call.arguments)
    walk.check(call.num_inference_steps)
    return walk


def make_evaluator(study: Study, pipe: Any, cases: tuple[Case, ...], further: Sequence[str] = ()) -> Measures:  # noqa: ANN401
    """Returns the evaluator of a study's question.

    Arguments:
        study: The question.
        pipe: Its pipeline.
        cases: What is drawn.
        further: Metrics beside those of every trial.
    """
    from frdiff_tune.measure import Evaluator

    return Evaluator(
        pipe,
        cases,
        cache_dir=cache_folder(),
        metrics=(*searched_metrics(study), *further),
        weights=study.file.measure.weights or None,
        counted=searched_counters(study),
        **measuring(study),
    )


def recording_of(
    study: Study,
    pipe: Any,  # noqa: ANN401
    cases: tuple[Case, ...],
    groups: Mapping[str, Sequence[str]],
) -> Recording:
    """Returns what the sites of groups keep in full runs of the first search cases, as forecasts are fitted to it.

    It is recorded once and kept beside the references, so that a study that goes on decodes to the same policies.
    """
    call, batch = study.file.call, study.file.cases.quality_batch
    return recording(
        pipe,
        cases[:RECORDED],
        groups,
        steps=call.num_inference_steps,
        call=call.arguments,
        batch=batch,
        folder=cache_folder(),
    )


def trajectory_of(study: Study, pipe: Any, cases: tuple[Case, ...]) -> Trajectory | None:  # noqa: ANN401
    """Returns full runs of the first search cases, or None where the study's space fits no jump scores.

    They are recorded once and kept beside the references, so that a study that goes on decodes to the same policies.
    """
    if study.space.forecast.fit[1] == 0:
        return None
    call = study.file.call
    return trajectory(
        pipe, cases[:FOLLOWED], steps=call.num_inference_steps, call=call.arguments, folder=cache_folder()
    )


def gates_of(study: Study, pipe: Any, cases: tuple[Case, ...]) -> tuple[Learnt, ...]:  # noqa: ANN401
    """Returns the gates that Auto-FR learns, none unless the study begins with them; they are learnt once and kept.

    Raises:
        MismatchError: If the pipeline cannot be unrolled.
    """
    if AUTOFR not in (study.file.search.starting_points or ()):
        return ()
    call = study.file.call
    steps, T = call.num_inference_steps, walk_of(study, pipe, cases).T(call.num_inference_steps)
    return learnt_gates(pipe, cases, call.arguments, steps=steps, T=T, folder=cache_folder())


def space_of(study: Study, pipe: Any, cases: tuple[Case, ...], bench: Bench | None = None) -> Space:  # noqa: ANN401
    """Returns the study's space on its pipeline; what it fits forecasts to is recorded, if it was not before.

    Arguments:
        study: The question.
        pipe: Its pipeline.
        cases: What is drawn.
        bench: Where weights of fitted steps are solved for; None: the space has no fitted steps, as on a recorded table.

    Raises:
        SpaceError: If the pipeline can run none of the solvers.
        MismatchError: If a group means no site.
    """
    call, batch, fit = study.file.call, study.file.cases.quality_batch, None
    if FITTED in study.space.steps.scheduler and bench is not None:
        steps, folder = call.num_inference_steps, cache_folder()
        fit = make_fit(bench, cases, study.space.fit, steps=steps, call=call.arguments, folder=folder, batch=batch)
    return Space(
        study.space,
        pipe,
        call.num_inference_steps,
        record=lambda groups: recording_of(study, pipe, cases, groups),
        captures=study.file.search.capture,
        walk=walk_of(study, pipe, cases),
        trajectory=trajectory_of(study, pipe, cases),
        gates=gates_of(study, pipe, cases),
        fit=fit,
    )


def measuring(study: Study) -> dict[str, Any]:
    """Returns how the study's pictures are made and timed: arguments of ``Evaluator`` and ``verify``."""
    call = study.file.call
    return {
        "steps": call.num_inference_steps,
        "call": call.arguments,
        "batch": call.batch,
        "quality_batch": study.file.cases.quality_batch,
    }


def searched_metrics(study: Study) -> tuple[str, ...]:
    """Returns the metrics that every trial is measured with: LPIPS, and those that objectives and limits name."""
    return tuple(dict.fromkeys(("lpips", *(Figure.parse(name).metric for name in named_figures(study) if name not in COSTS))))


def searched_counters(study: Study) -> tuple[str, ...]:
    """Returns the counters that are read in every trial: those that objectives and limits name."""
    return tuple(name for name in COUNTERS if name in named_figures(study))


def check_counters(study: Study, pipe: Any) -> None:  # noqa: ANN401
    """Checks that the pipeline's device counts what objectives and limits name.

    Raises:
        MeasureError: If it does not.
    """
    counters(searched_counters(study), pipe_device(pipe), study.file.call.batch)


def named_figures(study: Study) -> tuple[str, ...]:
    """Returns the figures that objectives and limits name."""
    return (*study.file.search.objectives, *(limit.name for limit in study.limits))


def precision(study: Study) -> dict[str, Any]:
    """Returns how surely an export is measured, on which no trial depends: arguments of ``verify``."""
    wanted = study.file.measure
    return {
        "latency_interval": wanted.latency_interval,
        "latency_calls": wanted.latency_calls,
        "throughput_batch": wanted.throughput_batch,
        "metrics": tuple(dict.fromkeys((*searched_metrics(study), *wanted.metrics))),
        "weights": wanted.weights or None,
        "floor_count": wanted.floor_count,
        "unpaired": wanted.unpaired or None,
    }


def machine_of(study: Study, pipe: Any, capture: Capture = "eager") -> Machine:  # noqa: ANN401
    """Returns the machine, with the batch and the resolution of the study's call, and how the network is launched."""
    height, width = picture_size(pipe, study.file.call.arguments)
    return machine_info(pipe, study.file.call.batch, height, width, capture)


def place_of(
    study: Study,
    pipe: Any,  # noqa: ANN401
    cases: tuple[Case, ...],
    capture: Capture = "eager",
    further: Sequence[str] = (),
    more: Mapping[str, Any] | None = None,
) -> Place:
    """Returns where the study's measurements of a way of launching belong in the ledger.

    Arguments:
        study: The study.
        pipe: Its pipeline.
        cases: What is drawn.
        capture: How the network is launched.
        further: Metrics beside those of every trial.
        more: What else they depend on, as JSON values.
    """
    own = pipe.scheduler
    scheduler = [type(own).__name__, sorted((key, repr(value)) for key, value in own.config.items() if key[0] != "_")]
    setting = {"cases": cases_digest(shuffled(cases)), "scheduler": scheduler, **measuring(study), **(more or {})}
    if (metrics := (*searched_metrics(study), *further)) != ("lpips",):
        setting["metrics"] = metrics
    if counted := searched_counters(study):
        setting["counters"] = counted
    return Place(
        model=weights_fingerprint(pipe),
        machine=machine_digest(machine_of(study, pipe, capture)),
        setting=digest_of(setting),
        study=study.name,
    )
