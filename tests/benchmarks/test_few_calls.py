"""The comparison at few network calls: which setting is chosen, what a row says, how results go on, table and figure."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import few_calls
from benchmarks.few_calls import absent, choose, earlier, merged, row
from benchmarks.few_calls_table import bests, figure, summary, table
from benchmarks.methods import METHODS, FewerSteps, Method, Sampler, SamplerPainter, Setting, tables
from frdiff_tune.measure import Case, draw
from frdiff_tune.measure.bench import Bench, Contender
from frdiff_tune.policy import Policy
from frdiff_tune.runtime import full_policy, keyframe_policy, make_scheduler
from frdiff_tune.search.study import Study, load_study
from tests.tiny import tiny_sd

CALL = {"height": 32, "width": 32, "guidance_scale": 3.0}


@dataclass(frozen=True)
class Halved(Method):
    """A setting whose steps cost half a call."""

    def policies(self, pipe: Any, study: Study, calls: int) -> Iterator[tuple[str, Setting]]:
        yield "only", full_policy(pipe, 2 * calls)

    def equivalents(self, setting: Setting) -> float:
        return setting.nfe / 2


def test_the_search_cases_choose(monkeypatch: pytest.MonkeyPatch) -> None:
    # eight on the first sixteen cases: c, d and a are left; on all 32 a is closest
    first = {"a": 0.3, "b": 0.4, "c": 0.1, "d": 0.2}
    second = {"a": 0.0, "c": 0.3, "d": 0.2}
    drawn = list[tuple[str, int]]()

    def distances(bench: Any, setting: Any, parts: int) -> tuple[float, ...]:
        drawn.append((setting, parts))
        return (first[setting],) if parts == 1 else (first[setting], second[setting])

    monkeypatch.setattr(few_calls, "distances", distances)
    bench: Any = None
    settings: Any = {label: label for label in first}
    found = choose(bench, settings)
    assert list(found) == ["a", "b", "c", "d"]
    assert found == pytest.approx({"a": 0.15, "b": 0.4, "c": 0.2, "d": 0.2})
    assert drawn == [("a", 1), ("b", 1), ("c", 1), ("d", 1), ("c", 2), ("d", 2), ("a", 2)]
    drawn.clear()
    assert list(choose(bench, {"b": settings["a"]})) == ["b"]
    assert drawn == [("a", 2)], "what is alone draws all, so that its row says what the search saw"


def test_a_row_says_what_was_measured(emoji: Any) -> None:
    policy = keyframe_policy(emoji, 10, [0, 4], 0.0, variable="epsilon")
    found = row(METHODS["OptimalSteps"], 2, {"DDIM, one": 0.1, "another": 0.2}, policy, [0.0, 0.02, 0.06, 0.2])
    assert (found["setting"], found["equivalents"]) == ("DDIM, one", 2.0)
    assert found["lpips_mean"]["value"] == pytest.approx(0.07)
    assert found["lpips_median"]["value"] == pytest.approx(0.04)
    assert found["flips"]["value"] == 0.5
    assert found["tables"]["keyframes"] == [0, 4]
    json.dumps(found)


def test_half_steps_count_half(emoji: Any) -> None:
    half = Halved("half", "half")
    study = load_study("demo")
    ((label, policy),) = half.policies(emoji, study, 3)
    assert isinstance(policy, Policy)
    assert (label, policy.nfe, half.equivalents(policy)) == ("only", 6, 3.0)
    assert FewerSteps("DDIM", "fewer steps", "DDIMScheduler").equivalents(policy) == 6.0


def test_names_are_the_keys_of_the_list() -> None:
    assert all(name == method.name for name, method in METHODS.items())


def test_a_class_model_has_no_euler(emoji_dit: Any) -> None:
    study = load_study("demo-dit")
    assert dict(METHODS["Euler"].policies(emoji_dit, study, 4)) == {}
    assert set(dict(METHODS["DDIM"].policies(emoji_dit, study, 4))) == {"trailing", "leading", "linspace"}


def test_a_sampler_draws_what_the_policy_with_its_scheduler_draws() -> None:
    pipe = tiny_sd("v_prediction")
    own, cases = pipe.scheduler, (Case({"prompt": "a fox"}, seed=3),)
    solver = make_scheduler(pipe, "DPMSolverMultistepScheduler", timestep_spacing="linspace")
    sampler = Sampler(solver, 4, 4)
    with Bench(pipe) as bench:
        bare = draw(SamplerPainter(bench, sampler), cases, CALL)
        policy = draw(Contender(bench, full_policy(pipe, 4, scheduler=solver), 4), cases, CALL)
    assert (bare.pictures == policy.pictures).all()
    assert pipe.scheduler is own
    assert sampler.digest != replace(sampler, steps=5).digest
    assert tables(sampler)["scheduler"]["config"]["timestep_spacing"] == "linspace"


def _rows() -> list[dict[str, Any]]:
    def one(method: str, family: str, calls: int, mean: float) -> dict[str, Any]:
        lpips = {"value": mean, "low": mean / 2, "high": 2 * mean}
        flips = {"value": 0.25, "low": 0.1, "high": 0.4}
        found = {"family": family, "method": method, "calls": calls, "equivalents": float(calls), "setting": "trailing"}
        return found | {"searched": {"trailing": mean}, "lpips_mean": lpips, "lpips_median": lpips, "flips": flips}

    return [
        one("DDIM", "fewer steps", 4, 0.2),
        one("DDIM", "fewer steps", 8, 0.02),
        one("DEIS", "fewer steps", 8, 0.01),
        one("Spectrum", "Spectrum", 8, 0.04),
    ]


def test_a_result_goes_on(tmp_path: Path) -> None:
    file, rows = tmp_path / "few-calls-demo.json", _rows()
    assert earlier(file, 8) == []
    file.write_text(json.dumps({"pictures": 8, "rows": [rows[3], {**rows[1], "method": "gone"}, rows[0]]}))
    assert earlier(file, 96) == [], "other pictures do not compare"
    found = merged([{**rows[0], "setting": "leading"}, rows[1]], earlier(file, 8))
    assert [(each["method"], each["calls"], each["setting"]) for each in found] == [
        ("DDIM", 4, "leading"), ("DDIM", 8, "trailing"), ("Spectrum", 8, "trailing"), ("gone", 8, "trailing")
    ]  # fmt: skip


def test_table_and_figure(tmp_path: Path) -> None:
    result = {"study": "demo", "pictures": 8, "reference_steps": 50, "flip": 0.05, "absent": absent(_rows()), "rows": _rows()}
    assert bests(_rows())["fewer steps"][8]["method"] == "DEIS"
    short = summary([result])
    assert "| fewer steps | **0.2000** / 0.2000 / 0.25 | **0.0100** / 0.0100 / 0.25 |" in short
    assert "| Spectrum |  | 0.0400 / 0.0400 / 0.25 |" in short
    line = "| DDIM | 8 | trailing | 0.02000 (0.01000 to 0.04000) | 0.02000 (0.01000 to 0.04000) | 0.25 (0.10 to 0.40) |"
    assert line in table(result)
    assert "Not in the table, in calls: DDIM at 5, 6, 10, 12, 16; DPM-Solver++ 2M at 4, 5, 6, 8, 10, 12, 16; " in table(result)
    assert "Not in the table" not in table({**result, "absent": {}})
    figure(result, tmp_path / "few.png")
    assert (tmp_path / "few.png").stat().st_size > 10_000
