"""Pictures on disk: what ``generate`` leaves behind, and what it says of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from frdiff_tune.errors import MeasureError
from frdiff_tune.report.words import network_calls, solver

if TYPE_CHECKING:
    from PIL.Image import Image

    from frdiff_tune.measure import Case
    from frdiff_tune.policy import Policy
    from frdiff_tune.report.setting import Setting
    from frdiff_tune.report.side_by_side import Pair

NAME_CHARS = 60  # of a file name


@dataclass(frozen=True, slots=True)
class Drawn:
    """One written picture.

    Arguments:
        label: The prompt or class.
        seed: Of the starting noise.
        path: Where the policy's picture is.
        time_ms: Wall time of its call, in milliseconds.
        reference: Where the reference's picture is, if one was drawn.
        reference_ms: Wall time of the reference's call, in milliseconds.
        lpips: LPIPS between the two.
    """

    label: str
    seed: int
    path: Path
    time_ms: float
    reference: Path | None = None
    reference_ms: float | None = None
    lpips: float | None = None


def save_pictures(
    pipe: Any,  # noqa: ANN401 - a diffusers pipeline
    policy: Policy,
    cases: Sequence[Case],
    setting: Setting,
    folder: Path,
) -> Iterator[Drawn]:
    """Draws and writes one picture per case, and yields each when it is there.

    Raises:
        MeasureError: If a picture cannot be written.
    """
    from frdiff_tune.report.pairs import pictures

    for number, picture in enumerate(pictures(pipe, policy, cases, setting.call)):
        path = _write(picture.image, folder / f"{_name(cases, number)}.png")
        yield Drawn(picture.case.label, picture.case.seed, path, picture.time_ms)


def save_pairs(
    pipe: Any,  # noqa: ANN401 - a diffusers pipeline
    policy: Policy,
    cases: Sequence[Case],
    setting: Setting,
    folder: Path,
) -> Iterator[Drawn]:
    """Draws and writes both pictures of each case, yields each pair, and at the end writes ``side_by_side.png``.

    Raises:
        MeasureError: If a picture cannot be written.
    """
    from frdiff_tune.report.pairs import pairs

    done: list[Pair] = []
    for number, pair in enumerate(pairs(pipe, policy, cases, setting.call, steps=setting.steps)):
        path = _write(pair.candidate, folder / f"{_name(cases, number)}.png")
        reference = _write(pair.reference, path.with_stem(f"{path.stem}-reference"))
        done.append(pair)
        yield Drawn(pair.label, pair.seed, path, pair.candidate_ms, reference, pair.reference_ms, pair.lpips)
    names = row_names(policy, solver(type(pipe.scheduler).__name__), setting.steps)
    save_side_by_side(done, folder / "side_by_side.png", title="Reference and policy, same seeds", names=names)


def row_names(policy: Policy, reference_solver: str, steps: int) -> tuple[str, str]:
    """Returns what the rows of a side-by-side figure are called."""
    calls = network_calls(policy.nfe) if policy.nfe < policy.T else f"{policy.T} steps"
    return f"reference\n{steps} steps\n{reference_solver}", f"policy\n{calls}\n{solver(policy.sampling.scheduler.name)}"


def save_side_by_side(pairs: Sequence[Pair], path: Path, *, title: str, names: tuple[str, str]) -> Path:
    """Writes pairs as one figure and returns its path."""
    from frdiff_tune.report.front_figure import save_figure
    from frdiff_tune.report.side_by_side import side_by_side

    return save_figure(side_by_side(pairs, title=title, reference=names[0], candidate=names[1]), path)


def drawn_lines(drawn: Sequence[Drawn]) -> Iterator[str]:
    """Yields one line per picture: where it is, how long it took."""
    for one in drawn:
        line = f"{one.path}: {one.time_ms:,.0f} ms"
        if one.reference_ms is not None:
            line += f", reference {one.reference_ms:,.0f} ms ({one.reference_ms / one.time_ms:.2f}x), LPIPS {one.lpips:.4f}"
        yield line
    if drawn and drawn[0].reference is not None:
        yield f"{drawn[0].path.parent / 'side_by_side.png'}: both, side by side"


def drawn_json(drawn: Sequence[Drawn]) -> Mapping[str, Any]:
    """Returns the pictures under keys that name their units."""
    return {
        "pictures": [
            {
                "label": one.label,
                "seed": one.seed,
                "path": str(one.path),
                "time_ms": one.time_ms,
                "reference": one.reference and str(one.reference),
                "reference_ms": one.reference_ms,
                "lpips": one.lpips,
            }
            for one in drawn
        ]
    }


def _name(cases: Sequence[Case], number: int) -> str:
    """Returns a file name made of the prompt; equal prompts are numbered."""
    label = cases[number].label
    slug = re.sub(r"[^a-z0-9]+", "-", label.lower()).strip("-")[:NAME_CHARS] or "picture"
    again = sum(case.label == label for case in cases[:number])
    return f"{slug}-seed{cases[number].seed}" + (f"-{again + 1}" if again else "")


def _write(image: Image, path: Path) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path)
    except OSError as error:
        raise MeasureError(f"`{path}` could not be written: {error}. Give another folder with -o.") from error
    return path
