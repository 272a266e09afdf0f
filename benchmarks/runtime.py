"""What the runtime makes of reuse: the speed-up that arrives beside the one that the site timings allow.

    python -m benchmarks.runtime --device cpu
    python -m benchmarks.runtime --device cuda

On the CPU it times reduced networks and the embedded models, on a GPU the published architectures in float16 as well; weights
are random, latency does not depend on them. All contenders take turns in one process, round by round: the bare pipeline, the
full policy, one policy per group that reuses nothing else, and FRDiff's schedules. From a round's own times follow

    allowed = bare loop / sum_t (rest + [the network is called] (full call - sum of what the reused groups save))

where a group saves, per step, the difference of the full run and of the one that reuses only it; and rest is what a step of the
loop takes outside of the network. Stated are medians over rounds with 95 % bootstrap intervals.
"""

import argparse
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from typing import Any

import torch

from benchmarks.architectures import EMBEDDED, FULL, REDUCED, Architecture
from benchmarks.memory import memory_of
from benchmarks.record import RESULTS, save
from benchmarks.runtime_table import table
from benchmarks.turns import Turn, turn
from frdiff_tune.measure.bench import Bench, Contender
from frdiff_tune.measure.hardware import machine_info
from frdiff_tune.measure.interval import Interval, bootstrap
from frdiff_tune.policy import Policy
from frdiff_tune.runtime import Capture, default_groups, find_denoiser, frdiff_policy, full_policy, keyframe_policy

MODES = {"cpu": ("eager", "compile"), "cuda": ("eager", "compile", "reduce-overhead", "cuda_graphs")}
STEPS = 15
INTERVALS = (2, 3, 5)
WARM_UPS = 2


def policies(pipe: Any, architecture: Architecture) -> dict[str, Policy]:  # noqa: ANN401
    """Returns the schedules that are timed: name -> policy."""
    groups = list(architecture.groups)
    found = {f"uniform {m}": keyframe_policy(pipe, STEPS, range(0, STEPS, m), mixing=1.0, groups=groups) for m in INTERVALS}
    for m in INTERVALS:
        mixed = frdiff_policy(pipe, STEPS, m)
        lam = tuple(mixed.mixing)
        found[f"uniform {m}, mixed"] = keyframe_policy(pipe, STEPS, range(0, STEPS, m), mixing=lam, groups=groups)
    return found


def singles(pipe: Any, architecture: Architecture) -> dict[str, Policy]:  # noqa: ANN401
    """Returns a policy per group that reuses it at all steps but the first."""
    known = default_groups(pipe)
    return {name: keyframe_policy(pipe, STEPS, [0], mixing=1.0, groups=[name]) for name in architecture.groups if name in known}


