"""Recordings of full runs, made once per content and machine, on disk beside the references."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from frdiff_tune.measure.case import Case, blocks, digest_of
from frdiff_tune.measure.picture import quiet, render
from frdiff_tune.measure.references import setting_of, stored
from frdiff_tune.measure.walk import Walk
from frdiff_tune.runtime import Recording, record
from frdiff_tune.runtime.recording import ENTRIES

if TYPE_CHECKING:
    from frdiff_tune.runtime.bases.fitted import Gram

    Kept = tuple[tuple[float, ...], dict[str, Gram]]

SHELF = "recordings"


def recording(
    pipe: Any,  # noqa: ANN401
    cases: Sequence[Case],
    groups: Mapping[str, Sequence[str]],
    *,
    steps: int,
    call: Mapping[str, Any],
    batch: int,
    folder: Path,
) -> Recording:
    """Returns what the sites of groups keep in full runs of some cases, from the disk if it was recorded before.

    Whoever asks for the same gets the same numbers, to the last bit: what is fitted to them is part of a policy's digest.

    Arguments:
        pipe: A diffusers pipeline without a policy.
        cases: What to draw.
        groups: Group -> site names.
        steps: The reference's step count.
        call: Arguments that are the same for all cases.
        batch: Pictures per call.
        folder: Where recordings are kept.

    Raises:
        MeasureError: If the folder cannot be written, or a picture is not finite.
        MismatchError: If a site is unknown, or a policy is on.
    """
    parts = blocks(cases, batch)
    sites = sorted({site for names in groups.values() for site in names})
    drawn = [[case.digest for case in part] for part in parts]
    key = digest_of([setting_of(pipe, steps, call), drawn, sites, ENTRIES])
    times, grams = stored(folder, key, lambda: _recorded(pipe, parts, groups, steps, call), SHELF)
    return Recording(times, grams)


def _recorded(
    pipe: Any,  # noqa: ANN401
    parts: Sequence[Sequence[Case]],
    groups: Mapping[str, Sequence[str]],
    steps: int,
    call: Mapping[str, Any],
) -> "Kept":
    T = Walk(pipe, [case for part in parts for case in part], call).T(steps)
    with quiet(pipe), record(pipe, steps, groups, T=T) as records:
        for part in parts:
            render(partial(pipe, num_inference_steps=steps), part, call)
    found = records.recording
    return found.times, dict(found.grams)
