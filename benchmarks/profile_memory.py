"""Whether recording what changes from step to step stays within the memory that it states, on published architectures.

    python -m benchmarks.profile_memory --model sd-1.5 --size 128

The network has random weights and its published configuration; pictures are small so that a processor draws them. The same call
runs bare and recorded, and torch's allocator tells both peaks.
"""

import argparse
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

import torch

from benchmarks.architectures import FULL, REDUCED
from benchmarks.memory import memory_of
from benchmarks.record import save
from frdiff_tune.measure import machine_info
from frdiff_tune.measure.similarity import ENTRIES, bound_bytes
from frdiff_tune.runtime import default_groups, record

MIB = 2**20
KNOWN = {**FULL, **REDUCED}


def measure(name: str, device: torch.device, steps: int, size: int, entries: Sequence[int]) -> list[dict[str, Any]]:
    """Returns a row per number of entries, as JSON values.

    Arguments:
        name: The network.
        device: Where it runs.
        steps: Steps of the run.
        size: Height and width of the picture, in pixels.
        entries: Entries to take per site and sample.
    """
    torch.manual_seed(0)
    pipe = KNOWN[name].make().to(device)
    pipe.set_progress_bar_config(disable=True)
    given = KNOWN[name].arguments(device, torch.float32) | {"output_type": "latent", "num_inference_steps": steps}
    sized = {} if "class_labels" in given else {"height": size, "width": size}
    given = {key: value for key, value in given.items() if key != "output_type" or sized}
    call = partial(pipe, **(given | sized))
    call()
    bare = memory_of(call, device).peak
    return [row(pipe, call, bare, device, steps, count) for count in entries]


def row(pipe: Any, call: "partial[Any]", bare: int, device: torch.device, steps: int, entries: int) -> dict[str, Any]:  # noqa: ANN401
    """Returns what a recorded run needs beside the bare one, in MiB, and what is stated."""
    sizes: dict[tuple[str, str], tuple[int, int, int]] = {}

    def recorded() -> None:
        with record(pipe, steps, default_groups(pipe), entries=entries, pictures=1) as records:
            call()
        sizes.update(records.recorder.sizes)

    peak, bound = memory_of(recorded, device).peak, bound_bytes(sizes, steps)
    return {
        "entries": entries,
        "sites": len({name for name, _ in sizes}),
        "bare_peak_mib": bare / MIB,
        "growth_mib": (peak - bare) / MIB,
        "bound_mib": bound / MIB,
        "features_of_a_step_mib": sum(size for _, _, size in sizes.values()) / MIB,
        "within": peak - bare <= bound,
    }


def main() -> None:
    """Measures, and writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--model", default="sd-1.5", choices=list(KNOWN))
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--size", type=int, default=128, help="height and width, in pixels")
    given = parser.parse_args()
    found = measure(given.model, torch.device(given.device), given.steps, given.size, (ENTRIES // 16, ENTRIES))
    machine = machine_info(KNOWN["sd-like"].make().to(given.device))
    options = f"--device {given.device} --model {given.model} --steps {given.steps} --size {given.size}"
    result = {
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": f"python -m benchmarks.profile_memory {options}",
        "machine": machine.model_dump(mode="json", exclude_none=True),
        "rows": found,
    }
    path = save(result, f"profile-memory-{given.model}-{given.device}")
    for each in found:
        print("  ".join(f"{key} {value:.1f}" if isinstance(value, float) else f"{key} {value}" for key, value in each.items()))
    print(f"Written: {path.name}")


if __name__ == "__main__":
    main()
