"""Cases from what a person types: prompts or names of classes, and the pictures that go with them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from inspect import signature
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from frdiff_tune.errors import MeasureError

if TYPE_CHECKING:
    from frdiff_tune.measure import Case

ANY_PROMPT = "a picture of a cat"  # for timing, where the content does not matter
ANY_CLASS = "0"
OPTIONS = {"--image": "image", "--mask": "mask_image", "--control": "control_image"}
"""Options that name a picture, and the argument of the pipeline's call that it is for."""


def typed_cases(pipe: Any, lines: Sequence[str], seed: int, images: Mapping[str, Path] | None = None) -> tuple[Case, ...]:  # noqa: ANN401
    """Returns one case per line, all with the same seed and pictures.

    Arguments:
        pipe: The pipeline that will be called: it says whether a line is a prompt or a class.
        lines: Prompts, class names or class ids.
        seed: Of the starting noise.
        images: Option that a picture was given with, one of ``OPTIONS`` -> its path.

    Raises:
        MeasureError: If a line is empty or no class of the model, or a picture is missing, too many or cannot be read.
    """
    from dataclasses import replace

    from frdiff_tune.measure import load_cases

    for line in lines:
        if not line.strip() or len(line.splitlines()) > 1:
            raise MeasureError(f"a prompt must be one line of text but got {line!r}. Put it in quotes.")
    given = _images(pipe, images or {})
    with TemporaryDirectory() as folder:
        path = Path(folder) / ("cases.jsonl" if given else "prompts")
        rows = [json.dumps({"prompt": line, **given}) for line in lines] if given else lines
        path.write_text("\n".join(rows), encoding="utf-8")
        return tuple(replace(case, seed=seed) for case in load_cases(pipe, path, len(lines), first_seed=seed))


def _images(pipe: Any, images: Mapping[str, Path]) -> dict[str, str]:  # noqa: ANN401
    """Returns pictures by the arguments that take them."""
    from frdiff_tune.measure import image_arguments, required_images

    takes, needs = image_arguments(pipe), required_images(pipe)
    for option in images:
        if OPTIONS[option] not in takes:
            raise MeasureError(f"{option} must be left out for {type(pipe).__name__}, which takes no `{OPTIONS[option]}`.")
    given = {OPTIONS[option]: str(path.expanduser().resolve()) for option, path in images.items()}
    missing = [option for option, name in OPTIONS.items() if name in needs and name not in given]
    if missing:
        raise MeasureError(
            f"{missing[0]} must name a picture for {type(pipe).__name__}, which cannot be called without. Add "
            f"{' '.join(f'{option} picture.png' for option in missing)}."
        )
    return given


def case_of(pipe: Any, line: str = "") -> Case:  # noqa: ANN401
    """Returns a case to time a pipeline with; without a line, any that the pipeline takes."""
    takes_class = "class_labels" in signature(type(pipe).__call__).parameters
    (case,) = typed_cases(pipe, [line or (ANY_CLASS if takes_class else ANY_PROMPT)], seed=0)
    return case
