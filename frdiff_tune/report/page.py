"""The report's page: one HTML file that needs nothing else, neither beside it nor from a network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from frdiff_tune.report.points import family_of, true_family
from frdiff_tune.report.policy_tables import MIB
from frdiff_tune.report.summary import digits
from frdiff_tune.report.words import describe, figure_name, launched, network_calls

if TYPE_CHECKING:
    from frdiff_tune.measure import Interval, Profile
    from frdiff_tune.policy import Machine
    from frdiff_tune.search import Front, Point

TEMPLATE = "report.html.j2"
WORDS = {
    "step": "One pass through the loop that turns noise into a picture. Step 0 is the first and noisiest.",
    "network call": "The costly part of a step: the big network looks at the noisy picture and says what to change. Steps that "
    "spare it cost next to nothing.",
    "keyframe": "A step whose result is kept for later steps.",
    "λ(t)": "At a step that is no keyframe: the weight of the network's own result at that step, the rest comes from the "
    "keyframes before. 1 means that only the own result counts, 0 that the network is not called at all (a jump).",
    "group": "Parts of the network that are computed, or given back, together.",
    "LPIPS": "How different two pictures look, as a trained network judges: 0 is the same picture, above 0.05 the composition "
    "has usually changed. It compares with the reference's picture of the same prompt and seed, so it says how close, not how "
    "beautiful.",
    "front": "The policies that no other one beats: whoever is faster is also farther from the reference.",
    "known policy": "What people use today without a search: fewer steps, fixed intervals, FRDiff's own schedule.",
    "95 % interval": "Where a repetition would put the figure in 19 of 20 cases: with other pictures, or in other runs.",
}
"""What the page's words mean."""
UNKNOWN: tuple[Any, ...] = (None, [], "")
"""Of a machine's facts: what is not told."""


def rendered(context: Mapping[str, Any]) -> str:
    """Returns the page.

    Arguments:
        context: What the template names.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("frdiff_tune.report", "templates")
    templates = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return templates.get_template(TEMPLATE).render(context)


def front_rows(found: Front, chosen: Sequence[int]) -> Iterator[dict[str, Any]]:
    """Yields the rows of the front's table, the fastest first.

    Arguments:
        found: What a study has measured.
        chosen: Numbers of the trials that the report looks at.
    """
    for point in found.best:
        trial = point.trial
        lpips = trial.lpips
        yield {
            "trial": trial.number,
            "latency": f"{trial.latency_ms.value:,.0f}",
            "latency_ends": f"{trial.latency_ms.low:,.0f} to {trial.latency_ms.high:,.0f}",
            "speedup": f"{trial.speedup.value:.2f}×",
            "speedup_ends": f"{trial.speedup.low:.2f} to {trial.speedup.high:.2f}",
            "lpips": digits(lpips.value),
            "lpips_ends": f"{digits(lpips.low)} to {digits(lpips.high)}",
            "further": [_further(trial.figure(name)) for name in further(found)],
            "calls": trial.nfe,
            "kept": f"{trial.cache_bytes / MIB:.2f}",
            "words": describe(point.policy) + launched(trial.capture),
            "family": true_family(family_of(trial), point.policy),
            "chosen": trial.number in chosen,
        }


def further(found: Front) -> list[str]:
    """Returns the objectives that not every row of the table has anyway."""
    return [name for name in found.objectives if name not in ("latency_ms", "speedup", "lpips", "cache_mib")]


def _further(figure: Interval) -> dict[str, str]:
    return {"value": f"{figure.value:.3g}", "ends": f"{figure.low:.3g} to {figure.high:.3g}"}


def headings(found: Front) -> list[str]:
    """Returns the headings of these columns."""
    return [figure_name(name) for name in further(found)]


def group_rows(profile: Profile) -> Iterator[dict[str, str]]:
    """Yields the rows of the groups' table, those that save most first."""
    for name, group in sorted(profile.groups.items(), key=lambda item: -item[1].saved_ms.value):
        saved, changes = group.saved_ms, profile.similarity and profile.similarity.change
        yield {
            "name": name,
            "saves": f"{saved.value:.2f}",
            "ends": f"{saved.low:.2f} to {saved.high:.2f}",
            "share": f"{group.saved_share.value:.0%}",
            "kept": "" if group.cache_bytes is None else f"{group.cache_bytes / MIB:.2f}",
            "change": f"{median(profile.similarity.neighbours(name)):.1%}" if changes and name in changes else "",  # type: ignore[union-attr]
        }


def machine_rows(machine: Machine) -> Iterator[dict[str, str]]:
    """Yields what is known of the machine, by name."""
    for name, value in machine.model_dump(mode="json").items():
        if value not in UNKNOWN:
            if name.endswith("_bytes"):
                name, value = name.removesuffix("_bytes"), f"{value / 2**30:.1f} GiB"
            elif name.endswith("_mhz"):
                name, value = name.removesuffix("_mhz"), f"{value:,} MHz"
            words = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            yield {"name": name.replace("_", " "), "value": words}


def fact_cards(title: str, point: Point, found: Front) -> Iterator[dict[str, str]]:
    """Yields what stands at the top, of the first policy that the report looks at.

    Arguments:
        title: What that policy is.
        point: The policy.
        found: What the study has measured.
    """
    trial = point.trial
    ends = f"{trial.speedup.low:.2f} to {trial.speedup.high:.2f}"
    what = f"{title[0].lower()}{title[1:]}: trial {trial.number} (95 %: {ends})"
    yield {"value": f"{trial.speedup.value:.2f}× faster", "words": what}
    whole = f"per call of the whole pipeline, instead of {found.reference.median_ms:,.0f} ms"
    yield {"value": f"{trial.latency_ms.value:,.0f} ms", "words": whole}
    lpips = f"LPIPS {digits(trial.lpips.value)}"
    close = f"mean over {trial.count} pictures; 0 is the same picture, 0.05 another composition"
    yield {"value": lpips, "words": close}
    yield {"value": network_calls(trial.nfe), "words": f"in {point.policy.T} steps"}


def word_rows() -> Iterator[dict[str, str]]:
    """Yields the page's words and what they mean."""
    for word, meaning in WORDS.items():
        yield {"word": word, "meaning": meaning}


def write_page(path: Path, context: Mapping[str, Any]) -> Path:
    """Writes the page and returns its path.

    Arguments:
        path: Of the file.
        context: What the template names.

    Raises:
        StudyError: If it cannot be written.
    """
    from frdiff_tune.errors import StudyError

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(rendered(context), encoding="utf-8")
    except OSError as error:
        raise StudyError(f"`{path}` could not be written: {error}. Give another folder with -o.") from error
    return path
