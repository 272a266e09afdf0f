"""A policy's facts as a table for people and as an object for programs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from frdiff_tune.policy.resample import RESAMPLED_FROM
from frdiff_tune.report.words import describe

if TYPE_CHECKING:
    from rich.table import Table

    from frdiff_tune.policy import Latency, Machine, Measured, Policy, Quality

MIB = 2**20


def facts(policy: Policy) -> Table:
    """Returns what a policy is, what was measured of it, and where, as a table of two columns."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows(policy):
        table.add_row(name, Text(value))
    return table


def rows(policy: Policy) -> Iterator[tuple[str, str]]:
    """Yields names and values, in the order that a reader asks for them."""
    model = policy.model
    yield "policy", describe(policy)
    yield "model", f"{model.source or 'unknown source'}{model.revision and '@' + model.revision}, {model.pipeline}"
    yield "network calls", f"{policy.nfe} of {policy.T} steps (num_inference_steps={policy.sampling.num_inference_steps})"
    if policy.groups:
        yield "groups", ", ".join(f"{name} ({len(sites)} sites)" for name, sites in policy.groups.items())
    if any(step.weights for step in policy.plan()):
        yield "scores kept as", policy.variable
    if policy.measured is None:
        yield "measured", "nothing; `frdiff-tune export` writes policies with figures"
    else:
        yield from _measured(policy.measured)
    if policy.machine is not None:
        yield "machine", machine_line(policy.machine)
    if policy.provenance is not None and RESAMPLED_FROM in policy.provenance.parameters:
        parent = str(policy.provenance.parameters[RESAMPLED_FROM])
        unsure = "" if policy.measured else ": unverified until `frdiff-tune check` has measured it"
        yield "from", f"policy {parent[:12]}, stretched to this walk{unsure}"
    elif policy.provenance is not None:
        trial = "" if policy.provenance.trial is None else f", trial {policy.provenance.trial}"
        yield "from", f"study {policy.provenance.study}{trial}, {policy.provenance.created}"
    yield "digest", policy.digest


def _measured(measured: Measured) -> Iterator[tuple[str, str]]:
    yield "latency", f"{latency_line(measured.latency)}; reference {latency_line(measured.reference_latency)}"
    interval = f"{measured.speedup_low:.2f} to {measured.speedup_high:.2f}"
    yield "speed-up", f"{measured.speedup:.2f}x (95 %: {interval})"
    for quality in measured.quality:
        yield quality_name(quality), quality_line(quality)
    memory = f"cache {measured.cache_bytes / MIB:.2f} MiB"
    yield "memory", memory if measured.peak_bytes is None else f"{memory}, peak {measured.peak_bytes / MIB:.0f} MiB"
    seen = "held out: the search never saw them" if measured.held_out else "the same that the search used"
    yield "cases", f"{measured.case_count} ({seen})"
    if measured.within_limits is False:
        yield "limits", "NOT KEPT: written with --force"


def latency_line(latency: Latency) -> str:
    """Returns a latency with its interval, in milliseconds."""
    return f"{latency.median_ms:,.1f} ms (95 %: {latency.low_ms:,.1f} to {latency.high_ms:,.1f}, n = {latency.count})"


def quality_name(quality: Quality) -> str:
    """Returns a quality figure's name: metric and statistic."""
    return f"{quality.metric} {quality.statistic}"


def quality_line(quality: Quality) -> str:
    """Returns a quality figure with its interval."""
    if quality.statistic == "flips":
        share = f"{quality.value:.1%} above {quality.threshold:g} (95 %: {quality.low:.1%} to {quality.high:.1%}"
        return f"{share}, n = {quality.count})"
    return f"{quality.value:.2g} (95 %: {quality.low:.2g} to {quality.high:.2g}, n = {quality.count})"


def machine_line(machine: Machine) -> str:
    """Returns the machine in one line: device, numbers' type, batch, resolution, versions."""
    name = machine.cpu if machine.device == "cpu" and machine.cpu else machine.device
    cores = f" ({machine.cores} core{'s' if machine.cores > 1 else ''})" if machine.cores and machine.device == "cpu" else ""
    size = f", {machine.width}x{machine.height} px" if machine.width and machine.height else ""
    launch = machine.compile if machine.capture == "eager" else machine.capture
    return f"{name}{cores}, {machine.dtype}, batch {machine.batch}{size}, torch {machine.torch}, {launch}"


def policy_json(policy: Policy) -> dict[str, Any]:
    """Returns the policy as its file has it, with what is derived from it beside."""
    return {
        "description": describe(policy),
        "digest": policy.digest,
        "nfe": policy.nfe,
        "policy": policy.model_dump(mode="json", by_alias=True, exclude_none=True),
        **({} if policy.measured is None else measured_json(policy.measured)),
    }


def measured_json(measured: Measured) -> dict[str, Any]:
    """Returns measured figures under keys that name their units."""
    return {
        "latency_ms": _interval(measured.latency),
        "reference_latency_ms": _interval(measured.reference_latency),
        "speedup": {"value": measured.speedup, "low": measured.speedup_low, "high": measured.speedup_high},
        "quality": {
            f"{figure.metric}_{figure.statistic}": {
                "value": figure.value, "low": figure.low, "high": figure.high, "count": figure.count
            }
            for figure in measured.quality
        },
        "cache_mib": measured.cache_bytes / MIB,
        "peak_mib": None if measured.peak_bytes is None else measured.peak_bytes / MIB,
        "cases": measured.case_count,
        "held_out": measured.held_out,
        "within_limits": measured.within_limits,
    }


def _interval(latency: Latency) -> dict[str, float]:
    return {"median": latency.median_ms, "low": latency.low_ms, "high": latency.high_ms, "count": latency.count}
