"""What two policies do differently, in words and as a picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

from frdiff_tune.report.schedule_figure import EDGE, KEYFRAME, STATES, schedule_rows
from frdiff_tune.report.summary import digits
from frdiff_tune.report.words import describe, network_calls, solver

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from frdiff_tune.policy import Measured, Policy

ROW_IN = 0.28
SHOWN = 3  # sites of a group that are named


def differences(first: Policy, second: Policy) -> Iterator[str]:
    """Yields what the second policy does otherwise than the first, a sentence each; nothing where they draw the same.

    Arguments:
        first: A policy.
        second: Another one.
    """
    yield from _model(first, second)
    yield from _sampling(first, second)
    if first.T == second.T:
        yield from _steps(first, second)
        yield from _groups(first, second)
        yield from _scores(first, second)
    elif first.nfe != second.nfe:
        yield f"Network calls: {first.nfe} of {first.T} steps, {second.nfe} of {second.T} in B."


def _model(first: Policy, second: Policy) -> Iterator[str]:
    for name in ("pipeline", "denoiser", "digest"):
        own, other = getattr(first.model, name), getattr(second.model, name)
        if own != other:
            words = "Configuration of the network" if name == "digest" else name.capitalize()
            yield f"{words}: {own[:40]}, in B {other[:40]}. They are for different models."


def _sampling(first: Policy, second: Policy) -> Iterator[str]:
    a, b = first.sampling, second.sampling
    if (a.num_inference_steps, a.T) != (b.num_inference_steps, b.T):
        yield f"Steps: {a.num_inference_steps} (walks {a.T}), in B {b.num_inference_steps} (walks {b.T})."
    if a.scheduler.name != b.scheduler.name:
        yield f"Solver: {solver(a.scheduler.name)}, in B {solver(b.scheduler.name)}."
    keys = sorted({*a.scheduler.config, *b.scheduler.config})
    changed = [key for key in keys if a.scheduler.config.get(key) != b.scheduler.config.get(key)]
    if changed:
        listed = (f"{key} {a.scheduler.config.get(key)!r}, in B {b.scheduler.config.get(key)!r}" for key in changed)
        yield f"Solver's options: {'; '.join(listed)}."
    if a.timesteps != b.timesteps:
        own, other = ("its own" if each is None else f"{len(each)} that the file lists" for each in (a.timesteps, b.timesteps))
        yield f"Timesteps that the solver walks: {own}, in B {other}."


def _steps(first: Policy, second: Policy) -> Iterator[str]:
    if first.nfe != second.nfe:
        yield f"Network calls: {first.nfe}, in B {second.nfe}, of {first.T} steps."
    only_a = [t for t in range(first.T) if first.keyframes[t] > second.keyframes[t]]
    only_b = [t for t in range(first.T) if first.keyframes[t] < second.keyframes[t]]
    if only_a or only_b:
        counts = f"{first.keyframes.count('1')}, in B {second.keyframes.count('1')}"
        named = [f"only in {name} at {spans(each)}" for name, each in (("A", only_a), ("B", only_b)) if each]
        yield f"Keyframes: {counts}; {', '.join(named)}."
    apart = [t for t in range(first.T) if first.mixing[t] != second.mixing[t]]
    if apart:
        most = max(apart, key=lambda t: abs(first.mixing[t] - second.mixing[t]))
        at = f"most at step {most}, {first.mixing[most]:.2f} and in B {second.mixing[most]:.2f}"
        yield f"Mixing weight λ: differs at {len(apart)} steps ({spans(apart)}), {at}."


def _groups(first: Policy, second: Policy) -> Iterator[str]:
    for name in sorted({*first.masks, *second.masks}):
        own, other = first.masks.get(name), second.masks.get(name)
        if own is None or other is None:
            mask, has = (other, "B") if own is None else (own, "A")
            assert mask is not None, "one of them has it"
            yield f"Group {name}: reused in {has} only, at {spans([t for t, bit in enumerate(mask) if bit == '0'])}."
        else:
            apart = [t for t in range(first.T) if own[t] != other[t]]
            if apart:
                yield f"Group {name}: computed in one of them and not in the other at {spans(apart)}."
            if first.groups[name] != second.groups[name]:
                odd = sorted({*first.groups[name]} ^ {*second.groups[name]})
                more = "" if len(odd) <= SHOWN else f" and {len(odd) - SHOWN} more"
                yield f"Group {name}: holds other sites ({', '.join(odd[:SHOWN])}{more})."


def _scores(first: Policy, second: Policy) -> Iterator[str]:
    if first.variable != second.variable:
        yield f"Scores are kept as {first.variable}, in B as {second.variable}."
    for name in sorted({*first.forecast, *second.forecast}):
        own, other = first.forecast.get(name), second.forecast.get(name)
        what = "Scores of keyframes" if name == "score" else f"Features of {name}"
        if own is None or other is None:
            yield f"{what}: {'held' if own is None else 'forecast'}, in B {'held' if other is None else 'forecast'}."
        elif own != other:
            yield f"{what}: forecast with other weights at {spans([t for t in range(first.T) if own[t] != other[t]])}."


def spans(steps: Sequence[int]) -> str:
    """Returns steps as ``step 3`` or ``steps 3, 5 to 9``."""
    runs = [[t for _, t in each] for _, each in groupby(enumerate(steps), key=lambda pair: pair[1] - pair[0])]
    words = [str(run[0]) if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs]
    return f"step{'s' if len(steps) > 1 else ''} {', '.join(words)}"


def figures_line(name: str, measured: Measured | None) -> str:
    """Returns what a policy's file states of its speed and likeness."""
    if measured is None:
        return f"{name}: not measured."
    mean = next(row for row in measured.quality if (row.metric, row.statistic) == ("lpips", "mean"))
    times = f"{measured.speedup:.2f}x (95 %: {measured.speedup_low:.2f} to {measured.speedup_high:.2f})"
    close = f"LPIPS {digits(mean.value)} ({digits(mean.low)} to {digits(mean.high)})"
    return f"{name}: {times}, {close}, {measured.case_count} pictures."


