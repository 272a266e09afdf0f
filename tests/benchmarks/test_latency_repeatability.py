import numpy as np
import pytest

from benchmarks.latency_repeatability import drawn, half_a_core
from frdiff_tune.measure import Stopping
from frdiff_tune.measure.conditions import cpu_seconds, own_cores


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


def test_the_load_takes_about_half_a_core_and_ends() -> None:
    import time

    before = cpu_seconds(own_cores())
    if before is None:
        pytest.skip("the system does not tell CPU time")
    with half_a_core():
        time.sleep(3.0)
    after = cpu_seconds(own_cores())
    assert after is not None and after - before > 0.3
