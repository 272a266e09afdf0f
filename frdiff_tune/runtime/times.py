"""Timesteps: which entry of a scheduler's list one is, without waiting for the device where that can be avoided."""

from collections.abc import Sequence
from typing import Any


def number(timestep: Any) -> float:  # noqa: ANN401
    """Returns a timestep as a number; of one per token the greatest, for tokens that are known already are at 0."""
    return float(timestep.max() if hasattr(timestep, "max") else timestep)


def nearest(times: Sequence[float], value: float, prefer: int | None = None) -> int:
    """Returns the index of the timestep nearest to ``value``: of equal ones ``prefer`` if it is one of them, else the first.

    Schedulers repeat timesteps where they call the network several times per step.
    """
    found = min(range(len(times)), key=lambda i: abs(times[i] - value))
    same = prefer is not None and 0 <= prefer < len(times) and times[prefer] == times[found]
    return prefer if same and prefer is not None else found


def place_of(timestep: Any, timesteps: Any) -> int | None:  # noqa: ANN401
    """Returns the index of a timestep that is a view into the list ``timesteps``; None if it is none."""
    if not hasattr(timestep, "untyped_storage") or not hasattr(timesteps, "untyped_storage"):
        return None
    if timestep.untyped_storage().data_ptr() != timesteps.untyped_storage().data_ptr():
        return None
    place = timestep.storage_offset() - timesteps.storage_offset()
    return place if 0 <= place < len(timesteps) else None


def stretch(scheduler: Any, timestep: Any, said: int | None) -> tuple[int, int]:  # noqa: ANN401
    """Returns which of a scheduler's timesteps a call walks first, by index, and how many it walks.

    Arguments:
        scheduler: As the call has set it.
        timestep: The scheduler's timestep of the first network call; None where the network is told another number.
        said: How many the pipeline says that it walks; None where it does not say.
    """
    times = scheduler.timesteps.tolist()
    begin = getattr(scheduler, "begin_index", None)
    begin = place_of(timestep, scheduler.timesteps) if begin is None else begin
    if begin is None and timestep is not None:
        begin = nearest(times, number(timestep), None if said is None else len(times) - said)
    rest = len(times) - (begin or 0)
    walked = rest if said is None else min(said, rest)
    return (len(times) - walked if begin is None else begin), walked
