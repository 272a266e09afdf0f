"""How a front grew, and what decided its objectives: on policies whose figures are a formula."""

from pathlib import Path

import pytest

from frdiff_tune.errors import StudyError
from frdiff_tune.search import Study, front, history, importance
from frdiff_tune.search.attribution import ENOUGH, choices_of
from frdiff_tune.search.pareto import Front
from tests.report.toy import toy_policy
from tests.search.test_record import finite
from tests.search.test_tuning import outcomes
from tests.tiny import tiny_dit


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Returns a study of six steps of which most policies were measured."""
    made = finite(tmp_path_factory.mktemp("grown"))
    outcomes(made, tiny_dit("v_prediction"), trials=16)
    return made


def test_a_record_per_trial_says_what_the_front_held_then(study: Study) -> None:
    found, grown = front(study), history(study)
    assert [each.evaluations for each in grown] == list(range(1, len(grown) + 1))
    assert {each.number for each in grown if each.outcome} == {point.trial.number for point in found.points}
    volumes, seconds = [each.volume for each in grown], [each.seconds for each in grown]
    assert volumes == sorted(volumes) and seconds == sorted(seconds) and seconds[0] > 0
    assert volumes[-1] == pytest.approx(found.volume(found.points)) and volumes[0] < volumes[-1]
    assert grown[-1].known == pytest.approx(found.volume(found.known))
    assert {point.trial.number for point in found.best} <= {each.number for each in grown if each.on_front}
    assert grown[0].on_front


def test_a_study_that_was_never_begun_has_no_history(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="frdiff-tune tune"):
        history(finite(tmp_path))


def test_choices_are_what_a_policy_does() -> None:
    policy = toy_policy("110100", mixing=(1.0, 1.0, 0.0, 1.0, 0.5, 0.5), groups={"deep": ("a",)}, masks={"deep": "110101"})
    assert choices_of(policy) == {
        "steps": 6.0,
        "network calls": 5.0,
        "solver": "DDIM",
        "keyframes in the first half": 2 / 3,
        "longest gap over the mean gap": 3 * 3 / 6,
        "keyframes behind a jump score": 1.0,
        "mixed scores": 2 / 5,
        "scores kept as": "output",
        "reuse of deep": 1 / 5,
    }


def test_time_is_laid_to_what_the_formula_takes_it_from(study: Study) -> None:
    """A call takes 5 + 2 ms per network call, whatever else the policy does."""
    shares = importance(front(study))
    assert list(shares) == ["latency_ms", "lpips"]
    assert next(iter(shares["latency_ms"])) == "network calls"
    for own in shares.values():
        assert sum(own.values()) == pytest.approx(1) and list(own.values()) == sorted(own.values(), reverse=True)
    assert "scores kept as" not in shares["lpips"], "what never varies explains nothing"


def test_of_a_few_policies_nothing_is_said(study: Study) -> None:
    found = front(study)
    assert importance(Front(found.points[: ENOUGH - 1], found.reference)) == {}
