from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from frdiff_tune.errors import MeasureError
from frdiff_tune.measure import (
    Case,
    agreements,
    cases_digest,
    differences,
    draw,
    holds,
    load_paired,
    machine_digest,
    machine_info,
    measure_pace,
    picture_size,
    verification,
    verify,
)
from frdiff_tune.measure.bench import Bench, Contender
from frdiff_tune.policy import Latency, Measured, Quality
from frdiff_tune.runtime import full_policy, keyframe_policy
from tests.tiny import tiny_dit, tiny_sd

CASES = tuple(Case({"class_labels": label}, label) for label in range(3))


def stated(speedup: tuple[float, float, float], lpips: tuple[float, float, float]) -> Measured:
    latency = Latency(median_ms=1.0, low_ms=1.0, high_ms=1.0, count=1)
    row = Quality(metric="lpips", unit="1", statistic="mean", value=lpips[1], low=lpips[0], high=lpips[2], count=3)
    return Measured(
        latency=latency,
        reference_latency=latency,
        speedup=speedup[1],
        speedup_low=speedup[0],
        speedup_high=speedup[2],
        quality=(row,),
        cache_bytes=0,
        cases="",
        case_count=3,
        held_out=True,
    )


def test_full_policy_beside_the_bare_pipeline(tmp_path: Path) -> None:
    pipe: Any = tiny_dit()
    scheduler = pipe.scheduler
    measured = verify(
        pipe, full_policy(pipe, 4), CASES, steps=4, cache_dir=tmp_path, quality_batch=2, latency_calls=3, held_out=False
    )
    assert [row.statistic for row in measured.quality] == ["mean", "median", "p90", "flips"]
    assert all((row.value, row.count) == (0.0, 3) for row in measured.quality)
    assert measured.quality[3].threshold == 0.05 and measured.quality[0].high == 0.0
    assert measured.latency.count == measured.reference_latency.count == 3
    assert measured.loop_latency is not None and measured.latency.samples_ms is not None
    assert measured.speedup_low <= measured.speedup <= measured.speedup_high
    assert (measured.cases, measured.case_count, measured.held_out) == (cases_digest(CASES), 3, False)
    assert pipe.scheduler is scheduler and "forward" not in vars(pipe.transformer)


def test_every_metric_and_both_floors(tmp_path: Path) -> None:
    pipe: Any = tiny_dit()
    policy = keyframe_policy(pipe, 4, [0, 2], mixing=0.0)
    names = ("lpips", "psnr", "latent_l2", "fd_alex")
    options: dict[str, Any] = {"steps": 4, "cache_dir": tmp_path, "quality_batch": 2, "latency_calls": 3, "metrics": names}
    run = verification(pipe, policy, CASES, floor_count=2, **options)
    seen = []
    try:
        while True:
            seen.append(next(run))
    except StopIteration as done:
        measured = done.value
    assert seen[-1] == (3 + 2 * 3 + 2 * 2,) * 2 and seen == sorted(seen)
    assert [row.metric for row in measured.quality] == [name for name in names[:3] for _ in range(4)]
    assert [(row.metric, row.kind, row.count, row.comparable) for row in measured.sets] == [("fd_alex_3", "paired", 3, False)]
    means = {(row.kind, row.metric): row for row in measured.floors if row.statistic == "mean"}
    assert len(means) == 6 and all(row.count == 2 for row in means.values())
    assert means["numerics", "lpips"].value == 0.0
    alike = verify(pipe, policy, CASES, floor_count=2, batch=2, **options)
    assert {row.value for row in alike.floors if (row.kind, row.metric) == ("numerics", "latent_l2")} == {0.0}
    with Bench(pipe) as bench:
        coarse, fine = (draw(Contender(bench, None, steps), CASES[:2], {}) for steps in (4, 16))
        alone = [draw(Contender(bench, None, 4), [case], {}) for case in CASES[:2]]
    (metric,) = load_paired(["latent_l2"])
    off = [value for i, each in enumerate(alone) for value in metric(each, coarse[i])]
    assert means["numerics", "latent_l2"].value == pytest.approx(sum(off) / 2, rel=1e-6), "one picture per call, not two"
    assert max(off) < 1e-5
    assert means["discretisation", "latent_l2"].value == pytest.approx(sum(metric(fine, coarse)) / 2, rel=1e-6)
    assert means["discretisation", "psnr"].unit == "dB"


def test_progress_and_figures_of_jumps(tmp_path: Path) -> None:
    pipe: Any = tiny_dit()
    policy = keyframe_policy(pipe, 4, [0, 2], mixing=0.0)
    run = verification(pipe, policy, CASES, steps=4, cache_dir=tmp_path, quality_batch=2, latency_calls=2)
    assert list(run) == [(1, 8), (2, 8), (6, 8), (8, 8)]
    measured = verify(pipe, policy, CASES, steps=4, cache_dir=tmp_path, quality_batch=2, latency_calls=2)
    assert measured.quality[0].value > 0 and measured.cache_bytes > 0
    assert policy.model_copy(update={"measured": measured}).digest == policy.digest


