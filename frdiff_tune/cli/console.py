"""Where a verb writes: results to stdout, progress and errors to stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

from frdiff_tune.report.duration import duration

if TYPE_CHECKING:
    from rich.console import Console

Done = TypeVar("Done")
PLAIN_EVERY_S = 10.0  # seconds between lines where no terminal redraws one
PLAIN_WIDTH = 160  # columns of a pipe or a file


def results() -> Console:
    """Returns the console of a verb's result."""
    from rich.console import Console

    return Console(file=sys.stdout, highlight=False, width=None if sys.stdout.isatty() else PLAIN_WIDTH)


def errors() -> Console:
    """Returns the console of what is said beside the result."""
    from rich.console import Console

    return Console(file=sys.stderr, highlight=False, width=None if sys.stderr.isatty() else PLAIN_WIDTH)


def say(console: Console, text: str, style: str = "") -> None:
    """Prints a sentence: a terminal gets it broken at words, a pipe or a file in one line."""
    console.print(text, style=style, soft_wrap=not console.is_terminal, markup=False)


def roomy(console: Console) -> bool:
    """Whether a table has room for a column of words."""
    return console.width >= 120


def print_json(value: Mapping[str, Any]) -> None:
    """Prints one JSON object to stdout, and nothing else."""
    sys.stdout.write(json.dumps(value, indent=2, allow_nan=False) + "\n")


def unicode_output() -> bool:
    """Whether stdout can show block characters."""
    encoding = (sys.stdout.encoding or "ascii").lower().replace("-", "")
    return encoding.startswith("utf")


@contextmanager
def progress(label: str, total: float) -> Iterator[Callable[[float], None]]:
    """Shows how far a task is and what time is left; yields a function that takes how much is done.

    Arguments:
        label: What is being done, such as "measuring on held-out prompts".
        total: How much there is to do, in any unit.
    """
    console = errors()
    if console.is_terminal:
        with _bar(console, label, total) as done:
            yield done
    else:
        yield _lines(console, label, total)


@contextmanager
def _bar(console: Console, label: str, total: float) -> Iterator[Callable[[float], None]]:
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(label, total=total)
        yield lambda done: bar.update(task, completed=done)


def _lines(console: Console, label: str, total: float) -> Callable[[float], None]:
    start = monotonic()
    said = start

    def done(amount: float) -> None:
        nonlocal said
        now = monotonic()
        if now - said < PLAIN_EVERY_S:
            return
        said = now
        left = duration((now - start) * (total - amount) / amount) if amount > 0 else "unknown"
        console.print(f"{label}: {100 * amount / total:.0f} %, {duration(now - start)} gone, {left} left", soft_wrap=True)

    return done


def finish(label: str, run: Generator[tuple[int, int], None, Done]) -> Done:
    """Runs a task to its end under a progress bar and returns its result.

    Arguments:
        label: What is being done.
        run: Yields what is done and what there is to do; where less is done than before the next part begins, and its time
            left is counted from there.
    """
    share = 0.0
    with closing(run), ExitStack() as shown:
        done = shown.enter_context(progress(label, 1.0))
        while True:
            try:
                amount, total = next(run)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            if amount / total < share:
                shown.close()
                done = shown.enter_context(progress(label, 1.0))
            share = amount / total
            done(share)
