import gc
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from frdiff_tune.errors import MeasureError, MismatchError
from frdiff_tune.measure import Case, Evaluator, Failure, Measurement, render, summarise
from frdiff_tune.runtime import Capture, full_policy, keyframe_policy, make_scheduler
from tests.tiny import tiny_dit, tiny_sd

STEPS = 4
PROMPTS = tuple(Case({"prompt": text}, seed) for seed, text in enumerate(("a fox", "an owl", "a bee")))
CLASSES = tuple(Case({"class_labels": label}, label) for label in range(3))


def evaluator(pipe: Any, folder: Path, **options: Any) -> Evaluator:  # noqa: ANN401
    cases = PROMPTS if hasattr(pipe, "unet") else CLASSES
    given: dict[str, Any] = {
        "steps": STEPS,
        "quality_batch": 2,
        "anchor_steps": 2,
        "timed_calls": 3,
        "cache_dir": folder,
    }
    return Evaluator(pipe, cases, **given | options)


def measured(found: Iterable[Measurement | Failure]) -> list[Measurement]:
    blocks = list(found)
    assert all(isinstance(block, Measurement) for block in blocks), blocks
    return [block for block in blocks if isinstance(block, Measurement)]


def picture(pipe: Any) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:  # noqa: ANN401
    return render(lambda **arguments: pipe(num_inference_steps=STEPS, **arguments), PROMPTS[:1], {})


def restored(pipe: Any, scheduler: object) -> bool:  # noqa: ANN401
    denoiser = pipe.unet if hasattr(pipe, "unet") else pipe.transformer
    patched = any("forward" in vars(module) for module in denoiser.modules())
    return pipe.scheduler is scheduler and not patched and not {"step", "set_timesteps"} & set(vars(scheduler))


@pytest.mark.parametrize("make", [tiny_sd, tiny_dit])
def test_full_policy_is_at_zero_and_jumps_are_not(make: Any, tmp_path: Path) -> None:  # noqa: ANN401
    pipe: Any = make()
    scheduler = pipe.scheduler
    with evaluator(pipe, tmp_path) as measure:
        assert list(measure.prepare()) == [(2, 6), (3, 6), (4, 6), (5, 6), (6, 6)]
        assert list(measure.prepare()) == []
        spared = measured(measure(full_policy(pipe, STEPS)))
        measure._full = ""  # the reference's own run is drawn like any other then
        full = measured(measure(full_policy(pipe, STEPS)))
        jumps = measured(measure(keyframe_policy(pipe, STEPS, [0, 2], mixing=0.0)))
        again = measured(measure(full_policy(pipe, STEPS)))
        assert not restored(pipe, scheduler)
    assert restored(pipe, scheduler)
    assert [block.values["lpips"] for block in full] == [(0.0, 0.0), (0.0,)] == [block.values["lpips"] for block in again]
    assert [block.values["lpips"] for block in spared] == [(0.0, 0.0), (0.0,)]
    assert all(distance > 0 for block in jumps for distance in block.values["lpips"])
    assert [block.cases for block in full] == [tuple(c.digest for c in part) for part in measure.blocks]
    assert [len(block.latency_ms) for block in full] == [2, 1]
    assert full[0].nfe == STEPS and jumps[0].nfe == 2
    assert jumps[0].cache_bytes > 0 == full[0].cache_bytes
    assert all(0 < loop < whole for block in jumps for loop, whole in zip(block.loop_ms, block.latency_ms, strict=True))
    assert measure.reference_latency.count == 3 and measure.anchor_ms > 0
    assert measure.reference_bytes == 3 * 32 * 32 * 3


def test_the_references_own_run_is_timed_and_not_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe: Any = tiny_sd()
    with evaluator(pipe, tmp_path) as measure:
        list(measure.prepare())
        monkeypatch.setattr("frdiff_tune.measure.evaluator.draw", None)  # whatever is drawn would call it
        blocks = measured(measure(full_policy(pipe, STEPS)))
        assert [len(block.latency_ms) for block in blocks] == [2, 1]
        (drawn,) = measure(full_policy(pipe, STEPS + 1))
        assert isinstance(drawn, Failure) and "not callable" in drawn.message


