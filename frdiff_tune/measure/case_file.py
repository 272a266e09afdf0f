"""Cases from a file: a line of text, or a row of call arguments, is a case."""

import inspect
import json
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from frdiff_tune.demo import EMBEDDED, prompts_file
from frdiff_tune.errors import MeasureError
from frdiff_tune.measure.case import Case
from frdiff_tune.measure.image_arguments import read_images, required_images

OURS = frozenset({"self", "num_inference_steps", "generator", "output_type", "return_dict", "latents"})  # we give these


def load_cases(pipe: Any, source: str | Path, count: int, *, first_seed: int = 0, seeds: int = 1) -> tuple[Case, ...]:  # noqa: ANN401
    """Returns cases from the first ``count`` lines of a file.

    Line i has the seeds ``first_seed + i + k * count``, k = 0 to ``seeds - 1``; the first ``count`` cases are those of
    k = 0, so that more seeds only add cases.

    Arguments:
        pipe: The pipeline that will be called: it says whether a line is a prompt or a class.
        source: Path of a text file (a line = a prompt, a class name or a class id), of a ``.jsonl`` file (a row of call
            arguments, ``seed`` among them if it has one), or ``"demo:prompts/search.txt"`` for an embedded file. A row names
            pictures by their paths, which count from the folder of the file.
        count: Lines to use.
        first_seed: Seed of the first case.
        seeds: Cases per line.

    Raises:
        MeasureError: If the file cannot be read, has too few lines, or a line is no case of this pipeline.
    """
    _check_counts(count, first_seed, seeds)
    path = _path(source)
    lines = _lines(source, path)
    if len(lines) < count:
        raise MeasureError(
            f"`count` must be at most the lines of {source} but got {count} for {len(lines)} lines. "
            "Add lines to the file or lower the count."
        )
    parsed = []
    for number, line in lines[:count]:
        where = f"{source}, line {number}"
        parsed.append(_row(pipe, line, path.parent, where) if path.suffix == ".jsonl" else _line(pipe, line, where))
    return tuple(
        Case(arguments, first_seed + i + k * count if seed is None else seed + k, name)
        for k in range(seeds)
        for i, (arguments, seed, name) in enumerate(parsed)
    )


def _check_counts(count: int, first_seed: int, seeds: int) -> None:
    for field, value, least in (("count", count, 1), ("first_seed", first_seed, 0), ("seeds", seeds, 1)):
        if value < least:
            raise MeasureError(f"`{field}` must be at least {least} but got {value}. Give a larger number.")


def _path(source: str | Path) -> Path:
    text = str(source)
    return prompts_file(text.removeprefix(EMBEDDED)) if text.startswith(EMBEDDED) else Path(source)


def _lines(source: str | Path, path: Path) -> list[tuple[int, str]]:
    """Returns the lines that are not blank, each with its number in the file."""
    try:
        rows = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise MeasureError(
            f"`cases` must name a readable UTF-8 text file but got {source} ({error}). Give its path, or an embedded one "
            "like demo:prompts/search.txt."
        ) from error
    lines = [(number, row.strip()) for number, row in enumerate(rows, 1) if row.strip()]
    if not lines:
        raise MeasureError(
            f"`cases` must hold at least one line but {source} is empty. Write one prompt or class per line."
        )
    return lines


def _line(pipe: Any, line: str, where: str) -> tuple[dict[str, Any], int | None, str]:  # noqa: ANN401
    parameters, images = _parameters(pipe), required_images(pipe)
    if "prompt" in parameters and not images:
        return {"prompt": line}, None, ""
    if "class_labels" in parameters:
        return {"class_labels": _class_id(pipe, line, where)}, None, line
    needs = f"needs {' and '.join(images)}" if images else "takes neither prompt nor class_labels"
    row = {"prompt": "a fox"} if "prompt" in parameters else {}
    row |= {name: "pictures/fox.png" for name in images or ("image",)}
    raise MeasureError(
        f"`cases` must be a .jsonl file for {type(pipe).__name__}, which {needs}, but got {where}. Write rows of call "
        f"arguments, such as {json.dumps(row)}, into a .jsonl file."
    )


def _row(pipe: Any, line: str, folder: Path, where: str) -> tuple[dict[str, Any], int | None, str]:  # noqa: ANN401
    arguments = _object(line, where)
    seed = arguments.pop("seed", None)
    if seed is not None and (type(seed) is not int or seed < 0):
        raise MeasureError(
            f"`seed` must be a whole number from 0 on but got {seed!r} in {where}. Write it without quotes."
        )
    allowed = sorted(_parameters(pipe) - OURS)
    for name in arguments:
        if name not in allowed:
            near = get_close_matches(name, allowed, 1)
            cure = f"Did you mean {near[0]}?" if near else f"It takes {', '.join(allowed)}."
            raise MeasureError(
                f"a row must hold arguments of {type(pipe).__name__} that vary by case but got {name!r} in {where}. {cure}"
            )
    arguments = read_images(pipe, arguments, folder, where)
    label = arguments.get("class_labels")
    if label is None:
        return arguments, seed, ""
    label = label[0] if isinstance(label, list) and len(label) == 1 else label
    return arguments | {"class_labels": _class_id(pipe, str(label), where)}, seed, str(label)


def _object(line: str, where: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except json.JSONDecodeError as error:
        raise MeasureError(
            f'a row must be a JSON object but got {line[:60]!r} in {where} ({error}). Write {{"prompt": "a fox"}}.'
        ) from error
    if not isinstance(value, dict):
        raise MeasureError(
            f'a row must be a JSON object but got {line[:60]!r} in {where}. Write {{"prompt": "a fox"}}.'
        )
    return value


def _class_id(pipe: Any, text: str, where: str) -> int:  # noqa: ANN401
    """Returns the id of a class, given as an id, one of its names, or all its names."""
    labels: dict[str, int] = getattr(pipe, "labels", None) or {}
    if text.isdecimal() and (not labels or int(text) in labels.values()):
        return int(text)
    for name in (text, text.split(",")[0].strip()):
        if name in labels:
            return labels[name]
    near = get_close_matches(text, labels, 3)
    cure = f"Did you mean {' or '.join(near)}?" if near else "pipe.labels lists the model's names and ids."
    raise MeasureError(f"a class must be a name or an id that the model knows but got {text!r} in {where}. {cure}")


def _parameters(pipe: Any) -> set[str]:  # noqa: ANN401
    return set(inspect.signature(type(pipe).__call__).parameters)
