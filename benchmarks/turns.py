"""Timed runs: the whole call, the denoising loop and the network calls in it; what follows from many of them."""

import functools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from frdiff_tune.measure.bench import Contender
from frdiff_tune.measure.interval import LEVEL
from frdiff_tune.measure.latency import sample
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


Turns = Mapping[str, Sequence[Turn]]  # contender -> its turns


def turn(contender: Contender, arguments: dict[str, Any], device: torch.device) -> Turn:
    """Runs a contender once and returns what it took."""
    contender.ready()
    with watched_network(contender.bench.pipe, device) as stopwatch:
        found = sample(contender, arguments, device)
    return Turn(found.total_ms, found.loop_ms, stopwatch.spans_ms(), found.cache_bytes)


def undisturbed(turns: Sequence[Turn]) -> Turn:
    """Returns the turn at the lower quartile of the loops' times: whatever else a machine does only adds to them."""
    return sorted(turns, key=lambda taken: taken.loop_ms)[(len(turns) - 1) // 4]


def spread(rounds: Sequence[Turns], figures: Callable[[Turns], Figures]) -> Spreads:
    """Returns figures of all turns, with the ends between which 95 % of them lie over resampled rounds.

    Arguments:
        rounds: Contender -> its turns in a round, per round.
        figures: Makes figures of every contender's turns.
    """
    rng = np.random.default_rng(0)
    value = figures(_pooled(rounds))
    drawn = [figures(_pooled([rounds[i] for i in rng.integers(len(rounds), size=len(rounds))])) for _ in range(RESAMPLES)]
    ends = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    found: Spreads = {}
    for name, named in value.items():
        found[name] = {}
        for key, at in named.items():
            low, high = np.quantile([figures[name][key] for figures in drawn], ends)
            found[name][key] = {"value": at, "low": min(float(low), at), "high": max(float(high), at)}
    return found


def _pooled(rounds: Sequence[Turns]) -> Turns:
    return {name: [turn for taken in rounds for turn in taken[name]] for name in rounds[0]}


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
