"""What stands in for the features of a group that is reused: the names that a space file may list, and their policies."""

from collections.abc import Iterable
from typing import Any

from frdiff_tune.errors import SpaceError
from frdiff_tune.policy import Policy
from frdiff_tune.runtime import Basis, Chebyshev, Fitted, Hermite, Recording, Taylor, forecast_features, forecastable
from frdiff_tune.runtime.solver import timesteps_of

HOLD = "hold"
"""The newest features, as the paper has it."""
FORECASTS: dict[str, Basis | int] = {
    HOLD: Taylor(0),
    "taylor-1": Taylor(1),
    "taylor-2": Taylor(2),
    "hermite-1": Hermite(1),
    "hermite-2": Hermite(2),
    "chebyshev": Chebyshev(),
    "fitted-1": 1,
    "fitted-2": 2,
    "fitted-3": 3,
}
"""Name -> basis; a number: fitted to a recording of full runs, over so many computing steps."""


def needs_recording(names: Iterable[str]) -> bool:
    """Whether any of these forecasts is fitted."""
    return any(not isinstance(FORECASTS[name], Basis) for name in names)


def forecast(policy: Policy, name: str, recording: Recording | None, scheduler: Any) -> Policy:  # noqa: ANN401
    """Returns a policy that forecasts the features of every group that can be; the same one where there is none.

    A fit is to full runs at the reference's step count and by the pipeline's own solver. For another walk they are read at
    its timesteps (``Recording.gram``). A group of which nothing was recorded is held, as one whose denoiser runs in a part
    of the steps only.

    Arguments:
        policy: A policy whose groups are held.
        name: A name of ``FORECASTS``.
        recording: What a fit is to; None where the space names no fit.
        scheduler: The solver that the policy walks.

    Raises:
        SpaceError: If a fit has nothing to be to.
    """
    groups, basis = forecastable(policy), FORECASTS[name]
    if not groups:
        return policy
    if isinstance(basis, Basis):
        return forecast_features(policy, basis)
    if recording is None:
        raise SpaceError(
            f"`record` must be given for a space whose `forecast.features` name a fit but got {name!r} and none. Give "
            f"Space(..., record=...), or take {name!r} out."
        )
    times = timesteps_of(scheduler, policy.sampling.num_inference_steps)[-policy.T :]  # a strength leaves out the first
    grams = {group: recording.gram(policy.groups[group], times) for group in groups}
    return forecast_features(policy, {group: Fitted(gram, basis) for group, gram in grams.items() if gram is not None})