def test_a_stopped_generator_restores_the_pipeline(tmp_path: Path) -> None:
    pipe: Any = tiny_sd()
    scheduler, before = pipe.scheduler, picture(pipe)
    solver = make_scheduler(pipe, "DPMSolverMultistepScheduler", timestep_spacing="trailing")
    policy = keyframe_policy(pipe, STEPS, [0, 2], scheduler=solver)
    measure = evaluator(pipe, tmp_path)
    for _ in measure(policy):
        assert not restored(pipe, scheduler)
        break
    gc.collect()
    assert restored(pipe, scheduler)
    assert np.array_equal(picture(pipe), before)


def test_an_interrupt_restores_the_pipeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe: Any = tiny_sd()
    scheduler, before = pipe.scheduler, picture(pipe)
    policy = keyframe_policy(pipe, STEPS, [0, 2])
    measure = evaluator(pipe, tmp_path)
    run = measure(policy)
    next(run)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(pipe.vae, "decode", interrupted)
        next(run)
    assert restored(pipe, scheduler)
    assert np.array_equal(picture(pipe), before)
    assert len(list(measure(policy))) == 2


def interrupted(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_an_interrupted_preparation_can_be_done_again(tmp_path: Path) -> None:
    pipe: Any = tiny_dit()
    scheduler = pipe.scheduler
    measure = evaluator(pipe, tmp_path)
    next(measure.prepare())
    gc.collect()
    assert restored(pipe, scheduler)
    with pytest.raises(MeasureError, match="must be prepared"):
        measure.anchor_ms  # noqa: B018
    assert len(list(measure.prepare())) == 5


def test_a_policy_for_another_model_is_refused(tmp_path: Path) -> None:
    pipe: Any = tiny_dit()
    with pytest.raises(MismatchError):
        list(evaluator(pipe, tmp_path)(full_policy(tiny_sd(), STEPS)))
    assert restored(pipe, pipe.scheduler)


def test_bad_arguments(tmp_path: Path) -> None:
    pipe: Any = tiny_dit()
    with pytest.raises(MeasureError, match="`timed_calls` must be at least 1 but got 0"):
        evaluator(pipe, tmp_path, timed_calls=0)
    with pytest.raises(MeasureError, match="got num_inference_steps"):
        evaluator(pipe, tmp_path, call={"num_inference_steps": 3})
    with pytest.raises(MeasureError, match="at least one case"):
        Evaluator(pipe, (), steps=3, cache_dir=tmp_path)


def test_summary_by_hand() -> None:
    first = Measurement(("a", "b"), {"lpips": (0.0, 0.2)}, (10.0, 12.0), (5.0, 6.0), (9.0, 11.0), 64, 3)
    second = Measurement(("c",), {"lpips": (0.1,)}, (6.0,), (2.0,), (5.0,), 32, 3)
    result = summarise([first, second], anchor_ms=4.0)
    assert result.latency_ms.value == 8.0  # ratios 2, 2, 3
    assert result.figures["lpips"].value == pytest.approx(0.1)
    assert result.figures["lpips_median"].value == 0.1
    assert result.figures["lpips_p90"].value == pytest.approx(0.18)
    assert result.figures["flips"].value == pytest.approx(2 / 3)
    assert (result.count, result.timed, result.cache_bytes, result.nfe) == (3, 3, 64, 3)
    with pytest.raises(MeasureError, match="at least one block"):
        summarise([], anchor_ms=4.0)


def test_a_policy_may_be_launched_in_another_way(tmp_path: Path) -> None:
    """The anchor stays by kernels; the pipeline ends bare; pictures are those of the kernels but for rounding."""
    pipe: Any = tiny_dit(layers=1)
    policy = keyframe_policy(pipe, 4, [0, 2], mixing=1.0, groups=["block"])
    ways: tuple[Capture, ...] = ("eager", "compile")
    with evaluator(pipe, tmp_path, quality_batch=1) as measure:
        plain, compiled = (measured(measure(policy, 0, capture)) for capture in ways)
    assert [len(block.latency_ms) for block in plain] == [len(block.latency_ms) for block in compiled]
    for one, other in zip(plain, compiled, strict=True):
        assert other.values["lpips"] == pytest.approx(one.values["lpips"], abs=1e-3)
    assert pipe.transformer._compiled_call_impl is None
    assert not any(module._compiled_call_impl for module in pipe.transformer.modules())
