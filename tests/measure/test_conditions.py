"""What disturbs a timed run, from readings written by hand, and the machine's real ones."""

import time

import pytest
import torch

from frdiff_tune.measure.conditions import Reading, Seen, Watch, cpu_seconds, energy_j, own_cores, seen, summed_up
from frdiff_tune.measure.nvml import GpuReading, foreign, gpu_of

CPU = torch.device("cpu")


def reading(wall_s: float, busy_s: float, own_s: float, gpu: GpuReading | None = None) -> Reading:
    return Reading(wall_s, busy_s, own_s, gpu)


def test_others_take_a_core() -> None:
    # Of four cores' 8 s others had 1 - 0.5 = 0.5 s, a quarter of a core: above 5 % of the four.
    found = seen([reading(0, 10, 3), reading(2, 14, 6.5)], "cpu", cores=4)
    assert found == Seen(0.25, ("cpu_load",))
    assert seen([reading(0, 10, 3), reading(2, 14, 6.5)], "cuda", cores=4).disturbances == ()
    assert seen([reading(0, 10, 3), reading(2, 13.6, 6.5)], "cpu", cores=4).disturbances == ()
    assert seen([reading(0, 10, 3), reading(0.1, 10.04, 3)], "cpu", cores=1).disturbances == ()  # four ticks of its clock


def test_a_gpu_that_is_held_back_or_shared() -> None:
    fine = GpuReading(clock_mhz=1980, temperature_c=60, throttling=("power_cap",), hot_s=4.0, energy_j=100.0, others_load=0.0)
    hot = GpuReading(clock_mhz=1200, temperature_c=85, throttling=("hot",), hot_s=4.0, energy_j=700.0, others_load=0.3)
    since = GpuReading(hot_s=4.5)
    assert seen([reading(0, 0, 0, fine), reading(1, 0, 0, fine)], "cuda", 8).disturbances == ()
    disturbed = seen([reading(0, 0, 0, fine), reading(1, 0, 0, hot)], "cuda", 8)
    assert disturbed.disturbances == ("gpu_load", "hot")
    assert seen([reading(0, 0, 0, fine), reading(1, 0, 0, since), reading(2, 0, 0, since)], "cuda", 8).disturbances == ("hot",)
    assert energy_j(reading(0, 0, 0, fine), reading(1, 0, 0, hot)) == 600.0
    assert energy_j(reading(0, 0, 0, fine), reading(1, 0, 0, since)) is None
    stated = summed_up([disturbed, Seen(None, (), (fine,))], repeated=3, settled=True)
    assert (stated.disturbed, stated.repeated, stated.disturbances) == (1, 3, ("gpu_load", "hot"))
    assert stated.gpu_clock_mhz == (1200, 1980) and stated.gpu_temperature_c == 85
    assert stated.gpu_throttling == ("hot", "power_cap") and stated.cpu_others_cores == 0.0


def test_which_processes_are_others() -> None:
    assert foreign([(7, 50.0), (8, 20.0)], own=7) == [20.0]
    assert foreign([(7, 50.0), (8, 20.0)], own=1) == [20.0]  # in a container: the largest is taken for ours
    assert foreign([], own=1) == []


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_there_is_no_answer() -> None:
    assert gpu_of("cpu") is None and gpu_of("cuda:0") is None
    assert Watch(CPU).read().gpu is None


def test_own_work_is_no_load_by_others() -> None:
    watch = Watch(CPU)
    before, end = watch.read(), time.process_time() + 0.3
    while time.process_time() < end:
        pass
    after = watch.read()
    assert after.own_s - before.own_s >= 0.3
    if before.busy_s is not None and after.busy_s is not None:
        assert after.busy_s - before.busy_s >= 0.2  # ours is in what all had
    assert cpu_seconds(own_cores()) is None or cpu_seconds(()) == 0.0
