"""Transfer: the front of one study as the first trials of another, of another model, step count, cases or machine.

Only policies go over, and everything is measured anew; see ``elsewhere`` for what is learnt of them on the way.
"""

from collections.abc import Iterator
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from frdiff_tune.policy import Policy
from frdiff_tune.search.pareto import Front, Point
from frdiff_tune.search.space import Space
from frdiff_tune.search.starting import StartingPoint, base_point

CARRIED = "starting: from "
"""The family of what was carried over begins with it; the other study's name follows."""


def carried(space: Space, found: Front, name: str) -> Iterator[StartingPoint]:
    """Yields the policies of a front that are not known ones, each as near as a space can write it, fastest first.

    Keyframes stay at the same share of the run, and so does the step count; a parameter that the space does not have, or whose
    value it does not know, takes the space's own default.

    Arguments:
        space: The space that they are for, on its pipeline.
        found: Where they come from.
        name: Of the study that they come from.
    """
    longest = max((point.policy.sampling.num_inference_steps for point in found.points), default=1)
    seen: set[str] = set()
    for point in found.best:
        if not point.trial.known:
            carried_over = StartingPoint(CARRIED + name, _params(space, point, longest))
            digest = space.decode(carried_over.params).digest
            if digest not in seen:
                seen.add(digest)
                yield carried_over


def _params(space: Space, point: Point, longest: int) -> dict[str, Any]:
    """Returns a point's parameters in another space.

    Arguments:
        space: The space.
        point: The point.
        longest: Steps of the longest run of its study, which is the reference's.
    """
    base = dict(base_point(space).params)
    kept = {
        key: value
        for key, distribution in space.distributions.items()
        if key in point.trial.params and (value := nearest(distribution, point.trial.params[key])) is not None
    }
    ratio = space.reference_steps / longest
    steps = nearest(space.distributions["num_inference_steps"], round(point.policy.sampling.num_inference_steps * ratio))
    params = base | kept | {"num_inference_steps": steps}
    return space.with_keyframes(params, _keyframes(point.policy, space.steps_of(params)))


def _keyframes(policy: Policy, T: int) -> list[int]:
    """Returns a policy's keyframes in a run of T steps."""
    places = [t for t, bit in enumerate(policy.keyframes) if bit == "1"]
    return sorted({min(round(t * T / policy.T), T - 1) for t in places})


def nearest(distribution: BaseDistribution, value: Any) -> Any:  # noqa: ANN401
    """Returns the value of a parameter that is nearest to one of another space; None where there is none of its kind."""
    if isinstance(distribution, CategoricalDistribution):
        return value if value in distribution.choices else None
    assert isinstance(distribution, (FloatDistribution, IntDistribution))
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    within = min(max(value, distribution.low), distribution.high)
    if distribution.step is not None:
        within = distribution.low + round((within - distribution.low) / distribution.step) * distribution.step
    return round(within) if isinstance(distribution, IntDistribution) else round(within, 9)
