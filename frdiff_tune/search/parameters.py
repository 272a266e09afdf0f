"""The parameters of a space, as Optuna knows them."""

from typing import TYPE_CHECKING, Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from frdiff_tune.runtime.variable import Variable
from frdiff_tune.search.distributions import distribution_of, share_of
from frdiff_tune.search.intervals import every
from frdiff_tune.search.space_file import CAPTURE, FEATURES, STRENGTH

if TYPE_CHECKING:
    from frdiff_tune.search.space import Space


def parameters_of(space: "Space") -> dict[str, BaseDistribution]:
    """Returns every parameter with its values, in the order in which they are suggested."""
    forecast = space.file.forecast
    keyframes = {
        f"keyframes.{name}": distribution_of(numbers)
        for encoding in space.encodings.values()
        for name, numbers in encoding.parameters.items()
    }
    mixing = {
        name: FloatDistribution(low, high, log=step is None and low < high, step=step or (1.0 if low == high else None))
        for name, (low, high, step) in space.mixing.parameters.items()
    }
    return {
        "num_inference_steps": IntDistribution(*space.steps, step=space.file.steps.grid),
        "scheduler": CategoricalDistribution(tuple(space.schedulers)),
        "keyframes.encoding": CategoricalDistribution(tuple(space.encodings)),
        **keyframes,
        "mixing": CategoricalDistribution(space.mixing.families),
        **mixing,
        "forecast.order": CategoricalDistribution(forecast.order),
        **({STRENGTH: FloatDistribution(*forecast.strength, step=forecast.strength_grid)} if space.has_strength else {}),
        **(dict.fromkeys(forecast.fits, share_of(forecast)) if space.has_fit else {}),
        "forecast.variable": CategoricalDistribution(space.variables),
        **({FEATURES: CategoricalDistribution(forecast.features)} if len(forecast.features) > 1 else {}),
        **{f"group.{name}": CategoricalDistribution((False, True)) for name in space.file.groups},
        **{every(name): CategoricalDistribution(space.intervals) for name in space.file.groups if space.intervals[1:]},
        **(space.fitted.distributions if space.fitted is not None else {}),
        **({CAPTURE: CategoricalDistribution(space.captures)} if len(space.captures) > 1 else {}),
    }


def variables_of(names: tuple[Variable, ...], pipe: Any) -> tuple[Variable, ...]:  # noqa: ANN401
    """Returns the variables without the one that is the network's own output under another name."""
    same = pipe.scheduler.config.get("prediction_type", "epsilon")
    return tuple(name for name in names if name != same or "output" not in names)
