"""A policy's tables as a compact text chart: one column per step, one row per table.

step       0         10        20
keyframes  █████·█·█··█···█····
conv       ███████████··██·██··      █ computed, · given back
lam        █████ █ █▅▄█▃▂▁█▁▁▁▁      height of lam, blank at 0
weights    00000101011011101111      keyframes that the jump score is made of
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from frdiff_tune.policy import Policy

RULER = 10  # a number above every tenth step


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The characters of a chart.

    Arguments:
        on: A step that computes.
        off: A step that gives back what was stored.
        levels: Heights of lam in (0, 1], lowest first.
    """

    on: str
    off: str
    levels: str


BLOCKS = Glyphs("█", "·", "▁▂▃▄▅▆▇█")
ASCII = Glyphs("#", ".", "123456789#")


def chart(policy: Policy, width: int = 80, glyphs: Glyphs = BLOCKS) -> Iterator[str]:
    """Yields the chart's lines, a long run in several blocks.

    Arguments:
        policy: What to draw.
        width: Columns of the terminal.
        glyphs: Characters to draw with; ``ASCII`` where the terminal knows no others.
    """
    rows = _rows(policy, glyphs)
    margin = max(map(len, ("step", *rows))) + 2
    span = max((width - margin) // RULER * RULER, RULER)
    for start in range(0, policy.T, span):
        stop = min(start + span, policy.T)
        if start:
            yield ""
        yield "step".ljust(margin) + _ruler(start, stop)
        yield from (name.ljust(margin) + cells[start:stop] for name, cells in rows.items())


def legend(glyphs: Glyphs = BLOCKS) -> str:
    """Returns what the characters of a chart mean, in one line."""
    return (
        f"{glyphs.on} computed, {glyphs.off} reused, blank: the network is not called (a jump); lam: height; "
        "weights: keyframes behind the jump score"
    )


def _ruler(start: int, stop: int) -> str:
    return "".join(str(t).ljust(RULER) for t in range(start, stop, RULER)).rstrip()


def _rows(policy: Policy, glyphs: Glyphs) -> dict[str, str]:
    plan = policy.plan()
    rows = {"keyframes": "".join(glyphs.on if step.keyframe else glyphs.off for step in plan)}
    for name in policy.masks:
        rows[name] = "".join(_cell(name in step.computes, step.calls, glyphs) for step in plan)
    if any(step.weights for step in plan):
        rows["lam"] = "".join(_level(step.lam, glyphs) for step in plan)
        rows["weights"] = "".join(_nodes(step.weights) for step in plan)
    return rows


def _cell(computes: bool, calls: bool, glyphs: Glyphs) -> str:
    return (glyphs.on if computes else glyphs.off) if calls else " "


def _level(lam: float, glyphs: Glyphs) -> str:
    if lam <= 0:
        return " "
    return glyphs.levels[min(int(lam * len(glyphs.levels)), len(glyphs.levels) - 1)]


def _nodes(weights: tuple[float, ...]) -> str:
    return str(len(weights)) if len(weights) < RULER else "+"
