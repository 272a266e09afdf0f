"""Takes what ``make demo`` left into the repository: policy and pictures, and its figures into README.md.

python -m benchmarks.demo
"""

import shutil
from pathlib import Path

from benchmarks.front_table import replace_block
from benchmarks.record import RESULTS
from frdiff_tune.policy import Measured, Policy, Quality

RUN = Path("runs/demo-quick")
FILES = ("policy.json", "front.png", "side_by_side.png")


def words(policy: Policy) -> str:
    """Returns what was measured of an exported policy, as a paragraph."""
    measured, machine = policy.measured, policy.machine
    assert measured is not None and machine is not None, "export writes both"
    lpips, flips = _quality(measured, "mean"), _quality(measured, "flips")
    flipped = round(flips.value * flips.count)
    steps = policy.T if policy.sampling.grid is None else policy.sampling.grid.T
    return (
        f"What one run of `make demo` left ({machine.cores} cores, {machine.cpu}; `benchmarks/results/demo/` holds its policy "
        f"and both pictures): the chosen policy calls the network {policy.nfe} times, makes a picture {measured.speedup:.2f} "
        f"times faster than {steps} steps (95 % interval {measured.speedup_low:.2f} to {measured.speedup_high:.2f}), at a "
        f"mean LPIPS of {lpips.value:.2g} ({lpips.low:.2g} to {lpips.high:.2g}) on {lpips.count} pictures that the search "
        f"never saw, {flipped} of which became another composition (LPIPS above {flips.threshold:g})."
    )


def _quality(measured: Measured, statistic: str) -> Quality:
    return next(found for found in measured.quality if found.metric == "lpips" and found.statistic == statistic)


def main() -> None:
    """Copies the files and writes the paragraph."""
    (RESULTS / "demo").mkdir(parents=True, exist_ok=True)
    for name in FILES:
        shutil.copyfile(RUN / name, RESULTS / "demo" / name)
    replace_block(Path("README.md"), "demo", words(Policy.load(RUN / FILES[0])) + "\n")


if __name__ == "__main__":
    main()
