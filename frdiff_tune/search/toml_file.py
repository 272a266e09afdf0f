"""Files that a user writes: TOML in, a checked value out, and one clear sentence for what is wrong."""

import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from frdiff_tune.errors import FrdiffError


class Section(BaseModel):
    """A frozen table of a file; unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


Table = TypeVar("Table", bound=Section)


def read_toml(path: Path, kind: type[Table], error: type[FrdiffError]) -> Table:
    """Reads a TOML file into its value.

    Arguments:
        path: The file.
        kind: What it must hold.
        error: What to raise, by kind of file.

    Raises:
        FrdiffError: Of kind ``error``, naming the file, the key, the rule, the value and the cure.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as failure:
        raise error(f"`{path}` must be a readable text file but {failure}. Check the path.") from failure
    except tomllib.TOMLDecodeError as failure:
        raise error(f"`{path}` must be TOML but {failure}. Mend that line.") from failure
    return parse(data, kind, error, str(path))


def parse(data: Mapping[str, Any], kind: type[Table], error: type[FrdiffError], where: str) -> Table:
    """Returns the value of a file's tables, or raises ``error`` with the first thing that is wrong."""
    try:
        return kind.model_validate(_tuples(data))
    except ValidationError as failure:
        raise error(f"{where}: {_explain(failure.errors()[0], kind)}") from failure


def _tuples(data: Any) -> Any:  # noqa: ANN401
    """Returns the data with tuples for lists, as frozen values hold them."""
    if isinstance(data, Mapping):
        return {key: _tuples(value) for key, value in data.items()}
    return tuple(_tuples(item) for item in data) if isinstance(data, list) else data


def _explain(finding: ErrorDetails, kind: type[Section]) -> str:
    *path, key = finding["loc"] or ("the file",)
    name = ".".join(str(part) for part in finding["loc"])
    if finding["type"] == "extra_forbidden":
        return _unknown(name, str(key), _keys(kind, [str(part) for part in path]))
    if finding["type"] == "missing":
        return f"`{name}` must be given but is missing. Add it."
    rule = finding["msg"].removeprefix("Value error, ")
    if finding["type"] == "value_error":
        return f"`{name}` {rule}"
    rule = rule[:1].lower() + rule[1:]
    return f"`{name}` is not right: {rule}, but got {finding['input']!r}. Correct the value."


def _unknown(name: str, key: str, known: tuple[str, ...]) -> str:
    near = get_close_matches(key, known, 1, 0.5)
    cure = f"Did you mean `{near[0]}`?" if near else f"The keys here are {', '.join(known)}."
    return f"`{name}` is not a known key. {cure}"


def _keys(kind: type[BaseModel], path: list[str]) -> tuple[str, ...]:
    """Returns the keys of the table at ``path``."""
    for part in path:
        field = kind.model_fields.get(part)
        if field is None:
            break
        options = [field.annotation, *get_args(field.annotation)]
        kind = next((option for option in options if isinstance(option, type) and issubclass(option, BaseModel)), kind)
    return tuple(kind.model_fields)


def nearest(value: str, known: Mapping[str, Any] | tuple[str, ...]) -> str:
    """Returns what to write instead of an unknown name, as a sentence."""
    near = get_close_matches(value, list(known), 1, 0.5)
    return f"Did you mean {near[0]!r}?" if near else f"Choose one of {', '.join(known)}."
