"""Candidates that cannot be had end as outcomes, and the next one is as in a new process."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from frdiff_tune.measure import Case, Drawn, Evaluator, Failure, Measurement
from frdiff_tune.measure.bench import Bench, Contender
from frdiff_tune.measure.drawn import check_black, draw
from frdiff_tune.measure.picture import PictureError
from frdiff_tune.runtime import keyframe_policy
from tests.tiny import tiny_sd

STEPS = 4
CASES = tuple(Case({"prompt": text}, seed) for seed, text in enumerate(("a fox", "an owl", "a bee")))
HUGE = 2**58  # bytes that no machine has


def out_of_memory(output: Any) -> Any:  # noqa: ANN401
    torch.empty(HUGE, dtype=torch.uint8)
    return output


def not_finite(output: Any) -> Any:  # noqa: ANN401
    return (output[0] * float("nan"),)


def raised(output: Any) -> Any:  # noqa: ANN401
    raise ZeroDivisionError("a kernel of somebody")


def black(output: Any) -> Any:  # noqa: ANN401
    return (torch.full_like(output[0], -1.0),)


FAULTS: dict[str, tuple[str, Callable[[Any], Any], str]] = {
    "out_of_memory": ("unet", out_of_memory, "memory"),
    "not_finite": ("unet", not_finite, "must be finite but got NaN or infinity for case"),
    "raised": ("unet", raised, "ZeroDivisionError: a kernel of somebody"),
    "black": ("vae.decoder", black, "got a black one for case"),
}


@contextmanager
def faulty(pipe: Any, part: str, fault: Callable[[Any], Any]) -> Iterator[None]:  # noqa: ANN401
    """Lets a network's second call go wrong; the first one is right, so that a run is broken off in its middle."""
    module, calls = pipe, 0
    for name in part.split("."):
        module = getattr(module, name)

    def hook(_: Any, __: Any, output: Any) -> Any:  # noqa: ANN401
        nonlocal calls
        calls += 1
        if part == "unet" and calls < 2:
            return output
        changed = fault(output if isinstance(output, tuple) else (output,))
        return changed if isinstance(output, tuple) else changed[0]

    handle = module.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def pictures(folder: Path) -> None:
    """Writes what a policy draws in a new process, with as many threads as the tests have: their number changes sums."""
    torch.set_num_threads(1)
    pipe: Any = tiny_sd()
    with Bench(pipe) as bench:
        drawn = draw(Contender(bench, keyframe_policy(pipe, STEPS, [0, 2], mixing=0.5), 0), CASES[:2], {})
    np.save(folder / "fresh.npy", drawn.pictures)
    assert drawn.latents is not None
    np.save(folder / "latents.npy", drawn.latents)


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Drawn:
    folder = tmp_path_factory.mktemp("fresh")
    code = f"from pathlib import Path; from tests.measure.test_failure import pictures; pictures(Path({str(folder)!r}))"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
    return Drawn(np.load(folder / "fresh.npy"), np.load(folder / "latents.npy"))


@pytest.mark.parametrize("reason", FAULTS)
def test_a_failure_is_an_outcome_and_the_next_one_is_as_in_a_new_process(reason: str, tmp_path: Path, fresh: Drawn) -> None:
    pipe: Any = tiny_sd()
    scheduler, (part, fault, message) = pipe.scheduler, FAULTS[reason]
    policy, bad = (keyframe_policy(pipe, STEPS, [0, 2], mixing=mixing) for mixing in (0.5, 1.0))
    options: dict[str, Any] = {"steps": STEPS, "quality_batch": 2, "anchor_steps": 2, "timed_calls": 2, "cache_dir": tmp_path}
    evaluator = Evaluator(pipe, CASES, **options)
    list(evaluator.prepare())
    with faulty(pipe, part, fault):
        found = list(evaluator(bad))
    assert len(found) == 1 and isinstance(found[0], Failure)
    assert (found[0].reason, found[0].block) == (reason, 0) and message in found[0].message
    assert pipe.scheduler is scheduler and not any("forward" in vars(module) for module in pipe.unet.modules())
    with Bench(pipe) as bench:
        drawn = draw(Contender(bench, policy, 0), CASES[:2], {})
    with evaluator:
        assert [type(block) for block in evaluator(policy)] == [Measurement, Measurement]
    assert np.array_equal(drawn.pictures, fresh.pictures)
    assert drawn.latents is not None and fresh.latents is not None and np.array_equal(drawn.latents, fresh.latents)


def test_a_failure_in_a_later_block_keeps_those_before(tmp_path: Path) -> None:
    pipe: Any = tiny_sd()
    policy = keyframe_policy(pipe, STEPS, [0, 2])
    evaluator = Evaluator(pipe, CASES, steps=STEPS, quality_batch=2, anchor_steps=2, timed_calls=2, cache_dir=tmp_path)
    run = evaluator(policy)
    first = next(run)
    with faulty(pipe, "unet", raised):
        (last,) = list(run)
    assert isinstance(first, Measurement) and isinstance(last, Failure) and last.block == 1


def test_black_where_the_reference_is_black_is_no_failure() -> None:
    dark, light = (Drawn(np.full((1, 4, 4, 3), value, np.uint8)) for value in (0, 9))
    check_black(dark, dark, CASES[:1])
    check_black(light, dark, CASES[:1])
    with pytest.raises(PictureError, match="got a black one for case 'a fox', seed 0"):
        check_black(dark, light, CASES[:1])
