"""Timed runs: the whole call, the denoising loop and the network calls in it; what follows from many of them."""

import functools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import mean
from typing import Any

import numpy as np
import torch

from frdiff_tune.measure.bench import Contender
from frdiff_tune.measure.interval import LEVEL
from frdiff_tune.measure.stopwatch import sample
from frdiff_tune.runtime import find_denoiser

RESAMPLES = 500  # of rounds

Figures = dict[str, dict[str, float]]  # contender -> name -> value
Spreads = dict[str, dict[str, dict[str, float]]]  # contender -> name -> value, low, high


@dataclass(frozen=True, slots=True)
class Turn:
    """What a run took.

    Arguments:
        total_ms: The whole call.
        loop_ms: Its denoising loop.
        calls_ms: What the pipeline waited for each call of its network.
        cache_bytes: What the run stored at its most.
    """

    total_ms: float
    loop_ms: float
    calls_ms: tuple[float, ...]
    cache_bytes: int

    @property
    def network_ms(self) -> float:
        """What the pipeline waited for its network, over all steps."""
        return sum(self.calls_ms)


def turn(contender: Contender, arguments: dict[str, Any], device: torch.device) -> Turn:
    """Runs a contender once and returns what it took."""
    contender.ready()
    with watched_network(contender.bench.pipe, device) as stopwatch:
        found = sample(contender, arguments, device)
    return Turn(found.total_ms, found.loop_ms, stopwatch.spans_ms(), found.cache_bytes)


@dataclass(frozen=True, slots=True)
class Paired:
    """A turn beside those of the base that were nearest before and after it.

    Arguments:
        turn: The turn.
        speedup: The base's loop over its own.
        call_speedup: The same of the whole call.
    """

    turn: Turn
    speedup: float
    call_speedup: float


@dataclass(frozen=True, slots=True)
class Round:
    """One turn of every contender; more of the base.

    Arguments:
        base: Turns of the base.
        others: Contender -> its turn.
    """

    base: tuple[Turn, ...]
    others: Mapping[str, Paired]


def paired(turns: Sequence[tuple[str, Turn]], base: str) -> Round:
    """Returns a round: a machine's pace changes within seconds, so each turn is compared with the base's turns around it.

    Arguments:
        turns: Contender and turn, in the order in which they were taken; the first and the last are the base's.
        base: The base.
    """
    at = [i for i, (name, _) in enumerate(turns) if name == base]
    others = {}
    for i, (name, taken) in enumerate(turns):
        if name != base:
            around = [turns[max(k for k in at if k < i)][1], turns[min(k for k in at if k > i)][1]]
            loop_ms, total_ms = mean(t.loop_ms for t in around), mean(t.total_ms for t in around)
            others[name] = Paired(taken, loop_ms / taken.loop_ms, total_ms / taken.total_ms)
    return Round(tuple(turns[i][1] for i in at), others)


def spread(rounds: Sequence[Round], figures: Callable[[Sequence[Round]], Figures]) -> Spreads:
    """Returns figures of rounds, with the ends between which 95 % of them lie over resampled rounds."""
    rng = np.random.default_rng(0)
    drawn = [figures([rounds[i] for i in rng.integers(len(rounds), size=len(rounds))]) for _ in range(RESAMPLES)]
    ends = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    found: Spreads = {}
    for name, named in figures(rounds).items():
        found[name] = {}
        for key, value in named.items():
            low, high = np.quantile([again[name][key] for again in drawn], ends)
            found[name][key] = {"value": value, "low": min(float(low), value), "high": max(float(high), value)}
    return found


class Stopwatch:
    """Takes spans of time, on a GPU by its own events."""

    def __init__(self, device: torch.device) -> None:
        self._on_gpu = device.type == "cuda"
        self._spans: list[tuple[Any, Any]] = []

    def mark(self) -> Any:  # noqa: ANN401
        """Returns the present moment."""
        if not self._on_gpu:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record()
        return event

    def add(self, start: Any) -> None:  # noqa: ANN401
        """Ends the span that began at ``start``."""
        self._spans.append((start, self.mark()))

    def spans_ms(self) -> tuple[float, ...]:
        """Returns all spans, in ms."""
        if not self._on_gpu:
            return tuple(1e3 * (end - start) for start, end in self._spans)
        torch.cuda.synchronize()
        return tuple(start.elapsed_time(end) for start, end in self._spans)


@contextmanager
def watched_network(pipe: Any, device: torch.device) -> Iterator[Stopwatch]:  # noqa: ANN401
    """Times the calls of a pipeline's network, policy included, from outside of both."""
    network = find_denoiser(pipe).module
    name = "forward" if network._compiled_call_impl is None else "_compiled_call_impl"
    own, stopwatch = vars(network).get(name), Stopwatch(device)
    setattr(network, name, _timed(getattr(network, name), stopwatch))
    try:
        yield stopwatch
    finally:
        if own is None:
            delattr(network, name)
        else:
            setattr(network, name, own)


def _timed(method: Callable[..., Any], stopwatch: Stopwatch) -> Callable[..., Any]:
    @functools.wraps(method)
    def timed(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        start = stopwatch.mark()
        result = method(*args, **kwargs)
        stopwatch.add(start)
        return result

    return timed
