"""What the runtime makes of reuse: the speed-up that arrives beside the one that the site timings allow.

    python -m benchmarks.runtime --device cpu
    python -m benchmarks.runtime --device cuda

On the CPU it times reduced networks and the embedded models, on a GPU the published architectures in float16 as well; weights
are random, latency does not depend on them. All contenders take turns in one process, round by round: the bare pipeline, the
full policy, FRDiff's schedules, and one policy for the site timings, whose steps compute everything and then leave out each
group alone, in turn. A schedule's loop is compared with those of the bare pipeline that ran before and after it, and its
speed-up with

    allowed = 1 / (1 - n + n / T * sum_t [the network is called] (1 - sum of the shares that the reused groups save))

where n is the network's share of the bare loop. All are medians over rounds, with intervals that hold 95 % of what follows
when the rounds are drawn anew (bootstrap). What the full policy adds to a step grows neither with the picture nor with the
network, as it patches no layer; on the CPU it is timed on few layers and small pictures, where it stands out from the noise, in
pairs, and stated as a share of the whole network's step. With graphs of the policy's own (cuda_graphs) the full policy stands
in for the bare pipeline, and how much faster it is than that one is stated.
"""

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from statistics import mean, median
from typing import Any

import torch

from benchmarks.architectures import EMBEDDED, FULL, REDUCED, Architecture
from benchmarks.memory import memory_of
from benchmarks.record import RESULTS, save
from benchmarks.runtime_table import table
from benchmarks.turns import Figures, Round, Turn, paired, spread, turn
from frdiff_tune.measure.bench import Bench, Contender
from frdiff_tune.measure.hardware import machine_info
from frdiff_tune.measure.interval import bootstrap
from frdiff_tune.policy import Policy
from frdiff_tune.runtime import Capture, find_denoiser, frdiff_policy, full_policy, keyframe_policy

MODES = {"cpu": ("eager", "compile"), "cuda": ("eager", "compile", "reduce-overhead", "cuda_graphs")}
STEPS = 10
INTERVALS = (2, 3, 5)
WARM_UPS = 2
PAIRS = 8  # of the bare pipeline and the full policy, per round


def policies(pipe: Any, architecture: Architecture) -> dict[str, Policy]:  # noqa: ANN401
    """Returns the schedules that are timed: name -> policy."""
    groups = list(architecture.groups)
    found = {f"uniform {m}": keyframe_policy(pipe, STEPS, range(0, STEPS, m), mixing=1.0, groups=groups) for m in INTERVALS}
    for m in INTERVALS:
        mixed = frdiff_policy(pipe, STEPS, m)
        lam = tuple(mixed.mixing)
        found[f"uniform {m}, mixed"] = keyframe_policy(pipe, STEPS, range(0, STEPS, m), mixing=lam, groups=groups)
    return found


def sites_policy(pipe: Any, architecture: Architecture) -> Policy:  # noqa: ANN401
    """Returns a policy that computes everything at one step, and at the following ones reuses each group alone, in turn."""
    groups = architecture.groups
    policy = keyframe_policy(pipe, STEPS, [0], mixing=1.0, groups=list(groups))
    turns = [None, *groups]
    reused = [turns[t % len(turns)] for t in range(STEPS)]
    return policy.replace(masks={name: "".join("0" if name == other else "1" for other in reused) for name in groups})


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
        self.bench, self.device, self.base = bench, device, "bare" if same else "full"
        dtype: Any = find_denoiser(pipe).module.dtype
        self.arguments = {**architecture.arguments(device, dtype), "output_type": "latent"}
        if type(pipe).__name__ == "DiTPipeline":
            self.arguments.pop("output_type")  # which it would not know
        self.groups, self.policies = architecture.groups, policies(pipe, architecture)
        chosen = {"full": full_policy(pipe, STEPS), "sites": sites_policy(pipe, architecture), **self.policies}
        self.contenders = {"bare": Contender(bench, None, STEPS)}
        self.contenders |= {name: Contender(bench, policy, STEPS, capture) for name, policy in chosen.items()}
        self.rounds: list[Round] = []

    def warm_up(self) -> None:
        """Runs every contender: compiled code and graphs are made here."""
        for contender in self.contenders.values():
            for _ in range(WARM_UPS):
                self._turn(contender)

    def time(self, count: int) -> None:
        """Times so many rounds, each in the opposite order of the one before; the base has every fourth turn."""
        others = [name for name in self.contenders if name != self.base]
        order = [name for i, other in enumerate(others) for name in ((self.base, other) if i % 3 == 0 else (other,))]
        order.append(self.base)
        for i in range(count):
            turns = [(name, self._turn(self.contenders[name])) for name in (order if i % 2 == 0 else reversed(order))]
            self.rounds.append(paired(turns, self.base))

    def added_ms(self, count: int) -> list[float]:
        """Returns what the full policy added to a step of the bare pipeline in so many pairs of runs, in ms."""
        added = []
        for i in range(WARM_UPS + count):
            took = {name: self._turn(self.contenders[name]) for name in (("bare", "full") if i % 2 == 0 else ("full", "bare"))}
            added.append((took["full"].loop_ms - took["bare"].loop_ms) / STEPS)
        return added[WARM_UPS:]

    def _turn(self, contender: Contender) -> Turn:
        return turn(contender, self.arguments, self.device)

    def rows(self, added: list[float]) -> Iterator[dict[str, Any]]:
        """Yields what was found, as JSON values: the full policy, groups, policies.

        Arguments:
            added: What the full policy adds to a step, in ms; none where it stands in for the bare pipeline.
        """
        found = spread(self.rounds, self._figures)
        step_ms = found[self.base]["step_ms"]["value"]
        yield {"policy": self.base, **found[self.base]}
        if added:
            overhead = bootstrap([ms / step_ms for ms in added], "median")
            yield {"policy": "full", "added_ms": asdict(bootstrap(added, "median")), "overhead": asdict(overhead)}
        for name in self.groups:
            yield {"group": name, **found[name]}
        for name, policy in self.policies.items():
            cache_mib = self.rounds[0].others[name].turn.cache_bytes / 2**20
            each = [taken.others[name].speedup for taken in self.rounds]
            yield {"policy": name, **found[name], "nfe": policy.nfe, "cache_mib": cache_mib, "speedups": each}

    def _figures(self, rounds: Sequence[Round]) -> Figures:
        """Returns medians over rounds."""
        base = [taken for each in rounds for taken in each.base]
        network = median(taken.network_ms / taken.loop_ms for taken in base)
        call_ms = median(mean(taken.calls_ms) for taken in base)
        found: Figures = {self.base: {"step_ms": median(t.loop_ms for t in base) / STEPS, "network_share": network}}
        found[self.base]["call_ms"] = call_ms
        if self.base == "full":
            found["full"]["speedup_over_bare"] = median(1 / each.others["bare"].speedup for each in rounds)
        shares = [saved_shares(each.others["sites"].turn.calls_ms, self.groups) for each in rounds]
        saved = {name: median(share[name] for share in shares) for name in self.groups}
        found |= {name: {"saved_share": share} for name, share in saved.items()}
        for name, policy in self.policies.items():
            speedup = median(each.others[name].speedup for each in rounds)
            allowed = allowed_speedup(network, saved, policy)
            found[name] = {"speedup": speedup, "allowed": allowed, "ratio": speedup / allowed}
            found[name]["call_speedup"] = median(each.others[name].call_speedup for each in rounds)
            reuse_ms = [reuse_call_ms(each.others[name].turn.calls_ms, policy) for each in rounds]
            found[name]["reuse_call_ms"] = median(reuse_ms)
        return found

    def memory(self) -> dict[str, Any]:
        """Returns by how much a policy's peak is above the bare pipeline's, beside what it states, in MiB."""
        name = f"uniform {INTERVALS[1]}"
        peaks = {}
        for chosen in ("bare", name):
            self.contenders[chosen].ready()
            peaks[chosen] = memory_of(partial(self.contenders[chosen], **self.arguments), self.device).peak / 2**20
        stated = self.rounds[0].others[name].turn.cache_bytes / 2**20
        return {
            "policy": name,
            "peak_bare_mib": peaks["bare"],
            "peak_growth_mib": peaks[name] - peaks["bare"],
            "stated_mib": stated,
        }