def difference_figure(first: Policy, second: Policy, title: str) -> Figure:
    """Draws both schedules below each other; where they walk the same number of steps, a mark stands at each that differs.

    Arguments:
        first: A policy.
        second: Another one.
        title: The figure's title.

    Returns:
        A figure of its own canvas; nothing of pyplot's global state is touched.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    tables = [schedule_rows(policy) for policy in (first, second)]
    heights = [ROW_IN * (len(table) + 1.4) for table in tables]
    figure = Figure(figsize=(8.6, 1.6 + sum(heights)), dpi=160, layout="constrained")
    panels = figure.subplots(2, 1, sharex=first.T == second.T, height_ratios=heights)
    apart = differing_steps(first, second)
    for axes, name, policy, table in zip(panels, ("A", "B"), (first, second), tables, strict=True):
        _panel(axes, f"{name}: {network_calls(policy.nfe)} in {policy.T} steps", policy, table, apart)
    panels[1].set_xlabel("step t (0 = first, noisiest)", fontsize=9)
    marks: list[Any] = [Patch(facecolor=colour, edgecolor=EDGE, label=state) for state, colour in STATES.items()]
    marks += [*panels[0].lines]
    figure.legend(handles=marks, loc="outside lower center", ncols=3, frameon=False, fontsize=8.5)
    figure.suptitle(title, x=0.02, ha="left", fontsize=10, fontweight="bold")
    return figure


def differing_steps(first: Policy, second: Policy) -> list[int]:
    """Returns the steps at which two policies of one length do not do the same."""
    if first.T != second.T:
        return []
    plans = ([replace(step, computes=frozenset()) for step in policy.plan()] for policy in (first, second))
    return [own.t for own, other in zip(*plans, strict=True) if own != other]


def _panel(axes: Any, title: str, policy: Policy, table: dict[str, list[str]], apart: Sequence[int]) -> None:  # noqa: ANN401
    from frdiff_tune.report.schedule_figure import cells

    cells(axes, table)
    axes.set_title(title, fontsize=9.5, loc="left")
    keyframes = [t for t, mark in enumerate(policy.keyframes) if mark == "1"]
    axes.plot(keyframes, [-0.95] * len(keyframes), "v", color=KEYFRAME, markersize=4.5, mew=0, label="keyframe", clip_on=False)
    axes.plot(apart, [len(table) - 0.15] * len(apart), "^", color="black", markersize=4, mew=0, label="differs", clip_on=False)
    axes.set_ylim(len(table) + 0.3, -1.4)
    axes.spines[:].set_visible(False)


def headline(first: Policy, second: Policy) -> tuple[str, str]:
    """Returns both policies in words."""
    return f"A: {describe(first)}.", f"B: {describe(second)}."
