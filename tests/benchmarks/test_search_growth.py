"""Searches of the real model compared: what is counted, and what follows from it."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from benchmarks.search_growth import NetworkCalls, Row, calls_until, figures, volume_after
from benchmarks.search_growth_figure import figure, table
from frdiff_tune.runtime import apply_policy, full_policy, keyframe_policy
from tests.tiny import tiny_dit, tiny_sd


def row(sampler: str, seed: int, *trace: tuple[float, int, float]) -> Row:
    return {"sampler": sampler, "seed": seed, "minutes": 60.0, "trace": [list(step) for step in trace]}


def test_guided_pictures_count_two_a_step_and_jumps_none() -> None:
    pipe = tiny_sd()
    calls = NetworkCalls(pipe)
    with calls.counting():
        pipe(["a", "b"], num_inference_steps=4, guidance_scale=5.0, output_type="latent")
        assert calls.count == 2 * 2 * 4
        with apply_policy(pipe, keyframe_policy(pipe, 4, [0, 2], 0.0)):
            pipe("a", num_inference_steps=4, guidance_scale=1.0, output_type="latent")
        assert calls.count == 16 + 2
    pipe("a", num_inference_steps=2, output_type="latent")
    assert calls.count == 18, "outside of the context nothing counts"


def test_transformers_are_counted() -> None:
    pipe = tiny_dit()
    with NetworkCalls(pipe).counting() as calls, apply_policy(pipe, full_policy(pipe, 3)):
        pipe([1], num_inference_steps=3, guidance_scale=1.0, generator=torch.Generator().manual_seed(0), output_type="latent")
    assert calls.count == 3


def test_what_a_run_held_is_read_off_its_trace() -> None:
    run = row("auto", 0, (60, 100, 1.0), (600, 200, 1.9), (1200, 400, 2.0))
    assert volume_after(run) == 2.0
    assert volume_after(run, minutes=10) == 1.9, "the end of the tenth minute counts"
    assert volume_after(run, calls=399) == 1.9
    assert volume_after(run, minutes=0.5) == 0.0, "nothing was measured yet"
    assert calls_until(run, 1.9) == 200
    assert calls_until(run, 2.1) is None


def test_searches_are_compared_seed_by_seed() -> None:
    ours = [row("auto", 0, (60, 100, 1.0), (1200, 400, 2.0)), row("auto", 1, (60, 100, 3.9), (1200, 400, 4.0))]
    theirs = [row("tpe", 0, (60, 300, 1.95)), row("tpe", 1, (60, 300, 2.0)), row("tpe", 2, (60, 1, 9.0))]
    result = figures([*ours, *theirs])
    assert result["early_share"] == {"median": pytest.approx(0.7375), "values": [0.5, 0.975]}
    assert result["calls_until_0.95_auto"] == {"median": 250, "values": [400, 100], "never": 0}
    assert result["calls_until_0.95_tpe"] == {"median": 300, "values": [300, 300], "never": 1}, "without ours no comparison"
    assert result["volume_at_equal_calls_tpe"]["values"] == [1.95, round(2.0 / 3.9, 4)]


def test_table_and_figure_say_what_each_sampler_held(tmp_path: Path) -> None:
    rows = [row("auto", 0, (60, 100, 1.0), (1200, 4000, 2.0)), row("tpe", 0, (60, 3000, 1.25))]
    result = {"study": "demo", "pictures": 8, "machine": {"cpu": "one"}, "figures": figures(rows), "rows": rows}
    lines = table(result, 0.95, 10.0).splitlines()
    assert lines[2] == "| ours | 1 | 1.000 | 2.000 (60 min) | 4.0 |"
    assert lines[3] == "| TPE | 1 | 1.250 | 1.250 (60 min) | 3.0 (1 never) |"
    figure(result, tmp_path / "growth.png")
    assert Image.open(tmp_path / "growth.png").size == (1425, 600)
