"""A policy as a repository of the hub: its file, a card made from what was measured, and its schedule as a picture."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from frdiff_tune.errors import PolicyError
from frdiff_tune.policy.hub import FILE
from frdiff_tune.report.exported import headline
from frdiff_tune.report.policy_tables import rows
from frdiff_tune.report.summary import apply_lines
from frdiff_tune.report.words import describe

if TYPE_CHECKING:
    from frdiff_tune.policy import Measured, Policy

SCHEDULE = "schedule.png"
CARD = "README.md"
TASKS = {
    "Img2Img": "image-to-image",
    "Inpaint": "image-to-image",
    "ControlNet": "image-to-image",
    "Video": "text-to-video",
    "Wan": "text-to-video",
    "DiT": "unconditional-image-generation",
}
"""Part of a pipeline's class name -> the hub's name of its task; others draw pictures of prompts."""


def card_folder(policy: Policy, repository: str, folder: Path) -> tuple[Path, ...]:
    """Writes a repository's files and returns their paths.

    Arguments:
        policy: A measured policy.
        repository: Its name, as ``user/repo``.
        folder: Where they go.

    Raises:
        PolicyError: If the policy was never measured, or the folder cannot be written.
    """
    from frdiff_tune.report.front_figure import save_figure
    from frdiff_tune.report.schedule_figure import schedule_figure

    text = card(policy, repository)
    policy.save(folder / FILE)
    try:
        (folder / CARD).write_text(text, encoding="utf-8")
        save_figure(schedule_figure(policy, "what is computed at which step"), folder / SCHEDULE)
    except OSError as error:
        raise PolicyError(f"`{folder}` could not be written: {error}. Give another folder with -o.") from error
    return folder / FILE, folder / CARD, folder / SCHEDULE


def card(policy: Policy, repository: str) -> str:
    """Returns the card: Markdown under the hub's header.

    Arguments:
        policy: A measured policy.
        repository: Its name, as ``user/repo``.

    Raises:
        PolicyError: If the policy was never measured.
    """
    from huggingface_hub import EvalResult, ModelCardData

    if policy.measured is None:
        raise PolicyError(
            "`measured` must be there for a card but the policy was never measured. Measure it with "
            "`frdiff-tune check policy.json -o measured.json`, or export it from a study."
        )
    source = policy.model.source
    on_hub = source.count("/") == 1 and not source.startswith((".", "/"))
    where = _task(policy.model.pipeline), "own prompts", "held-out prompts of the study"
    results = [
        EvalResult(*where, metric, value, metric_name=name)
        for metric, name, value in _results(policy.measured)
    ]
    data = ModelCardData(
        base_model=source if on_hub else None,
        library_name="frdiff-tune",
        model_name=repository.partition("/")[2],
        eval_results=results,
        tags=["frdiff-tune", "diffusers", "acceleration", "feature-reuse"],
    )
    return f"---\n{data.to_yaml()}\n---\n\n" + "\n".join(_body(policy, repository)) + "\n"


def _task(pipeline: str) -> str:
    """Returns what the hub calls the task of a pipeline class."""
    found = (task for part, task in TASKS.items() if part in pipeline)
    return next(found, "text-to-image")


def _results(measured: Measured) -> Iterator[tuple[str, str, float]]:
    yield "speedup", "speed-up over the unaccelerated pipeline", round(measured.speedup, 3)
    for row in measured.quality:
        if row.statistic == "mean":
            yield row.metric, f"{row.metric} to the unaccelerated pictures, mean", float(f"{row.value:.4g}")


def _body(policy: Policy, repository: str) -> Iterator[str]:
    yield f"# {repository}"
    yield f"\nA reuse policy for `{policy.model.source or policy.model.pipeline}`, found by measuring with frdiff-tune."
    yield f"\n**{headline(policy)}**"
    yield f"\n{describe(policy)}.\n\n![What is computed at which step]({SCHEDULE})"
    yield "\n## Use\n\n    pip install frdiff-tune\n\n```python"
    call = "..."
    lines = apply_lines(Path(repository), call, policy.machine.capture or "eager" if policy.machine else "eager")
    yield from lines
    yield "```"
    yield "\n`pipe` is the diffusers pipeline of the model above; `applied.remove()` leaves it as it was."
    yield "\n## What was measured\n\n| | |\n|---|---|"
    yield from (f"| {name} | {value.replace('|', '/')} |" for name, value in rows(policy))
    yield (
        "\nTimes hold for this machine, batch and picture size. `frdiff-tune check` measures them on yours and says what then "
        "holds. LPIPS compares with the same pipeline's own pictures of the same prompts and seeds: it says how close, not "
        "how good."
    )
