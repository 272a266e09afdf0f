"""Peak memory of a call, as the allocator tells it."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch.profiler import ProfilerActivity, profile


@dataclass(frozen=True, slots=True)
class Memory:
    """What a call allocated, in bytes above what was held before it.

    Arguments:
        peak: At its most.
        left: After it.
    """

    peak: int
    left: int


def memory_of(call: Callable[[], object], device: torch.device) -> Memory:
    """Returns what a call allocates; on the CPU torch's profiler counts every allocation, which is slow."""
    return _on_cuda(call, device) if device.type == "cuda" else _on_cpu(call)


def _on_cuda(call: Callable[[], object], device: torch.device) -> Memory:
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    call()
    torch.cuda.synchronize(device)
    return Memory(torch.cuda.max_memory_allocated(device) - before, torch.cuda.memory_allocated(device) - before)


def _on_cpu(call: Callable[[], object]) -> Memory:
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        call()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        recorded.export_chrome_trace(str(path))
        events = json.loads(path.read_text())["traceEvents"]
    found = [event for event in events if event.get("name") == "[memory]"]
    allocations = [event["args"] for event in sorted(found, key=lambda event: event["ts"])]
    before = allocations[0]["Total Allocated"] - allocations[0]["Bytes"]
    return Memory(max(a["Total Allocated"] for a in allocations) - before, allocations[-1]["Total Allocated"] - before)
