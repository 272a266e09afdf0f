"""A search while it runs: how far it is, the front so far, and what became of the last trials."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING

from frdiff_tune.report.duration import duration
from frdiff_tune.report.points import SEARCHED, family_of, points_so_far
from frdiff_tune.report.summary import digits, front_table, on_front

if TYPE_CHECKING:
    from rich.console import RenderableType

    from frdiff_tune.report.device_state import DeviceState
    from frdiff_tune.search import Preparing, TrialFailure, TrialOutcome, TrialStopped

LAST = 5  # trials shown
FRONT_ROWS = 8


@dataclass
class Watch:
    """What is known of a running search; ``take`` what ``tune`` yields, and ``view`` or print ``line``.

    Arguments:
        total: Finished trials that end the search.
        minutes: Wall time from the first trial on that ends it; None: no end.
        outcomes: What was measured, in earlier runs too.
        failures: What could not be measured, in earlier runs too.
        stopped: What was stopped early, in earlier runs too.
        device: The device's state, once the pipeline is there.
        objectives: What the front is of.
    """

    total: int
    minutes: float | None
    outcomes: list[TrialOutcome] = field(default_factory=list)
    failures: list[TrialFailure] = field(default_factory=list)
    stopped: list[TrialStopped] = field(default_factory=list)
    device: DeviceState | None = None
    objectives: tuple[str, ...] = ("latency_ms", "lpips")

    def __post_init__(self) -> None:
        self.start = monotonic()
        self.searching = self.start
        self.before = self.finished
        self.stage = "loading"
        self.last: deque[str] = deque(maxlen=LAST)

    @property
    def finished(self) -> int:
        """Finished trials of the study; repeats do not count."""
        ended: list[TrialOutcome | TrialFailure | TrialStopped] = [*self.outcomes, *self.failures, *self.stopped]
        return sum(trial.duplicate_of is None for trial in ended)

    @property
    def done(self) -> float:
        """Share of the search that is done, in [0, 1]; by trials or by time, whichever ends it first."""
        by_time = (monotonic() - self.searching) / (60 * self.minutes) if self.minutes else 0.0
        return min(max(self.finished / self.total, by_time), 1.0)

    @property
    def left_s(self) -> float | None:
        """Time left, in seconds; None before the first trial is measured."""
        now, here = monotonic(), self.finished - self.before
        if not here:
            return None
        by_trials = (now - self.searching) / here * max(self.total - self.finished, 0)
        by_time = 60 * self.minutes - (now - self.searching) if self.minutes else by_trials
        return max(min(by_trials, by_time), 0.0)

    def take(self, event: Preparing | TrialOutcome | TrialFailure | TrialStopped) -> str:
        """Notes what has happened and returns it as a line.

        Arguments:
            event: What ``tune`` has yielded.
        """
        from frdiff_tune.search import Preparing, TrialFailure, TrialStopped

        if isinstance(event, Preparing):
            self.searching = monotonic()
            self.stage = f"preparing reference pictures and times: {event.done} of {event.total}"
            return self.stage
        self.stage = "searching"
        if isinstance(event, TrialFailure):
            self.failures.append(event)
            line = f"trial {event.number}: infeasible, {event}"
        elif isinstance(event, TrialStopped):
            self.stopped.append(event)
            line = f"trial {event.number}: {event}"
        else:
            self.outcomes.append(event)
            line = self._line(event)
        self.last.append(line)
        return line

    def _line(self, outcome: TrialOutcome) -> str:
        figures = f"{outcome.latency_ms.value:,.0f} ms ({outcome.speedup.value:.2f}x), LPIPS {digits(outcome.lpips.value)}"
        if outcome.duplicate_of is not None:
            fate = f"the same policy as trial {outcome.duplicate_of}"
        elif outcome.number in {point.number for point in on_front(points_so_far(self.outcomes, self.objectives))}:
            fate = "on the front"
        else:
            fate = "measured"
        family = family_of(outcome)
        whence = "" if family == SEARCHED else f", {family}"
        return f"trial {outcome.number}: {figures}, {fate}{whence}"

    def progress(self) -> str:
        """Returns how far the search is, in one line."""
        gone = duration(monotonic() - self.start)
        if self.stage != "searching":
            return f"{gone} gone"
        left = "" if self.left_s is None else f", {duration(self.left_s)} left"
        return f"{self.finished} of {self.total} trials, {gone} gone{left}"

    def view(self) -> RenderableType:
        """Returns everything as one picture of the terminal."""
        from rich.console import Group
        from rich.padding import Padding
        from rich.progress_bar import ProgressBar
        from rich.text import Text

        parts: list[RenderableType] = [
            Text(f"{self.stage}: {self.progress()}", style="bold"),
            Padding(ProgressBar(total=1.0, completed=self.done, width=60)),  # alone it ends without a new line
        ]
        if self.device:
            parts += [Text(self.device.line(), style="dim", overflow="ellipsis", no_wrap=True)]
        points = points_so_far(self.outcomes, self.objectives)
        if points:
            first = self.outcomes[0]
            reference_ms = first.speedup.value * first.latency_ms.value
            parts += [Text("\nfront so far", style="bold")]
            parts += [front_table(points, reference_ms, count=FRONT_ROWS, words=False)]
        if self.last:
            parts += [Text("\nlast trials", style="bold")]
            parts += [Text(line, overflow="ellipsis", no_wrap=True) for line in self.last]
        return Group(*parts)
