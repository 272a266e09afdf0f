"""How far a stated latency can be trusted: do its intervals hold the truth, and do measurements agree under a foreign load?

Two questions about one policy, beside the bare pipeline of as many steps:

1. A long series of interleaved pairs is recorded once. Measurements are drawn from it, each a stretch that begins somewhere and
   goes on until the rule of `frdiff_tune.measure` says stop. In how many of their 95 % intervals lies the value of the whole?
2. Measurements are made live, each warmed up anew, while another process keeps one core busy half of the time. By how much does
   the largest speed-up exceed the smallest?

    python -m benchmarks.latency_repeatability --device cpu
"""

import argparse
import multiprocessing
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from multiprocessing.synchronize import Event
from typing import Any, TypeVar

import torch

from benchmarks.record import save
from frdiff_tune.measure import Interval, Stopping, machine_info, paired_ratio
from frdiff_tune.measure.bench import Bench, Contender
from frdiff_tune.measure.case import Case
from frdiff_tune.measure.conditions import Watch, own_cores
from frdiff_tune.measure.latency import half_width, warm_up
from frdiff_tune.measure.timing import Series, arguments_of, series, timing
from frdiff_tune.runtime import keyframe_policy, load_pipeline

MODEL = "demo:emoji"
CASES = [Case({"prompt": "a fox on a blue background"}, seed) for seed in range(8)]
BUSY_S = 0.05  # of every tenth of a second: a core half of the time
Result = TypeVar("Result")


@contextmanager
def half_a_core() -> Iterator[int]:
    """Keeps one core busy half of the time, in another process, until the block ends; yields that process's number."""
    stop = multiprocessing.get_context("spawn").Event()
    process = multiprocessing.get_context("spawn").Process(target=_load, args=(stop,), daemon=True)
    process.start()
    assert process.pid is not None, "it is started"
    try:
        yield process.pid
    finally:
        stop.set()
        process.join(10)
        process.kill()  # it may not have had a core to end on
        process.join()


def _load(stop: Event) -> None:
    while not stop.wait(BUSY_S):
        end = time.perf_counter() + BUSY_S
        while time.perf_counter() < end:
            pass


def drawn(full_ms: Sequence[float], ours_ms: Sequence[float], count: int, stopping: Stopping) -> Iterator[tuple[int, Interval]]:
    """Yields measurements drawn from a recorded series: how many pairs each took, and the speed-up that it states.

    They begin evenly spread over the series, as late as the longest measurement allows.

    Arguments:
        full_ms: Times of the bare pipeline, in the order in which they were taken.
        ours_ms: Times of the policy, each taken beside the former.
        count: Measurements.
        stopping: When a measurement ends.
    """
    last = len(full_ms) - stopping.most
    for k in range(count):
        start = round(k * last / max(count - 1, 1))
        for look in stopping.looks():
            stated = paired_ratio(full_ms[start : start + look], ours_ms[start : start + look])
            if stopping.reached(stated):
                break
        yield look, stated


def finished(run: Generator[int, None, Result], label: str) -> Result:
    """Runs to the end and returns the result, with a line on the way."""
    while True:
        try:
            next(run)
        except StopIteration as end:
            print(label, "done", flush=True)
            return end.value  # type: ignore[no-any-return]


def recorded_part(candidate: Contender, bare: Contender, pairs: int, count: int, stopping: Stopping) -> dict[str, Any]:
    """Records the series and answers the first question."""
    device = torch.device(bare.bench.pipe.device)
    arguments = arguments_of(CASES, {}, 1)
    for contender in (candidate, bare):
        warm_up(contender, arguments, device)
    run = series(candidate, bare, arguments, 1, Watch(device), Stopping(0.0, pairs))
    taken: Series = finished(run, f"recording {pairs} pairs:")
    ours, full = taken.times(lambda one: one.total_ms)
    pooled = paired_ratio(full, ours)
    stated = list(drawn(full, ours, count, stopping))
    return {
        "pairs": pairs,
        "repeated": taken.repeated,
        "pooled_speedup": asdict(pooled),
        "measurements": count,
        "intervals_that_hold_it": sum(each.low <= pooled.value <= each.high for _, each in stated),
        "pairs_per_measurement": [look for look, _ in stated],
        "half_widths": [round(half_width(each), 5) for _, each in stated],
        "policy_ms": [round(ms, 3) for ms in ours],
        "bare_ms": [round(ms, 3) for ms in full],
    }


def live_part(candidate: Contender, bare: Contender, count: int, stopping: Stopping) -> dict[str, Any]:
    """Measures under the load and answers the second question."""
    rows = []
    with half_a_core():
        for k in range(count):
            run = timing(candidate, bare, CASES, {}, 1, interval=stopping.interval, calls=stopping.most)
            taken = finished(run, f"live measurement {k + 1} of {count}:")
            fields = taken.fields()
            rows.append(
                {
                    "speedup": asdict(taken.latency.speedup),
                    "pairs": len(taken.latency.kept),
                    "interval_reached": taken.latency.reached,
                    "conditions": fields["conditions"].model_dump(mode="json", exclude_none=True),
                }
            )
    values = [row["speedup"]["value"] for row in rows]
    return {"largest_over_smallest": max(values) / min(values), "rows": rows}


def main() -> None:
    """Measures, and writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--steps", type=int, default=10, help="of the bare pipeline, and of the policy")
    parser.add_argument("--pairs", type=int, default=300, help="of the recorded series")
    parser.add_argument("--measurements", type=int, default=100, help="drawn from it")
    parser.add_argument("--live", type=int, default=10, help="measurements under the load")
    parser.add_argument("--interval", type=float, default=0.02, help="wanted half width of the drawn ones, over the value")
    parser.add_argument("--calls", type=int, default=64, help="pairs of a drawn measurement, at most")
    parser.add_argument("--live-interval", type=float, default=0.01)
    parser.add_argument("--live-calls", type=int, default=96)
    parser.add_argument("--threads", type=int, help="of torch; by default a core is left to the others")
    given = parser.parse_args()
    cores = len(own_cores())
    torch.set_num_threads(given.threads or max(cores - 1, 1))
    pipe = load_pipeline(MODEL, device=given.device)
    keyframes = [t for t in range(given.steps) if t < given.steps // 5 or t % (given.steps // 4) == 0]
    policy = keyframe_policy(pipe, given.steps, keyframes, mixing=0.0)
    with Bench(pipe) as bench:
        candidate, bare = Contender(bench, policy, given.steps), Contender(bench, None, given.steps)
        recorded = recorded_part(candidate, bare, given.pairs, given.measurements, Stopping(given.interval, given.calls))
        live = live_part(candidate, bare, given.live, Stopping(given.live_interval, given.live_calls))
    options = " ".join(f"--{name.replace('_', '-')} {value}" for name, value in vars(given).items() if value is not None)
    result = {
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": f"python -m benchmarks.latency_repeatability {options}",
        "machine": machine_info(pipe).model_dump(mode="json", exclude_none=True),
        "steps": given.steps,
        "network_calls": policy.nfe,
        "recorded": recorded,
        "live": {key: value for key, value in live.items() if key != "rows"},
        "rows": live["rows"],
    }
    path = save(result, f"latency-repeatability-{given.device}")
    held, count = recorded["intervals_that_hold_it"], given.measurements
    print(f"{held} of {count} intervals hold the pooled speed-up, {recorded['pooled_speedup']['value']:.3f}.")
    print(f"Live under load: largest over smallest speed-up {live['largest_over_smallest']:.4f}.")
    print(f"Written: {path.name}")


if __name__ == "__main__":
    main()
