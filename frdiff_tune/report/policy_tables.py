"""A policy's facts as a table for people and as an object for programs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from frdiff_tune.policy.resample import RESAMPLED_FROM
from frdiff_tune.report.words import describe

if TYPE_CHECKING:
    from rich.table import Table

    from frdiff_tune.policy import Conditions, Latency, Machine, Measured, Policy, Quality, SetQuality, Validity

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
    if policy.fit is not None:
        fit = policy.fit
        guidance = "" if fit.guidance_scale is None else f" at guidance {fit.guidance_scale:g}"
        size = "" if fit.sample_shape is None else f", latents of {' x '.join(map(str, fit.sample_shape))}"
        error = f"last latent {fit.latent_error:.2g} of its size from the reference's"
        yield "fitted on", f"{fit.count} cases{guidance}{size}, {fit.num_inference_steps} reference steps; {error}"
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
    wider = " (wider than was asked for)" if measured.latency_interval_reached is False else ""
    yield "speed-up", f"{measured.speedup:.2f}x (95 %: {interval}){wider}"
    if measured.throughput is not None:
        rate = measured.throughput
        many = f"{rate.images_per_s.value:.3g} pictures/s at batch {rate.batch}"
        yield "throughput", f"{many}; reference {rate.reference_images_per_s.value:.3g}, {rate.speedup.value:.2f}x"
    if measured.energy is not None:
        energy = measured.energy
        yield "energy", f"{energy.per_image_j:.3g} J per picture; reference {energy.reference_per_image_j:.3g} J"
    if measured.conditions is not None and (beside := beside_line(measured.conditions)):
        yield "timed beside", beside
    for quality in measured.quality:
        if quality.metric == "lpips" or quality.statistic == "mean":
            yield quality_name(quality), quality_line(quality) + floor_words(measured, quality)
    for between in measured.sets:
        yield between.metric, set_line(between)
    for floor in measured.floors:
        if floor.statistic == "mean" and floor.metric == "lpips":
            ends = f"95 %: {floor.low:.2g} to {floor.high:.2g}"
            yield FLOORS[floor.kind], f"{floor.metric} {floor.value:.2g} ({ends}, n = {floor.count})"
    for row in measured.validity:
        lpips, plain, count = validity_cells(row)
        yield f"at {row.call}", f"LPIPS {lpips}; as many plain steps {plain}; n = {count}" if row.lpips else lpips
    memory = f"cache {measured.cache_bytes / MIB:.2f} MiB"
    yield "memory", memory if measured.peak_bytes is None else f"{memory}, peak {measured.peak_bytes / MIB:.0f} MiB"
    seen = "held out: the search never saw them" if measured.held_out else "the same that the search used"
    yield "cases", f"{measured.case_count} ({seen})"
    if measured.within_limits is False:
        yield "limits", "NOT KEPT: written with --force"


def validity_cells(row: Validity) -> tuple[str, str, str]:
    """Returns LPIPS in another call, that of as many plain steps, and the number of images."""
    if row.lpips is None or row.fewer_steps is None:
        return f"cannot be measured: {row.reason}", "", ""
    lpips, plain = (f"{each.value:.2g} ({each.low:.2g} to {each.high:.2g})" for each in (row.lpips, row.fewer_steps))
    return lpips, plain, str(row.count)


def latency_line(latency: Latency) -> str:
    """Returns a latency with its interval, in milliseconds."""
    return f"{latency.median_ms:,.1f} ms (95 %: {latency.low_ms:,.1f} to {latency.high_ms:,.1f}, n = {latency.count})"


FLOORS = {"numerics": "floor: launch alone", "discretisation": "floor: 4x the steps"}
"""What the two floors are called in tables: every step computed under the launch mode, and the reference's own coarseness."""


def floor_words(measured: Measured, quality: Quality) -> str:
    """Returns that a figure is at a floor, if it is: no better can be said of it than of the reference itself."""
    if not measured.floors:
        return ""
    from frdiff_tune.measure import Figure

    better = Figure(quality.metric, quality.statistic).better
    for floor in measured.floors:
        if (floor.metric, floor.statistic) == (quality.metric, quality.statistic):
            beyond = quality.value > floor.value if better == "lower" else quality.value < floor.value
            if not beyond:
                return f"; at the floor ({FLOORS[floor.kind].removeprefix('floor: ')}: {floor.value:.2g})"
    return ""


OTHERS = {"other_seeds": "pictures of the reference with other seeds", "own_pictures": "pictures of yours"}


def set_line(between: SetQuality) -> str:
    """Returns a figure between sets with its sample size."""
    spread = "" if between.deviation is None else f" +- {between.deviation:.2g} over subsets"
    small = "" if between.comparable else "; too few pictures to compare with papers"
    if between.kind == "paired":
        return f"{between.value:.3g}{spread} (policy and reference, {between.count} same seeds{small})"
    others = f"{between.other_count} {OTHERS[between.kind]}"
    own = "" if between.reference is None else f"; the reference's own: {between.reference:.3g}"
    return f"{between.value:.3g}{spread} against {others}{own} ({between.count} pictures{small})"


def beside_line(conditions: Conditions) -> str:
    """Returns what went on beside the timed calls; empty if nothing did."""
    said = [] if conditions.settled else ["the calls before had not settled"]
    if conditions.disturbed:
        said.append(f"{conditions.disturbed} pairs disturbed by {', '.join(conditions.disturbances)}")
    if conditions.repeated:
        said.append(f"{conditions.repeated} pairs taken again")
    return "; ".join(said)


def quality_name(quality: Quality) -> str:
    """Returns a quality figure's name: metric and statistic."""
    return f"{quality.metric} {quality.statistic}"


def quality_line(quality: Quality) -> str:
    """Returns a quality figure with its interval."""
    if quality.statistic == "flips":
        share = f"{quality.value:.1%} above {quality.threshold:g} (95 %: {quality.low:.1%} to {quality.high:.1%}"
        return f"{share}, n = {quality.count})"
    unit = "" if quality.unit == "1" else f" {quality.unit}"
    return f"{quality.value:.3g}{unit} (95 %: {quality.low:.3g} to {quality.high:.3g}, n = {quality.count})"


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
        "sets": [row.model_dump(mode="json") for row in measured.sets],
        "floors": [row.model_dump(mode="json") for row in measured.floors],
        "latency_interval_reached": measured.latency_interval_reached,
        "cache_mib": measured.cache_bytes / MIB,
        "peak_mib": None if measured.peak_bytes is None else measured.peak_bytes / MIB,
        "cases": measured.case_count,
        "held_out": measured.held_out,
        "within_limits": measured.within_limits,
    }


def _interval(latency: Latency) -> dict[str, float]:
    return {"median": latency.median_ms, "low": latency.low_ms, "high": latency.high_ms, "count": latency.count}
