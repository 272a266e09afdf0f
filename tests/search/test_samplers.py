"""Samplers: local search moves between keyframe sets as a person would, and never proposes what was tried."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import optuna
import pytest

from frdiff_tune.search import Space, TrialOutcome, front, tune
from frdiff_tune.search.samplers import SAMPLERS, Proposal
from frdiff_tune.search.samplers.cmaes import LimitedCmaEs
from frdiff_tune.search.samplers.local import LocalSampler
from frdiff_tune.search.samplers.moves import MOVES, add, crossed, drop, moved, relocate, shift, slide
from tests.search.recorded import recorded, study_at
from tests.tiny import tiny_dit

T = 50
SETS = ([0], [0, 1], [0, 49], [0, 1, 2, 7, 20], list(range(50)))


@pytest.fixture(scope="module")
def pipe() -> Any:  # noqa: ANN401
    return tiny_dit("v_prediction")


@pytest.mark.parametrize("keyframes", SETS, ids=len)
def test_every_move_keeps_a_set_a_set(keyframes: list[int]) -> None:
    rng = np.random.default_rng(0)
    for move in (*MOVES, moved):
        for _ in range(200):
            found = move(keyframes, T, rng)
            assert found == sorted(set(found))
            assert found[0] == 0
            assert found[-1] < T


def test_moves_do_what_they_say() -> None:
    rng, keyframes = np.random.default_rng(0), [0, 1, 2, 7, 20]
    slid = {tuple(slide(keyframes, T, rng)) for _ in range(9000)}
    assert {len(found) for found in slid} == {5}
    assert (0, 1, 2, 8, 20) in slid, "one step on"
    assert {found[4] for found in slid} == set(range(8, 50)), "the last one goes anywhere after its neighbour"
    assert {tuple(drop(keyframes, T, rng)) for _ in range(200)} == {
        (0, 2, 7, 20), (0, 1, 7, 20), (0, 1, 2, 20), (0, 1, 2, 7),
    }  # fmt: skip
    assert all(set(keyframes) < set(add(keyframes, T, rng)) for _ in range(50))
    assert all(len(set(keyframes) & set(relocate(keyframes, T, rng))) >= 4 for _ in range(50))
    assert {tuple(shift([0, 10, 20], T, rng)) for _ in range(200)} == {(0, 9, 19), (0, 11, 21), (0, 10, 19), (0, 10, 21)}
    assert shift([0, 1], 2, np.random.default_rng(0)) in ([0], [0, 1]), "what leaves the run or meets another is gone"


def test_crossing_joins_two_sets_at_a_step() -> None:
    rng, early, late = np.random.default_rng(0), [0, 1, 2, 30], [0, 5, 40]
    joined = {tuple(crossed(early, late, T, rng)) for _ in range(2000)}
    assert joined == {
        (0, 5, 40), (0, 1, 5, 40), (0, 1, 2, 5, 40), (0, 1, 2, 40), (0, 1, 2, 30, 40), (0, 1, 2, 30),
    }  # fmt: skip


def test_local_search_proposes_new_neighbours_of_the_front(tmp_path: Path, pipe: Any) -> None:  # noqa: ANN401
    study = study_at(tmp_path, "demo-dit", sampler="local", trials=40)
    found = [event for event in tune(study, pipe=pipe, evaluator=recorded(study, pipe)) if isinstance(event, TrialOutcome)]
    searched = [outcome for outcome in found if outcome.family == "searched"]
    assert len(searched) == 22  # 55 % of 40
    assert all(outcome.duplicate_of is None for outcome in searched)
    for outcome in searched:
        before = [other for other in found if other.number < outcome.number]
        apart = [_differences(outcome.params, other.params) for other in before]
        assert min(apart) <= 2, "beside keyframes, a parent's but for one thing: the trend is an order and a strength"
    assert any(point.trial.family == "searched" for point in front(study).best)


def test_where_nothing_new_is_near_local_search_draws_anywhere(tmp_path: Path, pipe: Any) -> None:  # noqa: ANN401
    """A space of two policies: every step, and every other one; after them only repeats are left, which end the study."""
    study = study_at(tmp_path, "demo-dit", sampler="local", trials=4)
    file = study.space.model_copy(
        update={
            "groups": {},
            "keyframes": study.space.keyframes.model_copy(update={"encodings": ("uniform",), "interval": (1, 2)}),
            "steps": study.space.steps.model_copy(update={"num_inference_steps": (50, 50), "scheduler": ("DDIMScheduler",)}),
            "mixing": study.space.mixing.model_copy(update={"families": ("jump",)}),
            "forecast": study.space.forecast.model_copy(
                update={"order": (0,), "strength": (1.0, 1.0), "variable": ("output",)}
            ),
        }
    )
    study = replace(study, space=file)
    found = [event for event in tune(study, pipe=pipe, evaluator=recorded(study, pipe)) if isinstance(event, TrialOutcome)]
    assert {outcome.nfe for outcome in found} == {25, 50}
    assert len({outcome.digest for outcome in found}) == 2
    assert sum(outcome.duplicate_of is not None for outcome in found) == len(found) - 2 > 0
    kept = optuna.load_study(study_name=study.name, storage=study.file.search.storage)
    sampler = LocalSampler(Proposal(Space(study.space, pipe, 50), 0, len(found)))
    asked = kept.ask()
    assert sampler.sample_relative(kept, kept.trials[asked.number], sampler.space.distributions) == {}


def _differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> int:
    return sum(one[name] != other[name] for name in one if not name.startswith("keyframes."))


def finished(values: list[float], excess: float = -1.0) -> optuna.trial.FrozenTrial:
    space: dict[str, Any] = {"x": optuna.distributions.FloatDistribution(0, 1)}
    trial = optuna.trial.create_trial(values=values, params={"x": 0.5}, distributions=space)
    trial.set_constraint("lpips <= 0.05", excess)
    return trial


def test_tpe_goes_where_the_good_trials_are_within_the_limits() -> None:
    """Small x and small y are good together; what lies below a quarter in x breaks a limit."""
    distributions: Any = {name: optuna.distributions.FloatDistribution(0, 1) for name in "xy"}
    space: Any = SimpleNamespace(distributions=distributions)
    study = optuna.create_study(directions=["minimize", "minimize"])
    rng = np.random.default_rng(0)
    for _ in range(300):
        x, y = rng.random(2).tolist()
        trial = optuna.trial.create_trial(params={"x": x, "y": y}, distributions=distributions, values=[x + y, x * y + y])
        trial.set_constraint("x >= 0.25", 0.25 - x)
        study.add_trial(trial)
    drawn: list[dict[str, float]] = []
    for seed in range(20):
        study.sampler = SAMPLERS["tpe"](Proposal(space, seed, 300, parallel=True))
        asked = study.ask(distributions)
        drawn.append(asked.params)
        study.tell(asked, state=optuna.trial.TrialState.FAIL)
    assert np.median([params["y"] for params in drawn]) < 0.1
    assert not any(params["x"] < 0.2 for params in drawn), "where all draws would be without the limit"
    assert np.median([params["x"] for params in drawn]) < 0.5


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_cmaes_puts_what_breaks_a_limit_behind_all_others(direction: Any) -> None:  # noqa: ANN401
    study = optuna.create_study(direction=direction)
    best, sign = (1.0, 1.0) if direction == "minimize" else (9.0, -1.0)
    for value, excess in ((best, 0.5), (5.0, -1.0), (best, 0.1), (4.0, -0.2)):
        study.add_trial(finished([value], excess))
    found = LimitedCmaEs({"lpips <= 0.05": 0.05}, 0)._get_trials(study)
    order = [trial.number for trial in sorted(found, key=lambda trial: sign * trial.values[0])]
    assert order == ([3, 1, 2, 0] if direction == "minimize" else [1, 3, 2, 0])
    assert [trial.values[0] for trial in study.get_trials()] == [best, 5.0, best, 4.0], "what is kept stays as measured"