def saved_shares(calls_ms: Sequence[float], groups: Sequence[str]) -> dict[str, float]:
    """Returns which share of a network call each group's reuse saves: group -> share.

    Arguments:
        calls_ms: What each step's call took in a run of ``sites_policy``; the first, which also warms up, is left out.
        groups: As that policy takes turns.
    """
    period = len(groups) + 1
    full = mean(calls_ms[period::period])
    return {name: 1 - mean(calls_ms[k::period]) / full for k, name in enumerate(groups, start=1)}


def reuse_call_ms(calls_ms: Sequence[float], policy: Policy) -> float:
    """Returns what a network call took, on average, at the steps at which a policy reuses something.

    Arguments:
        calls_ms: What the pipeline waited at each step of a run of the policy, jumps included.
        policy: The policy.
    """
    return mean(ms for step, ms in zip(policy.plan(), calls_ms, strict=True) if step.reuses)


def allowed_speedup(network: float, saved: Mapping[str, float], policy: Policy) -> float:
    """Returns how many times faster a policy's loop is if every reuse saves what its group saves.

    Arguments:
        network: Which share of the loop the network takes where everything is computed.
        saved: Group -> which share of a network call its reuse saves.
        policy: The policy.
    """
    calls = [1 - sum(saved[group] for group in step.reuses) for step in policy.plan() if step.calls]
    return 1 / (1 - network + network * sum(calls) / policy.T)


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


@contextmanager
def opened(name: str, architecture: Architecture, mode: str, device: torch.device) -> Iterator[Rounds]:
    """Makes a network and its contenders in a launch mode."""
    torch.manual_seed(0)
    pipe = architecture.make().to(device)
    if device.type == "cuda":
        pipe.to(torch.float16 if name != "flux-1-dev" else torch.bfloat16)
    pipe.set_progress_bar_config(disable=True)
    with launched(pipe, mode) as (capture, same), Bench(pipe) as bench:
        yield Rounds(bench, architecture, device, capture, same)


def measure(name: str, architecture: Architecture, mode: str, device: torch.device, rounds: int) -> list[dict[str, Any]]:
    """Returns the rows of a network in a launch mode."""
    with opened(name, architecture, mode, device) as taken:
        taken.warm_up()
        taken.time(rounds)
        memory = [taken.memory()] if mode == "eager" else []
    added: list[float] = []
    if taken.base == "bare":
        with opened(name, architecture.smaller or architecture, mode, device) as small:
            added = small.added_ms(PAIRS * rounds)
    return [{"model": name, "mode": mode, **row} for row in (*taken.rows(added), *memory)]


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
    for option, names, choices in (("models", given.models, known), ("modes", given.modes, MODES[device.type])):
        if unknown := [name for name in names or () if name not in choices]:
            parser.error(f"--{option}: on {device.type} there is no {', '.join(unknown)}; there are {', '.join(choices)}")
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
