"""The solvers of a space that a pipeline can run, by label."""

from collections.abc import Sequence
from typing import Any

from frdiff_tune.errors import MismatchError, SpaceError
from frdiff_tune.runtime import make_scheduler
from frdiff_tune.search.space_file import FITTED


def runnable(pipe: Any, names: Sequence[str], spacings: Sequence[str]) -> dict[str, Any]:  # noqa: ANN401
    """Returns the schedulers that the pipeline can run, by label: ``DDIMScheduler/trailing``.

    A class that has no choice of spacing is there once, under its own name.

    Arguments:
        pipe: The pipeline.
        names: Class names of diffusers' schedulers.
        spacings: How their timesteps may be spread.

    Raises:
        SpaceError: If it can run none.
    """
    found: dict[str, Any] = {}
    refusals = []
    for name in names:
        if name == FITTED:
            continue
        for spacing in spacings if _spaced(name) else ("",):
            try:
                options = {"timestep_spacing": spacing} if spacing else {}
                found["/".join(filter(None, (name, spacing)))] = make_scheduler(pipe, name, **options)
            except MismatchError as refusal:
                refusals.append(str(refusal))
    if not found:
        raise SpaceError(
            f"`steps.scheduler` must name a solver that {type(pipe).__name__} can run but got {list(names)}. {refusals[0]}"
        )
    return found


def _spaced(name: str) -> bool:
    """Whether a scheduler's class lets its timesteps be spread in more than one way."""
    import inspect

    import diffusers

    cls: Any = getattr(diffusers, name, None)
    if not (isinstance(cls, type) and issubclass(cls, diffusers.SchedulerMixin)):
        raise SpaceError(f"`steps.scheduler` must name schedulers of diffusers but got {name!r}. Use `DDIMScheduler`.")
    return "timestep_spacing" in inspect.signature(cls).parameters