class Rounds:
    """All contenders of one network in one launch mode, timed in turn.

    Arguments:
        bench: The pipeline.
        architecture: What it is.
        device: Where it runs.
        capture: How the network is launched under a policy.
        same: Whether the bare network is launched in the same way.
    """

    def __init__(self, bench: Bench, architecture: Architecture, device: torch.device, capture: Capture, same: bool) -> None:
        pipe = bench.pipe
        self.bench, self.device, self.same = bench, device, same
        dtype: Any = find_denoiser(pipe).module.dtype
        self.arguments = {**architecture.arguments(device, dtype), "output_type": "latent"}
        if type(pipe).__name__ == "DiTPipeline":
            self.arguments.pop("output_type")  # which it would not know
        self.policies, self.singles = policies(pipe, architecture), singles(pipe, architecture)
        chosen = {"full": full_policy(pipe, STEPS), **self.singles, **self.policies}
        self.contenders = {"bare": Contender(bench, None, STEPS)}
        self.contenders |= {name: Contender(bench, policy, STEPS, capture) for name, policy in chosen.items()}
        self.rounds: list[dict[str, Turn]] = []
        self.pairs: list[tuple[Turn, Turn]] = []

    def warm_up(self) -> None:
        """Runs every contender: compiled code and graphs are made here."""
        for contender in self.contenders.values():
            for _ in range(WARM_UPS):
                self._turn(contender)

    def time(self, count: int) -> None:
        """Times so many rounds, each in the opposite order of the one before; then twice as many pairs of bare and full."""
        for i in range(count):
            names = list(self.contenders)
            turns = {name: self._turn(self.contenders[name]) for name in (names if i % 2 == 0 else reversed(names))}
            self.rounds.append(turns)
        for i in range(2 * count):
            bare, full = (self.contenders[name] for name in ("bare", "full"))
            pair = [self._turn(contender) for contender in ((bare, full) if i % 2 == 0 else (full, bare))]
            self.pairs.append((pair[i % 2], pair[1 - i % 2]))

    def _turn(self, contender: Contender) -> Turn:
        return turn(contender, self.arguments, self.device)

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yields what was found, as JSON values: overhead, groups, policies."""
        base = "bare" if self.same else "full"
        full = [r["full"] for r in self.rounds]
        yield {
            "policy": "full",
            "step_ms": _figure([t.loop_ms / STEPS for t in full]),
            "network_ms": _figure([t.network_ms / t.calls for t in full]),
            "overhead": _figure([full.loop_ms / bare.loop_ms - 1 for bare, full in self.pairs]),
        }
        for name in self.singles:
            saved = [self._saved(r, name) / (r["full"].network_ms / STEPS) for r in self.rounds]
            yield {"group": name, "saved_share": _figure(saved), "cache_mib": self.rounds[0][name].cache_bytes / 2**20}
        for name, policy in self.policies.items():
            speedups = [r[base].loop_ms / r[name].loop_ms for r in self.rounds]
            savings = [{group: self._saved(r, group) for group in self.singles} for r in self.rounds]
            allowed = [r[base].loop_ms / allowed_ms(r[base], s, policy) for r, s in zip(self.rounds, savings, strict=True)]
            yield {
                "policy": name,
                "speedup": _figure(speedups),
                "allowed": _figure(allowed),
                "ratio": _figure([a / b for a, b in zip(speedups, allowed, strict=True)]),
                "call_speedup": _figure([r["bare"].total_ms / r[name].total_ms for r in self.rounds]),
                "nfe": policy.nfe,
                "cache_mib": self.rounds[0][name].cache_bytes / 2**20,
            }

    def _saved(self, found: Mapping[str, Turn], group: str) -> float:
        """Returns what reusing a group saves in one network call, in ms."""
        return (found["full"].network_ms - found[group].network_ms) / (STEPS - 1)

    def memory(self) -> dict[str, Any]:
        """Returns by how much a policy's peak is above the bare pipeline's, beside what it states, in MiB."""
        name = f"uniform {INTERVALS[1]}"
        peaks = {}
        for chosen in ("bare", name):
            self.contenders[chosen].ready()
            peaks[chosen] = memory_of(partial(self.contenders[chosen], **self.arguments), self.device).peak / 2**20
        stated = self.rounds[0][name].cache_bytes / 2**20
        return {
            "policy": name,
            "peak_bare_mib": peaks["bare"],
            "peak_growth_mib": peaks[name] - peaks["bare"],
            "stated_mib": stated,
        }


def allowed_ms(bare: Turn, saved: Mapping[str, float], policy: Policy) -> float:
    """Returns how long a policy's loop takes if every reuse saves what its group saves, in ms.

    Arguments:
        bare: A run that computes everything.
        saved: Group -> what reusing it saves in one network call, in ms.
        policy: The policy.
    """
    call = bare.network_ms / policy.T
    calls = [call - sum(saved[group] for group in step.reuses) for step in policy.plan() if step.calls]
    return bare.loop_ms - bare.network_ms + sum(calls)


def _figure(values: list[float]) -> dict[str, float]:
    found: Interval = bootstrap(values, "median")
    return asdict(found)


@contextmanager
def launched(pipe: Any, mode: str) -> Iterator[tuple[Capture, bool]]:  # noqa: ANN401
    """Compiles the network as a user would, where the mode asks for it.

    Yields:
        How it is launched under a policy, and whether the bare pipeline launches it in the same way.
    """
    network = find_denoiser(pipe).module
    if mode in ("compile", "reduce-overhead"):
        torch._dynamo.reset()
        network.compile(mode=None if mode == "compile" else mode)
    try:
        yield ("cuda_graphs", False) if mode == "cuda_graphs" else ("eager", True)
    finally:
        network._compiled_call_impl = None


def measure(name: str, architecture: Architecture, mode: str, device: torch.device, rounds: int) -> list[dict[str, Any]]:
    """Returns the rows of a network in a launch mode."""
    torch.manual_seed(0)
    pipe = architecture.make().to(device)
    if device.type == "cuda":
        pipe.to(torch.float16 if name != "flux-1-dev" else torch.bfloat16)
    pipe.set_progress_bar_config(disable=True)
    with launched(pipe, mode) as (capture, same), Bench(pipe) as bench:
        taken = Rounds(bench, architecture, device, capture, same)
        taken.warm_up()
        taken.time(rounds)
        rows = [{"model": name, "mode": mode, **row} for row in taken.rows()]
        if mode == "eager":
            rows.append({"model": name, "mode": mode, **taken.memory()})
    return rows


def main() -> None:
    """Measures, and writes JSON and a table after every network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", choices=list(MODES))
    parser.add_argument("--models", nargs="+", help="some of them; by default all of the device")
    parser.add_argument("--modes", nargs="+", help="how the network is launched; by default in all ways of the device")
    parser.add_argument("--rounds", type=int, default=9)
    given = parser.parse_args()
    device = torch.device(given.device)
    known = {**(FULL if device.type == "cuda" else REDUCED), **EMBEDDED}
    path = RESULTS / f"runtime-{device.type}.json"
    rows: list[dict[str, Any]] = json.loads(path.read_text())["rows"] if path.is_file() else []
    for name in given.models or known:
        for mode in given.modes or MODES[device.type]:
            found = measure(name, known[name], mode, device, given.rounds)
            rows = [row for row in rows if (row["model"], row["mode"]) != (name, mode)] + found
            save({**_heading(device, given.rounds), "rows": rows}, path.stem)
            print(table(found), flush=True)


def _heading(device: torch.device, rounds: int) -> dict[str, Any]:
    machine = machine_info(EMBEDDED["demo:emoji"].make().to(device))
    return {
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": f"python -m benchmarks.runtime --device {device.type} --rounds {rounds}",
        "machine": machine.model_dump(mode="json", include={"device", "driver", "torch", "diffusers", "cuda", "cpu", "cores"}),
        "steps": STEPS,
        "batch": 1,
    }


if __name__ == "__main__":
    main()
