import os
import time
from pathlib import Path

import numpy as np
import pytest

from benchmarks.latency_repeatability import drawn, half_a_core
from frdiff_tune.measure import Stopping


def test_drawn_measurements_begin_evenly_and_stop_by_the_rule() -> None:
    ours = [10.0] * 100
    steady, wild = [20.0] * 100, [20.0 + 10 * (i % 2) for i in range(100)]
    found = list(drawn(steady, ours, 5, Stopping(0.02, 64)))
    assert [look for look, _ in found] == [16] * 5 and {stated.value for _, stated in found} == {2.0}
    assert [look for look, _ in drawn(wild, ours, 5, Stopping(0.02, 64))] == [64] * 5


def test_drawn_measurements_see_their_own_stretch_only() -> None:
    full = np.linspace(10.0, 20.0, 100).tolist()
    values = [stated.value for _, stated in drawn(full, [10.0] * 100, 3, Stopping(0.5, 20))]
    assert values == sorted(values) and values[0] < 1.2 < 1.8 < values[-1]


def own_seconds(pid: int) -> float:
    """Returns the CPU time of one process, in s."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.skipif(not Path("/proc/self/stat").is_file(), reason="the system does not tell a process's CPU time")
def test_the_load_keeps_on_and_ends() -> None:
    with half_a_core() as pid:
        end = time.monotonic() + 60
        while (before := own_seconds(pid)) < 0.5 and time.monotonic() < end:
            time.sleep(0.1)
        while own_seconds(pid) < before + 0.5 and time.monotonic() < end:
            time.sleep(0.1)
        assert own_seconds(pid) >= before + 0.5
    assert not Path(f"/proc/{pid}").exists()
