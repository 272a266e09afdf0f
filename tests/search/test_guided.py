"""Guided search: what it proposes is new and within the space, better than random draws, and what the study wants."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import log10
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState

from frdiff_tune.errors import MeasureError
from frdiff_tune.measure import PAIRED, Lpips
from frdiff_tune.search import Space, TrialOutcome, TrialStopped, front, search_cases, tune
from frdiff_tune.search.aim import Aim, loss
from frdiff_tune.search.choice import pick
from frdiff_tune.search.designed import designed
from frdiff_tune.search.limit import Limit
from frdiff_tune.search.outcome import SO_FAR
from frdiff_tune.search.samplers import Proposal
from frdiff_tune.search.samplers.acquisition import Acquisition
from frdiff_tune.search.samplers.candidates import Candidates
from frdiff_tune.search.samplers.guided import SHARED, GuidedSampler, guided
from frdiff_tune.search.samplers.local import LocalSampler
from frdiff_tune.search.space_file import Params
from frdiff_tune.search.study import Study
from tests.search.recorded import Recorded, recorded, study_at
from tests.search.test_races import racing
from tests.search.test_record import STEPS, finite
from tests.search.test_tuning import optuna_study, outcomes
from tests.tiny import tiny_dit


@pytest.fixture(scope="module")
def pipe() -> Any:
    return tiny_dit("v_prediction")


def test_a_finite_space_is_measured_each_policy_once(tmp_path: Path, pipe: Any) -> None:
    study = finite(tmp_path)
    search = study.file.search.model_copy(update={"sampler": "auto", "trials": 40, "limits": ("lpips <= 0.05",), "race": 0.0})
    study = replace(study, file=study.file.model_copy(update={"search": search}))
    policies = {policy.digest for _, policy in designed(Space(study.space, pipe, STEPS))}
    found = [event for event in tune(study, pipe=pipe, evaluator=recorded(study, pipe)) if isinstance(event, TrialOutcome)]
    first = found[: len(policies)]
    assert {outcome.digest for outcome in first} == policies and not any(outcome.duplicate_of for outcome in first)


def test_it_finds_a_better_front_than_random_draws(tmp_path: Path, pipe: Any) -> None:
    volumes = {}
    for sampler in ("auto", "random"):
        study = study_at(tmp_path / sampler, "demo-dit", sampler=sampler, trials=30, starting_points=())
        outcomes(study, pipe)
        shown = front(study)
        assert len(shown.points) == 30, "none twice"
        volumes[sampler] = shown.volume(shown.points)
    assert volumes["auto"] > 1.15 * volumes["random"]


def test_a_stopped_trial_teaches_and_is_shown_nowhere(tmp_path: Path, pipe: Any) -> None:
    study = racing(tmp_path, 0.05)
    events = list(tune(study, pipe=pipe, evaluator=Recorded(search_cases(study, pipe), size=8)))
    stopped = {event.number for event in events if isinstance(event, TrialStopped)}
    started = optuna_study(study).trials
    for trial in started:
        assert (SO_FAR in trial.user_attrs) == (trial.number in stopped)
        assert ("lpips" in trial.user_attrs) == (trial.number not in stopped)
    sampler = GuidedSampler(Proposal(Space(study.space, pipe, 50), 0, 40), _aim(study))
    learnt = [each for trial in started if (each := sampler._seen(trial, sampler._known(trial), 105.0)) is not None]
    assert len(learnt) == len(started) and sum(not each.within for each in learnt) == len(stopped)


def _aim(study: Study) -> Aim:
    found = Aim.of(study.file.search.objectives, study.limits)
    assert found is not None
    return found


def _guided(proposal: Proposal) -> GuidedSampler:
    sampler = guided(proposal)
    assert isinstance(sampler, GuidedSampler)
    return sampler


def test_every_second_proposal_wants_the_fastest_within_the_floor(tmp_path: Path, pipe: Any) -> None:
    study = study_at(tmp_path, "demo-dit", trials=12)
    outcomes(study, pipe)
    space, trials = Space(study.space, pipe, 50), optuna_study(study).trials
    samplers = [_guided(Proposal(space, 0, finished, min_lpips=0.01)) for finished in range(4)]
    assert [sampler.aim.close for sampler in samplers] == [True, False, True, False]
    floor = samplers[1]
    assert floor.aim.worst_loss == pytest.approx(-2) and floor.aim.fast
    for place, sampler in ((0, samplers[0]), (2, floor)):  # value and upper end
        for trial in trials:
            seen = sampler._seen(trial, sampler._known(trial), 105.0)
            assert seen is not None and seen.loss == sampler.aim.loss({"lpips": trial.user_attrs["lpips"][place]})
    without = [_guided(Proposal(space, 0, finished)) for finished in range(2)]
    assert without[0].aim == without[1].aim


def test_what_is_beyond_the_floor_is_not_the_one_to_beat(tmp_path: Path, pipe: Any) -> None:
    study = study_at(tmp_path, "demo-dit", trials=16)
    outcomes(study, pipe)
    space, trials = Space(study.space, pipe, 50), optuna_study(study).trials
    sampler = _guided(Proposal(space, 0, 17, min_lpips=0.004))
    seen = [each for trial in trials if (each := sampler._seen(trial, sampler._known(trial), 105.0)) is not None]
    acquisition = Acquisition(space, sampler.aim, seen, {}, (), 1.0)
    within = [ratio for loss, ratio in acquisition.points if loss <= log10(0.004)]
    faster = [each.what for each, (_, ratio) in zip(seen, acquisition.points, strict=True) if ratio < min(within)]
    assert faster, "some are faster and not close enough"
    assert acquisition.gains([each.what for each in seen if each.what not in faster]).max() < 0.01
    assert acquisition.gains(faster).max() < 0.05


@pytest.mark.parametrize(
    ("objectives", "limits"),
    [(("latency_ms",), ("lpips <= 0.006",)), (("lpips",), ("latency_ms <= 60",)), (("speedup", "psnr"), ("lpips <= 0.05",))],
)
def test_what_a_study_wants_is_what_it_gets(
    tmp_path: Path, pipe: Any, objectives: tuple[str, ...], limits: tuple[str, ...]
) -> None:
    best = {}
    for sampler in ("auto", "random"):
        study = study_at(tmp_path / sampler, "demo-dit", sampler=sampler, trials=30, objectives=objectives, limits=limits)
        outcomes(study, pipe)
        shown = front(study)
        directions = [direction.name for direction in optuna_study(study).directions]
        assert directions == ["MAXIMIZE" if name in ("speedup", "psnr") else "MINIMIZE" for name in objectives]
        if len(objectives) == 1:
            (only,) = shown.best
            assert only.within_limits and pick(shown).trial == only.trial
            within = [point.trial.figure(objectives[0]).value for point in shown.points if point.within_limits]
            best[sampler] = only.trial.figure(objectives[0]).value
            assert best[sampler] == min(within)
    if best:
        assert best["auto"] <= best["random"]


def test_what_is_foreseen_and_what_is_not(pipe: Any, tmp_path: Path) -> None:
    space = Space(study_at(tmp_path, "demo-dit").space, pipe, 50)
    limits = (Limit("lpips", 0.01),)
    for objectives, bounds, kind in (
        (("latency_ms", "lpips"), (), GuidedSampler),
        (("speedup", "ssim_median"), (), GuidedSampler),
        (("latency_ms",), limits, GuidedSampler),
        (("latency_ms",), (), LocalSampler),
        (("images_per_s", "psnr"), (), GuidedSampler),
        (("latency_ms", "cache_mib"), limits, LocalSampler),
        (("latency_ms", "lpips", "peak_mib"), (), LocalSampler),
        (("energy_j",), limits, LocalSampler),
        (("latency_ms", "lpips", "psnr"), (), LocalSampler),
    ):
        assert isinstance(guided(Proposal(space, 0, 0, False, objectives, bounds)), kind)


def test_limits_are_the_corner() -> None:
    aim = Aim.of(("latency_ms", "lpips"), (Limit("lpips", 0.1), Limit("speedup", 2.0), Limit("latency_ms", 80.0)))
    assert aim is not None and aim.worst_loss == pytest.approx(-1) and aim.slowest(100.0) == 0.5 and aim.slowest(320.0) == 0.25
    rate = Aim.of(("lpips",), (Limit("images_per_s", 50.0), Limit("speedup", 0.0)), batch=4)
    assert rate is not None and rate.slowest(100.0) == 0.8, "four pictures in 80 ms"
    usual = Aim.of(("latency_ms", "lpips"), ())
    assert usual is not None and usual.worst_loss == pytest.approx(loss("lpips", 0.05)) and usual.slowest(100.0) == 1.0


def test_parallel_proposals_do_not_repeat_each_other(tmp_path: Path, pipe: Any) -> None:
    study = study_at(tmp_path, "demo-dit", trials=12)
    outcomes(study, pipe)
    kept, space = optuna_study(study), Space(study.space, pipe, 50)
    asked = []
    for _ in range(4):
        kept.sampler = guided(Proposal(space, 0, 12, True))  # the same seed: only what runs tells them apart
        asked.append(space.decode(kept.ask(space.distributions).params).digest)
    known = {point.trial.digest for point in front(study).points}
    assert len(set(asked)) == 4 and not known & {*asked}


def test_proposals_share_their_draws_while_the_front_stays(
    tmp_path: Path, pipe: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = study_at(tmp_path, "demo-dit", trials=12)
    outcomes(study, pipe)
    kept, space = optuna_study(study), Space(study.space, pipe, 50)
    drawn: list[int] = []
    draw = Candidates.__call__

    def counted(self: Candidates, parents: Sequence[Params]) -> Iterator[dict[str, Any]]:
        drawn.append(len(parents))
        return draw(self, parents)

    monkeypatch.setattr(Candidates, "__call__", counted)
    asked = []
    for finished, draws in ((2 * SHARED, 1), (3 * SHARED - 1, 1), (3 * SHARED, 2), (2 * SHARED, 3)):
        kept.sampler = guided(Proposal(space, 0, finished))
        trial = kept.ask(space.distributions)
        kept.tell(trial, state=TrialState.FAIL)
        asked.append(trial.params)
        assert len(drawn) == draws and drawn[0] > 0
    assert asked[0] == asked[3], "what is proposed does not depend on what was kept"


def test_losses_are_decades() -> None:
    assert loss("lpips_median", 0.01) == pytest.approx(-2) and loss("lpips", 0.0) == pytest.approx(-5)
    assert loss("ssim", 1.0) == pytest.approx(-5) and loss("psnr", 38.0) == pytest.approx(loss("psnr", 28.0) - 1)


def test_every_metric_flips_at_the_same_loss() -> None:
    """So one law of how distances grow serves all: also where equality is 0 and values are hundredths, or shares."""
    for name, metric in PAIRED.items():
        assert loss(name, metric.flip) == pytest.approx(log10(0.05)), name
    assert loss("clip_score_change", 0.0) == loss("clip_score_change", 1.5) == pytest.approx(-5)
    assert loss("clip_score_change", -1.0) == pytest.approx(-2)
    assert loss("flips", 0.0) == pytest.approx(log10(0.005)) and loss("flips", 1.0) == pytest.approx(log10(0.5))


def test_a_metric_of_another_range_says_what_equal_pictures_have(monkeypatch: pytest.MonkeyPatch) -> None:
    class Shift(Lpips):
        name, unit, flip = "shift", "levels", 20.0

    class Likeness(Lpips):
        name, flip, better = "likeness", 80.0, "higher"

    monkeypatch.setitem(PAIRED, "shift", Shift)
    monkeypatch.setitem(PAIRED, "likeness", Likeness)
    assert loss("shift", 200.0) == pytest.approx(log10(0.5)) and loss("shift", 4.0) == pytest.approx(-2)
    with pytest.raises(MeasureError, match="`equal` of the metric likeness must be better than its flip 80 but is 1"):
        loss("likeness", 90.0)
    monkeypatch.setattr(Likeness, "equal", 100.0)
    assert loss("likeness", 96.0) == pytest.approx(-2)
