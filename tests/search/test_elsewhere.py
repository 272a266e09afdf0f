"""Quality from another machine: learnt from where the pictures are the same, and never taken for a measurement."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from frdiff_tune.search import Study, front
from frdiff_tune.search.elsewhere import known_elsewhere, remembered, same_pictures
from frdiff_tune.search.foresight import QualityModel
from frdiff_tune.search.samplers import Proposal
from frdiff_tune.search.samplers.acquisition import Acquisition, Observation
from frdiff_tune.search.samplers.guided import GuidedSampler
from frdiff_tune.search.space import Space
from tests.search.recorded import recorded, study_at
from tests.search.test_guided import _aim
from tests.search.test_tuning import optuna_study, outcomes
from tests.tiny import tiny_dit


@pytest.fixture(scope="module")
def pipe() -> Any:
    return tiny_dit("v_prediction")


def here(folder: Path, **search: Any) -> Study:
    return replace(study_at(folder, "demo-dit", **search), name="here")


def test_figures_of_the_same_pictures_are_learnt_from_and_are_no_trials(tmp_path: Path, pipe: Any) -> None:
    there, study = study_at(tmp_path / "there", "demo-dit", trials=40), here(tmp_path / "here", trials=20)
    outcomes(there, pipe)
    evaluator = recorded(study, pipe)
    found = outcomes(study, pipe, evaluator, start_from=there)
    known = remembered(optuna_study(study))
    assert len(known) >= 30
    assert all({"lpips"} <= set(each.figures) and not {"latency_ms", "speedup"} & set(each.figures) for each in known)
    assert {outcome.digest for outcome in found} <= {digest for digest, _ in evaluator.measured}, "all is measured here"
    assert len(front(study).points) + len(front(study).stopped) == 20, "what is known from there is no trial"

    space = Space(study.space, pipe, 50)
    sampler = GuidedSampler(Proposal(space, 0, 0, elsewhere=tuple(known)), _aim(study))
    elsewhere = sampler.losses_elsewhere()
    pairs = list(elsewhere.items())
    outline, loss = pairs[0]
    seen = [Observation((outline, "eager"), loss + 1.0, 0.5, True)]
    models = (Acquisition(space, sampler.aim, own, elsewhere, [], 1.0).quality for own in ([], seen))
    expected = [float(quality([space.foresight.errors(outline)])[0][0]) for quality in models]
    assert expected[1] > expected[0] + 0.3, "what is measured here counts here"
    errors = space.foresight.errors
    model = QualityModel(errors.names, [errors(outline) for outline, _ in pairs], [loss for _, loss in pairs])
    blind = QualityModel(errors.names, [], [])
    foreseen, guessed = (each([errors(outline) for outline, _ in pairs])[0] for each in (model, blind))
    losses = [loss for _, loss in pairs]
    assert abs(foreseen - losses).mean() < abs(guessed - losses).mean() / 2

    again = outcomes(study, pipe, start_from=there, trials=24)
    assert len(again) == 4 and remembered(optuna_study(study)) == known, "it goes on from what it knew"


def test_other_pictures_are_not_learnt_from(tmp_path: Path, pipe: Any) -> None:
    there, study = study_at(tmp_path / "there", "demo-dit", trials=12), here(tmp_path / "here", trials=12)
    cases = study.file.cases.model_copy(update={"search_count": 3})
    study = replace(study, file=study.file.model_copy(update={"cases": cases}))
    outcomes(there, pipe)
    outcomes(study, pipe, start_from=there)
    assert remembered(optuna_study(study)) == []


def test_what_makes_pictures_the_same() -> None:
    own = {"model.source": "a", "call.num_inference_steps": 50, "cases.digest": "x", "machine.device": "A100", "search.seed": 0}
    there = {**own, "machine.device": "H100", "model.device": "cuda:1", "search.seed": 1, "cases.quality_batch": 4}
    assert same_pictures(own, there)
    for key in ("model.source", "call.num_inference_steps", "cases.digest"):
        assert not same_pictures(own, {**own, key: "other"})
    assert not same_pictures(own, {**own, "call.height": 512})
    assert not same_pictures({}, {})


def test_a_policy_outside_the_space_is_left_out(tmp_path: Path, pipe: Any) -> None:
    there = study_at(tmp_path, "demo-dit", trials=12)
    outcomes(there, pipe)
    theirs = optuna_study(there)
    space = Space(there.space, pipe, 50)
    assert known_elsewhere(theirs, space)
    steps = there.space.steps.model_copy(update={"num_inference_steps": (45, 50)})
    few = known_elsewhere(theirs, Space(there.space.model_copy(update={"steps": steps}), pipe, 50))
    assert 0 < len(few) < len(known_elsewhere(theirs, space))
    assert all(each.params["num_inference_steps"] >= 45 for each in few)
