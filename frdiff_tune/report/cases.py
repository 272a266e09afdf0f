"""Cases from what a person types: prompts, or names of classes."""

from __future__ import annotations

from collections.abc import Sequence
from inspect import signature
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from frdiff_tune.errors import MeasureError

if TYPE_CHECKING:
    from frdiff_tune.measure import Case

ANY_PROMPT = "a picture of a cat"  # for timing, where the content does not matter
ANY_CLASS = "0"


def typed_cases(pipe: Any, lines: Sequence[str], seed: int) -> tuple[Case, ...]:  # noqa: ANN401
    """Returns one case per line, all with the same seed.

    Arguments:
        pipe: The pipeline that will be called: it says whether a line is a prompt or a class.
        lines: Prompts, class names or class ids.
        seed: Of the starting noise.

    Raises:
        MeasureError: If a line is empty or no class of the model.
    """
    from dataclasses import replace

    from frdiff_tune.measure import load_cases

    for line in lines:
        if not line.strip() or len(line.splitlines()) > 1:
            raise MeasureError(f"a prompt must be one line of text but got {line!r}. Put it in quotes.")
    with TemporaryDirectory() as folder:
        path = Path(folder) / "prompts"
        path.write_text("\n".join(lines), encoding="utf-8")
        return tuple(replace(case, seed=seed) for case in load_cases(pipe, path, len(lines), first_seed=seed))


def case_of(pipe: Any, line: str = "") -> Case:  # noqa: ANN401
    """Returns a case to time a pipeline with; without a line, any that the pipeline takes."""
    takes_class = "class_labels" in signature(type(pipe).__call__).parameters
    (case,) = typed_cases(pipe, [line or (ANY_CLASS if takes_class else ANY_PROMPT)], seed=0)
    return case
