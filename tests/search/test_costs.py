"""Throughput, peak memory and energy as objectives and limits: of recorded runs, and where the device does not count them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Any

import pytest

from frdiff_tune.errors import MeasureError
from frdiff_tune.measure import Failure, Interval, Measurement
from frdiff_tune.policy import Energy, Policy
from frdiff_tune.report.points import points_of
from frdiff_tune.runtime import Capture
from frdiff_tune.search import Pick, Study, TrialOutcome, estimate, export_policy, front, pick, search_cases, setting, tune
from frdiff_tune.search.cost_figure import of_measured
from frdiff_tune.search.verification import broken_limits
from tests.report.toy import MEASURED
from tests.search.recorded import Recorded, study_at
from tests.search.test_tuning import optuna_study, outcomes
from tests.tiny import tiny_dit


@pytest.fixture(scope="module")
def pipe() -> Any:
    return tiny_dit("v_prediction")


class Counting(Recorded):
    """Counts 10 J per network call, one more in every second call, and a MiB per group beside ten."""

    def __call__(self, policy: Policy, first: int = 0, capture: Capture = "eager") -> Iterator[Measurement | Failure]:
        for b, block in enumerate(super().__call__(policy, first, capture), first):
            assert isinstance(block, Measurement)
            counts = {"energy_j": (10.0 * policy.nfe + b % 2,), "peak_mib": (10.0 + len(policy.masks),)}
            yield replace(block, counts=counts)


@contextmanager
def pipe_asleep(pipe: Any) -> Iterator[None]:
    """Lets no picture be drawn."""
    with pytest.MonkeyPatch.context() as patch:
        own = type(pipe).__call__
        patch.setattr(type(pipe), "__call__", wraps(own)(lambda *_, **__: pytest.fail("a picture was drawn")))
        yield


def batched(study: Study, batch: int) -> Study:
    call = study.file.call.model_copy(update={"batch": batch})
    return replace(study, file=study.file.model_copy(update={"call": call}))


def test_what_is_counted_may_be_aimed_at_and_bounded(tmp_path: Path, pipe: Any) -> None:
    options = {"objectives": ("energy_j", "lpips", "images_per_s"), "limits": ("peak_mib <= 10.5", "images_per_s >= 20")}
    study = batched(study_at(tmp_path, "demo-dit", trials=14, **options), 2)
    outcomes(study, pipe, Counting(search_cases(study, pipe)))
    kept, found = optuna_study(study), front(study)
    assert [each.name for each in kept.directions] == ["MINIMIZE", "MINIMIZE", "MAXIMIZE"]
    for trial, point in zip(kept.trials, found.points, strict=True):
        energy, rate = point.trial.figure("energy_j"), point.trial.figure("images_per_s")
        assert energy.value == 10 * point.trial.nfe + 0.5 and energy.low >= 10 * point.trial.nfe
        assert rate.value == pytest.approx(2000 / point.trial.latency_ms.value)
        assert trial.values == pytest.approx([energy.value, point.trial.lpips.value, rate.value])
        excess = {"peak_mib <= 10.5": len(point.policy.masks) - 0.5, "images_per_s >= 20": 20 - rate.value}
        assert trial.constraints == pytest.approx(excess)
        assert point.within_limits == all(each <= 0 for each in excess.values())
    assert len({point.within_limits for point in found.points}) == 2
    assert {*points_of(found)[0].figures} == {"energy_j", "images_per_s"}
    assert pick(found).within_limits


@pytest.mark.parametrize("objectives", [("images_per_s",), ("images_per_s", "lpips")])
def test_throughput_is_a_time(tmp_path: Path, pipe: Any, objectives: tuple[str, ...]) -> None:
    """It proposes and finds what latency does, at another batch too."""
    fronts = []
    for names in (objectives, ("latency_ms", *objectives[1:])):
        study = study_at(tmp_path / names[0], "demo-dit", trials=16, objectives=names, limits=("lpips <= 0.01",))
        outcomes(batched(study, 3), pipe)
        fronts.append([point.trial.digest for point in front(batched(study, 3)).best])
    assert fronts[0] == fronts[1]


@pytest.mark.parametrize("asked", [{"objectives": ("peak_mib", "lpips")}, {"limits": ("energy_j <= 5000",)}])
def test_what_the_device_does_not_count_is_said_before_anything_is_measured(
    tmp_path: Path, pipe: Any, asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRDIFF_TUNE_CACHE", str(tmp_path / "cache"))
    study = study_at(tmp_path, "demo-dit", trials=2, **asked)
    name = next(iter(asked.values()))[0].split()[0]
    with pipe_asleep(pipe):
        for begin in (lambda: next(iter(tune(study, pipe=pipe))), lambda: estimate(study, pipe)):
            with pytest.raises(MeasureError, match=f"the device counts but got '{name}', which cpu does not"):
                begin()
    monkeypatch.setattr(setting, "make_evaluator", lambda study, pipe, cases: Counting(cases))
    assert [event for event in tune(study, pipe=pipe) if isinstance(event, TrialOutcome)]
    with pytest.raises(MeasureError, match=name):  # of a study that was tuned on a machine that counts
        export_policy(study, None, tmp_path / "policy.json", pipe=pipe)


def test_studies_that_count_measure_anew_and_others_do_not(tmp_path: Path, pipe: Any) -> None:
    study = study_at(tmp_path, "demo-dit", trials=2)
    cases = search_cases(study, pipe)
    place = setting.place_of(study, pipe, cases)
    assert setting.place_of(study_at(tmp_path, "demo-dit", limits=("images_per_s >= 2",)), pipe, cases) == place
    assert setting.place_of(study_at(tmp_path, "demo-dit", limits=("peak_mib <= 2",)), pipe, cases) != place


def test_what_a_file_states_of_costs(tmp_path: Path) -> None:
    told = MEASURED.model_copy(
        update={"peak_bytes": 5 * 2**20, "energy": Energy(per_image_j=40.0, reference_per_image_j=90.0)}
    )
    found = of_measured(told, batch=4)
    assert found["images_per_s"] == Interval(10.0, 4000 / 405, 4000 / 395)
    assert (found["peak_mib"].value, found["energy_j"].high, found["cache_mib"].low) == (5.0, 40.0, 1.5)
    assert not {"peak_mib", "energy_j"} & {*of_measured(MEASURED, batch=4)}
    limits = ("images_per_s >= 9.9", "peak_mib <= 5", "energy_j <= 39")
    broken = broken_limits(batched(study_at(tmp_path, "demo-dit", limits=limits), 4), Pick(), told)
    assert [line.split()[0] for line in broken] == ["`images_per_s`", "`energy_j`"] and "lower end" in broken[0]
