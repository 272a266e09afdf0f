"""The profile of a pipeline: what its steps cost, what reuse saves, and what changes from step to step."""

import json
from collections.abc import Generator, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from frdiff_tune.errors import MeasureError
from frdiff_tune.measure.bench import Bench
from frdiff_tune.measure.case import Case
from frdiff_tune.measure.hardware import machine_info
from frdiff_tune.measure.picture import checked_call, picture_size
from frdiff_tune.measure.profile_courses import Sites
from frdiff_tune.measure.profile_file import Changes, Profile, ProfiledCall
from frdiff_tune.measure.profile_worth import Worth
from frdiff_tune.measure.similarity import ENTRIES, Similarity, similarity
from frdiff_tune.measure.timing import arguments_of
from frdiff_tune.measure.walk import Walk
from frdiff_tune.runtime import Capture, default_groups, describe_model, match_groups
from frdiff_tune.runtime.families import GUIDANCE

ROUNDS = 5
SOLVERS = (
    "DDIMScheduler",
    "DPMSolverMultistepScheduler",
    "UniPCMultistepScheduler",
    "DEISMultistepScheduler",
    "EulerDiscreteScheduler",
)
"""Solvers whose jumps are timed beside the pipeline's own, as far as it can run them: those of the shipped search spaces."""

Result = TypeVar("Result")


def profile(
    pipe: Any,  # noqa: ANN401
    cases: Sequence[Case],
    call: Mapping[str, Any] | None = None,
    batch: int = 1,
    *,
    steps: int,
    groups: Mapping[str, Sequence[str]] | None = None,
    solvers: Iterable[str] | None = None,
    rounds: int = ROUNDS,
    similar: int | None = None,
    entries: int = ENTRIES,
    capture: Capture = "eager",
) -> Generator[tuple[int, int], None, Profile]:
    """Profiles a pipeline; yields what is done and what there is to do.

    Operations are counted first, then times are taken, then what changes from step to step is recorded, each apart: counting
    and recording would disturb the times. Of two networks that take turns, the first steps' is timed.

    Arguments:
        pipe: A diffusers pipeline without a policy; restored afterwards.
        cases: What to draw, in turn; those of the first one's kind are timed.
        call: Arguments that are the same for all cases.
        batch: Pictures per call.
        steps: ``num_inference_steps`` of the full run that speed-ups refer to, and that is recorded.
        groups: Group -> site names; None: those that the model has of itself.
        solvers: Class names of other solvers whose jumps are timed, as far as the pipeline can run them; None: ``SOLVERS``.
        rounds: How often everything is timed.
        similar: Cases that are recorded, the first ones; 0: none; None: all.
        entries: Entries that are recorded per site and sample of the network's batch, at most.
        capture: How the network is launched under a policy.

    Raises:
        MeasureError: If there is no round, or the cases do not walk alike.
        MismatchError: If a site is unknown, or a policy is on.
    """
    if rounds < 1:
        raise MeasureError(f"`rounds` must be 1 or more but got {rounds}. Use {ROUNDS}.")
    given = checked_call(call or {})
    walk, chosen, drawn = Walk(pipe, cases, given), _groups(pipe, groups), cases[:similar]
    walk.check(steps)
    parts = len(chosen), rounds, len(drawn)
    with Bench(pipe) as bench:
        worth = Worth(bench, chosen, walk, arguments_of(cases, given, batch), capture)
        yield from _shown(worth.count(), 0, parts)
        yield from _shown(worth.time(rounds, SOLVERS if solvers is None else tuple(solvers)), parts[0], parts)
    recording = similarity(pipe, drawn, chosen, steps=steps, call=given, entries=entries)
    changes = _changes((yield from _shown(recording, parts[0] + rounds, parts))) if drawn else None
    return Profile(
        model=describe_model(pipe),
        machine=machine_info(pipe, batch, *picture_size(pipe, given), capture),
        call=_called(pipe, given, batch, steps, walk.T(steps), capture),
        rounds=rounds,
        similarity=changes,
        **worth.fields(walk.T(steps)),
    )


def _shown(run: Generator[int, None, Result], before: int, parts: Sequence[int]) -> Generator[tuple[int, int], None, Result]:
    """Passes on how much of the whole is done, and returns what the part returns."""
    while True:
        try:
            yield before + next(run), sum(parts)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]


def _called(pipe: Any, given: Mapping[str, Any], batch: int, steps: int, T: int, capture: Capture) -> ProfiledCall:  # noqa: ANN401
    return ProfiledCall(
        num_inference_steps=steps,
        T=T,
        scheduler=type(pipe.scheduler).__name__,
        batch=batch,
        arguments={name: _plain(value) for name, value in given.items()},
        capture=capture,
    )


def _plain(value: Any) -> Any:  # noqa: ANN401
    """Returns a JSON value; of others, as pictures and tensors, the name of their class."""
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError):
        return type(value).__name__


def _groups(pipe: Any, groups: Mapping[str, Sequence[str]] | None) -> dict[str, Sites]:  # noqa: ANN401
    """Returns what is profiled, of sites that lie inside each other the outermost; the guidance pair stands alone."""
    found = match_groups(pipe, groups or default_groups(pipe))
    return {name: tuple(site for site in sites if site != GUIDANCE) or (GUIDANCE,) for name, sites in found.items()}


def _changes(found: Similarity) -> Changes:
    """Returns recorded changes as a file holds them, with five decimals."""
    rows = {
        name: tuple(tuple(round(float(value), 5) for value in row[:t]) for t, row in enumerate(change))
        for name, change in found.change.items()
    }
    return Changes(cases=found.cases, entries=found.entries, bound_bytes=found.bound_bytes, change=rows)
