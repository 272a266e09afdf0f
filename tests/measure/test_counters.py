"""Counters: what they read, when they are read, and what is said where a device has none."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest
import torch

from frdiff_tune.errors import MeasureError
from frdiff_tune.measure import COUNTERS, Measurement, counters, summarise
from frdiff_tune.measure.counters import Counter
from frdiff_tune.measure.counters.energy import Energy
from frdiff_tune.measure.counters.peak_memory import PeakMemory
from frdiff_tune.measure.nvml import gpu_of
from frdiff_tune.runtime import keyframe_policy
from tests.measure.test_evaluator import STEPS, evaluator, measured
from tests.tiny import tiny_dit

CPU = torch.device("cpu")


def test_what_is_used_is_the_difference_of_readings_per_picture() -> None:
    told = iter([100.0, 130.0, 130.0, 190.0])
    counter = Energy(lambda: next(told), batch=4)
    counted = []
    for _ in range(2):
        counter.start()
        counted.append(counter.stop())
    assert counted == [7.5, 15.0]


def test_a_reading_that_fails_is_no_figure() -> None:
    told: Iterator[float | None] = iter([1.0, None])
    counter = Energy(lambda: next(told), batch=1)
    counter.start()
    block = Measurement(("a",), {"lpips": (0.1,)}, (1.0,), (1.0,), (1.0,), 0, 3, {"energy_j": (counter.stop(),)})
    with pytest.raises(MeasureError, match="must be finite but got nan"):
        summarise([block], anchor_ms=1.0)


@pytest.mark.parametrize(("name", "cure"), [("peak_mib", 'Name "cache_mib" instead'), ("energy_j", ".* NVIDIA GPU .* NVML")])
def test_what_a_device_does_not_count_is_said_first(name: str, cure: str, tmp_path: Path) -> None:
    with pytest.raises(MeasureError, match=f"`objectives` and `limits` must .* but got '{name}', which cpu does not. {cure}"):
        counters([name], CPU, 1)
    with pytest.raises(MeasureError, match=name):
        evaluator(tiny_dit(), tmp_path, counted=[name])


class Calls(Counter):
    """Counts calls of the network, in place of bytes."""

    name = "peak_mib"
    cure = ""
    pipe: Any = None

    def __init__(self) -> None:
        self.count = 0
        self.pipe.transformer.transformer_blocks[0].register_forward_hook(self._called)

    def _called(self, *_: object) -> None:
        self.count += 1

    @classmethod
    def of(cls, device: torch.device, batch: int) -> Self | None:
        return cls()

    def start(self) -> None:
        self.count = 0

    def stop(self) -> float:
        return float(self.count)


def test_counters_see_the_policy_s_timed_calls_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe: Any = tiny_dit()
    monkeypatch.setattr(Calls, "pipe", pipe)
    monkeypatch.setitem(COUNTERS, "peak_mib", Calls)
    policy = keyframe_policy(pipe, STEPS, [0, 2, 3], mixing=0.0)
    blocks = measured(evaluator(pipe, tmp_path, counted=["peak_mib"])(policy))
    assert [block.counts for block in blocks] == [{"peak_mib": (3.0, 3.0)}, {"peak_mib": (3.0,)}], "neither anchor nor pictures"
    found = summarise(blocks, anchor_ms=1.0).counts["peak_mib"]
    assert (found.low, found.value, found.high) == (3.0, 3.0, 3.0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_gpu_counts_peak_memory() -> None:
    device = torch.device("cuda")
    counter = PeakMemory.of(device, 1)
    assert counter is not None
    held = torch.cuda.memory_allocated(device) / 2**20
    counter.start()
    del_me = torch.empty(2**23, dtype=torch.uint8, device=device)
    del del_me
    assert held + 8 <= counter.stop() <= held + 16
    counter.start()
    assert counter.stop() <= held + 1, "earlier peaks are forgotten"


@pytest.mark.skipif(not torch.cuda.is_available() or gpu_of("cuda:0") is None, reason="no GPU answers through NVML")
def test_a_gpu_counts_energy() -> None:
    counter = Energy.of(torch.device("cuda:0"), 1)
    if counter is None:
        pytest.skip("the board has no counter")
    counter.start()
    x = torch.randn(4096, 4096, device="cuda")
    for _ in range(200):
        x = torch.nn.functional.normalize(x @ x)
    torch.cuda.synchronize()
    assert counter.stop() > 0
