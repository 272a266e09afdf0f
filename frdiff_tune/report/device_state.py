"""The device while a search runs: its clock, heat and power, whether it is held back, and what others take of it."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from frdiff_tune.measure.conditions import Reading
    from frdiff_tune.measure.nvml import GpuReading

EVERY_S = 2.0  # between readings
HELD = {"power_cap": "at its power limit", "slowdown": "slowed down", "power_brake": "power brake", "hot": "too hot"}
NOTICED = 0.05  # cores, or share of a GPU, of others that are worth a word


class DeviceState:
    """Reads the device of a pipeline now and then.

    Arguments:
        pipe: A diffusers pipeline.
    """

    def __init__(self, pipe: Any) -> None:  # noqa: ANN401
        from frdiff_tune.measure import pipe_device
        from frdiff_tune.measure.conditions import Watch, own_cores
        from frdiff_tune.measure.hardware import device_name

        device = pipe_device(pipe)
        self._watch = Watch(device)
        self._name = device_name(device) if device.type != "cpu" else f"CPU, {len(own_cores())} cores"
        self._last = self._watch.read()
        self._read_at, self._line = monotonic(), self._name

    def line(self) -> str:
        """Returns the device's state in one line, at most some seconds old."""
        if monotonic() - self._read_at >= EVERY_S:
            now = self._watch.read()
            self._line = state_line(self._name, self._last, now)
            self._last, self._read_at = now, monotonic()
        return self._line


def state_line(name: str, before: Reading, now: Reading) -> str:
    """Returns a device's state in words.

    Arguments:
        name: Of the device.
        before: An earlier reading.
        now: The newest one.
    """
    parts = [name, *(_gpu(now.gpu) if now.gpu else [])]
    if before.busy_s is not None and now.busy_s is not None:
        theirs = max(now.busy_s - before.busy_s - (now.own_s - before.own_s), 0.0) / max(now.wall_s - before.wall_s, 1e-9)
        if theirs > NOTICED:
            parts.append(f"other processes keep {theirs:.1f} cores busy")
    return ", ".join(parts)


def _gpu(gpu: GpuReading) -> list[str]:
    told = [(gpu.clock_mhz, "{:,.0f} MHz"), (gpu.temperature_c, "{:.0f} °C"), (gpu.power_w, "{:.0f} W")]
    parts = [words.format(value) for value, words in told if value is not None]
    parts += [HELD[reason] for reason in gpu.throttling]
    if gpu.others_load is not None and gpu.others_load > NOTICED:
        parts.append(f"other processes take {gpu.others_load:.0%} of it")
    return parts