def test_holds_where_intervals_overlap() -> None:
    old = stated((1.8, 2.0, 2.2), (0.01, 0.02, 0.03))
    assert holds(old, stated((2.1, 2.3, 2.5), (0.025, 0.03, 0.04)))
    assert not holds(old, stated((2.3, 2.4, 2.5), (0.01, 0.02, 0.03)))
    rows = agreements(old, stated((1.8, 2.0, 2.2), (0.04, 0.05, 0.06)))
    assert [(row.name, row.holds) for row in rows] == [("speedup", True), ("lpips_mean", False)]
    with pytest.raises(MeasureError, match="quality figure"):
        holds(old.model_copy(update={"quality": ()}), old)


def test_machine() -> None:
    pipe: Any = tiny_sd()
    machine = machine_info(pipe, batch=2, height=32, width=32)
    assert (machine.device, machine.dtype, machine.batch) == ("cpu", "float32", 2)
    assert machine_digest(machine) == machine_digest(machine_info(pipe, 2, 32, 32))
    assert machine_digest(machine) != machine_digest(machine_info(pipe, 1, 32, 32))
    assert picture_size(pipe, {}) == (32, 32) and picture_size(pipe, {"height": 64}) == (64, 32)


def test_pace() -> None:
    pace = measure_pace(tiny_dit(), CASES, batch=2)
    assert pace.batch == 2 and pace.rest_ms >= 0 and pace.step_ms >= 0
    assert pace.pictures_ms(3, 10) == pytest.approx(2 * pace.call_ms(10))


def test_machines_of_one_kind() -> None:
    pipe: Any = tiny_dit()
    here = machine_info(pipe, 1, 32, 32)
    assert here.memory_bytes and here.attention and here.attention.startswith("AttnProcessor2_0") and here.compile == "eager"
    assert here.determinism == () and differences(here, here) == {}
    other = here.model_copy(update={"torch": "1.0", "attention": None})
    assert differences(here, other) == {"torch": (here.torch, "1.0")}, "what is not known is no difference"
    assert machine_digest(other) != machine_digest(here)
    assert machine_digest(here.model_copy(update={"memory_bytes": 1})) == machine_digest(here)
    torch.use_deterministic_algorithms(True)
    try:
        assert differences(here, machine_info(pipe, 1, 32, 32)) == {"determinism": ((), ("deterministic",))}
    finally:
        torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize("own", [False, True])
def test_unpaired_sets_stand_beside_the_reference_s_own(tmp_path: Path, own: bool) -> None:
    """The full policy's pictures are the reference's, so against any third set both have the same figure, and it is not 0."""
    pipe: Any = tiny_dit()
    folder = tmp_path / "mine"
    folder.mkdir()
    for k in range(4):
        Image.effect_noise((40 + k, 60), 80).convert("RGB").save(folder / f"{k}.{'png' if k % 2 else 'jpg'}")
    (folder / "notes.txt").write_text("no picture")
    options: dict[str, Any] = {"steps": 4, "cache_dir": tmp_path, "quality_batch": 2, "latency_calls": 2}
    options["metrics"] = ["fd_alex"]
    measured = verify(pipe, full_policy(pipe, 4), CASES, unpaired=folder if own else "seeds", **options)
    paired, unpaired = measured.sets
    assert (paired.kind, paired.value, paired.reference) == ("paired", pytest.approx(0.0, abs=1e-4), None)
    assert unpaired.kind == ("own_pictures" if own else "other_seeds")
    assert (unpaired.metric, unpaired.count, unpaired.other_count) == ("fd_alex_3", 3, 4 if own else 3)
    assert unpaired.value > 1e-3 and unpaired.value == pytest.approx(unpaired.reference, rel=1e-3)
    jumps = verify(pipe, keyframe_policy(pipe, 4, [0], mixing=0.0), CASES, unpaired=folder if own else "seeds", **options)
    assert jumps.sets[1].reference == pytest.approx(unpaired.value, rel=1e-3) and jumps.sets[1].value != unpaired.value


def test_unpaired_folders_that_cannot_be_used(tmp_path: Path) -> None:
    pipe: Any = tiny_dit()
    options: dict[str, Any] = {"steps": 4, "cache_dir": tmp_path / "cache", "latency_calls": 2, "metrics": ["fd_alex"]}
    folder = tmp_path / "mine"
    with pytest.raises(MeasureError, match='must be "seeds" or a folder of pictures but got .*mine'):
        verify(pipe, full_policy(pipe, 4), CASES, unpaired=folder, **options)
    folder.mkdir()
    Image.new("RGB", (8, 8)).save(folder / "a.png")
    with pytest.raises(MeasureError, match=f"as many pictures as there are cases, 3, but {folder} has 1. Add some"):
        verify(pipe, full_policy(pipe, 4), CASES, unpaired=folder, **options)
    for name in ("b.png", "c.png"):
        (folder / name).write_text("no picture")
    with pytest.raises(MeasureError, match=r"but .*b.png cannot be read .* Take the file out"):
        verify(pipe, full_policy(pipe, 4), CASES, unpaired=folder, **options)
