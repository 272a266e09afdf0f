"""One starting point: its parameters in a space."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from frdiff_tune.runtime import holder
from frdiff_tune.search.forecasts import HOLD
from frdiff_tune.search.intervals import every
from frdiff_tune.search.space import Space
from frdiff_tune.search.space_file import BETWEEN, CAPTURE, FEATURES, STRENGTH


@dataclass(frozen=True, slots=True)
class StartingPoint:
    """A trial that is measured first.

    Arguments:
        family: What it is: ``known: ...`` for policies that people use today, ``starting: ...`` for our own.
        params: Its parameters in the space.
    """

    family: str
    params: Mapping[str, Any]


def point(space: Space, family: str, keyframes: Sequence[int], T: int, **changes: Any) -> StartingPoint:  # noqa: ANN401
    """Returns a point of jumps only, with changes to its parameters."""
    predicts = holder.own_scheduler(space.pipe).config.get("prediction_type", "epsilon")
    variable = "epsilon" if predicts != "epsilon" and "epsilon" in space.variables else space.variables[0]
    uniform = len(keyframes) > 1 and tuple(keyframes) == tuple(range(0, T, keyframes[1]))
    encoding = "uniform" if uniform and "uniform" in space.encodings else space.freest_encoding
    params = {
        "num_inference_steps": space.reference_steps,
        "scheduler": own_scheduler(space),
        "keyframes.encoding": encoding,
        **space.gaps(list(keyframes), T),
        "mixing": "jump" if "jump" in space.mixing.families else space.mixing.families[0],
        **space.mixing.idle,
        "forecast.order": space.file.forecast.order[0],
        STRENGTH: space.file.forecast.strength[1],
        "forecast.variable": variable,
        **dict.fromkeys(space.file.forecast.fits, space.file.forecast.fit[0]),
        CAPTURE: space.captures[0],
        FEATURES: HOLD if HOLD in space.file.forecast.features else space.file.forecast.features[0],
        **{f"group.{name}": False for name in space.file.groups},
        **{every(name): space.intervals[0] for name in space.file.groups},
        BETWEEN: space.file.fit.between[0],
    }
    return StartingPoint(family, {name: (params | changes)[name] for name in space.distributions})


def base_point(space: Space) -> StartingPoint:
    """Returns the full run, every parameter at what a starting point has unless it says otherwise."""
    T = reference_T(space)
    return point(space, "known: full", range(T), T)


def own_scheduler(space: Space) -> str:
    """Returns the label of the pipeline's own solver, or the space's first one."""
    own = holder.own_scheduler(space.pipe)
    label = "/".join(filter(None, (type(own).__name__, own.config.get("timestep_spacing", ""))))
    return label if label in space.schedulers else next(iter(space.schedulers))


def reference_T(space: Space) -> int:
    """Returns the denoiser steps of the reference's run, or of the longest one that the space holds."""
    return space.full(min(space.reference_steps, space.steps[1]), own_scheduler(space)).T


def trend(space: Space, strength: float) -> dict[str, Any]:
    """Returns a linear forecast of a strength; what the space has first where it has no such."""
    forecast = space.file.forecast
    if 1 in forecast.order and forecast.strength[0] <= strength <= forecast.strength[1]:
        return {"forecast.order": 1, STRENGTH: strength}
    return {}
