"""One timed run: the whole call, the denoising loop, and the network calls in it."""

import functools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from frdiff_tune.measure.bench import Contender
from frdiff_tune.measure.latency import sample
from frdiff_tune.runtime import find_denoiser


@dataclass(frozen=True, slots=True)
class Turn:
    """What a run took.

    Arguments:
        total_ms: The whole call.
        loop_ms: Its denoising loop.
        network_ms: What the pipeline waited for its network, over all steps.
        calls: How often it asked it.
        cache_bytes: What the run stored at its most.
    """

    total_ms: float
    loop_ms: float
    network_ms: float
    calls: int
    cache_bytes: int


def turn(contender: Contender, arguments: dict[str, Any], device: torch.device) -> Turn:
    """Runs a contender once and returns what it took."""
    contender.ready()
    with watched_network(contender.bench.pipe, device) as stopwatch:
        found = sample(contender, arguments, device)
    return Turn(found.total_ms, found.loop_ms, stopwatch.total_ms(), stopwatch.calls, found.cache_bytes)


class Stopwatch:
    """Adds up spans of time, on a GPU by its own events."""

    def __init__(self, device: torch.device) -> None:
        self._on_gpu = device.type == "cuda"
        self._spans: list[tuple[Any, Any]] = []

    @property
    def calls(self) -> int:
        """Spans so far."""
        return len(self._spans)

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

    def total_ms(self) -> float:
        """Returns the sum of all spans, in ms."""
        if not self._on_gpu:
            return 1e3 * float(sum(end - start for start, end in self._spans))
        torch.cuda.synchronize()
        return float(sum(start.elapsed_time(end) for start, end in self._spans))


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
