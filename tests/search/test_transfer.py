"""Transfer: another study's front comes first, scaled to the space that it comes to, and is measured anew."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from frdiff_tune.search import Space, front
from frdiff_tune.search.study import Study
from frdiff_tune.search.transfer import carried, nearest
from tests.search.recorded import recorded, study_at
from tests.search.test_tuning import outcomes
from tests.tiny import tiny_dit


@pytest.fixture(scope="module")
def pipe() -> Any:
    return tiny_dit("v_prediction")


def half(folder: Path) -> Study:
    """Returns a study of 25 steps whose space has one group, and no lam but jumps."""
    study = study_at(folder, "demo-dit", trials=12)
    mixing = study.space.mixing.model_copy(update={"families": ("jump",)})
    groups = {"attention": study.space.groups["attention"]}
    call = study.file.call.model_copy(update={"num_inference_steps": 25})
    space = study.space.model_copy(update={"mixing": mixing, "groups": groups})
    return replace(study, name="half", space=space, file=study.file.model_copy(update={"call": call}))


def test_a_front_comes_first_at_its_own_shares_of_the_run(tmp_path: Path, pipe: Any) -> None:
    first, second = study_at(tmp_path / "one", "demo-dit", trials=25), half(tmp_path / "two")
    outcomes(first, pipe)
    wanted = [point for point in front(first).best if not point.trial.known]
    space = Space(second.space, pipe, 25)
    points = list(carried(space, front(first), first.name))
    assert len(points) >= 3 and len({space.decode(point.params).digest for point in points}) == len(points)
    for point in points:
        assert space.holds(point.params) and point.family == "starting: from demo-dit"
    own = next(point for point in wanted if 8 <= point.policy.keyframes.count("1") < point.policy.T)
    T = round(own.policy.T / 2)
    places = {min(round(t * T / own.policy.T), T - 1) for t, bit in enumerate(own.policy.keyframes) if bit == "1"}
    orders = [
        point.params["forecast.order"]
        for point in points
        if {t for t, bit in enumerate(space.decode(point.params).keyframes) if bit == "1"} == places
    ]
    assert own.trial.params["forecast.order"] in orders

    evaluator = recorded(second, pipe)
    found = outcomes(second, pipe, evaluator, start_from=first, trials=len(points) + 2)
    assert [outcome.digest for outcome in found[: len(points)]] == [space.decode(point.params).digest for point in points]
    assert {outcome.family for outcome in found[: len(points)]} == {"starting: from demo-dit"}
    assert {digest for digest, _ in evaluator.measured} >= {outcome.digest for outcome in found[: len(points)]}
    more = outcomes(second, pipe, evaluator, start_from=first, trials=len(points) + 4)
    assert not any(outcome.family.startswith("starting: from") for outcome in more), "once is enough"


def test_values_go_to_the_nearest_there_is() -> None:
    assert nearest(IntDistribution(4, 30, step=6), 15) == 16
    assert nearest(IntDistribution(4, 30), 99) == 30
    assert nearest(FloatDistribution(-0.5, 1.0, step=0.25), 0.3) == 0.25
    assert nearest(FloatDistribution(5.0, 100.0, log=True), 30.0) == 30.0
    assert nearest(CategoricalDistribution(("jump", "none")), "jump") == "jump"
    assert nearest(CategoricalDistribution(("jump",)), "cosine") is None
    assert nearest(IntDistribution(0, 3), "many") is None
