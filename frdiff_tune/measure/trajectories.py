"""Trajectories of full runs, made once per content and machine, on disk beside the references."""

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from frdiff_tune.measure.case import Case, call_arguments, digest_of
from frdiff_tune.measure.picture import quiet
from frdiff_tune.measure.recordings import SHELF
from frdiff_tune.measure.references import setting_of, stored
from frdiff_tune.measure.walk import Walk
from frdiff_tune.runtime import Trajectory, record_trajectory
from frdiff_tune.runtime.trajectory import ENTRIES

SCALES = ("true_cfg_scale", "guidance_scale")
"""Arguments by which pipelines of diffusers scale a guidance pair, the first one that a call has."""


def trajectory(
    pipe: Any,  # noqa: ANN401
    cases: Sequence[Case],
    *,
    steps: int,
    call: Mapping[str, Any],
    folder: Path,
) -> Trajectory:
    """Returns the trajectories of full runs of some cases, from the disk if they were recorded before.

    Whoever asks for the same gets the same numbers, to the last bit: what is fitted to them is part of a policy's digest.

    Arguments:
        pipe: A diffusers pipeline without a policy.
        cases: What to draw, one at a time.
        steps: The reference's step count.
        call: Arguments that are the same for all cases.
        folder: Where recordings are kept.

    Raises:
        MeasureError: If the folder cannot be written.
        MismatchError: If a policy is on.
    """
    drawn = [case.digest for case in cases]
    key = digest_of(["trajectory", setting_of(pipe, steps, call), drawn, ENTRIES])
    return stored(folder, key, lambda: _recorded(pipe, cases, steps, call), SHELF)


def _recorded(pipe: Any, cases: Sequence[Case], steps: int, call: Mapping[str, Any]) -> Trajectory:  # noqa: ANN401
    T, scale = Walk(pipe, cases, call).T(steps), guidance_of(pipe, call)
    with quiet(pipe), record_trajectory(pipe, steps, T=T, guidance=scale) as records:
        for case in cases:
            pipe(**{**call, **call_arguments([case])}, num_inference_steps=steps, output_type="latent")
    return records.trajectory


def guidance_of(pipe: Any, call: Mapping[str, Any]) -> float:  # noqa: ANN401
    """Returns the scale with which a call guides, 1.0 where its pipeline has no such argument."""
    known = inspect.signature(pipe.__call__).parameters
    name = next((name for name in SCALES if name in known), None)
    return 1.0 if name is None else float(call.get(name, known[name].default))
