"""Pages of the documentation that are made from the code when it is built: commands, keys of files, the policy format.

MkDocs calls ``on_files``; ``mkdocs.yml`` names this file as a hook.
"""

import inspect
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from pydantic import BaseModel

from frdiff_tune.cli import app
from frdiff_tune.policy import Policy
from frdiff_tune.policy.schema import json_schema
from frdiff_tune.search.space_file import SpaceFile
from frdiff_tune.search.study_file import StudyFile

EXAMPLE = Path(__file__).parents[1] / "benchmarks" / "results" / "demo" / "policy.json"
RECORDS = ("measured", "machine", "provenance")
MARKUP = re.compile(r"\[/?(?:bold|dim|cyan|yellow)\]")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages to those that are written by hand."""
    for name, text in (("commands.md", commands()), ("keys.md", keys()), ("policy-format.md", policy_format())):
        files.append(File.generated(config, name, content=text))
    return files


def commands() -> str:
    """Returns the page of every verb, made from the command line itself."""
    group: Any = typer.main.get_command(app)
    lines = [
        "# Commands",
        "",
        "Made from the command line itself; `frdiff-tune VERB --help` says the same. Every error is one paragraph that names "
        "what is wrong, the value and the cure; `--debug`, anywhere in the line, shows the traceback. Ctrl-C ends with code "
        "130.",
        "",
    ]
    for name, command in group.commands.items():
        lines += _verb(f"frdiff-tune {name}", command)
    return "\n".join(lines)


def _verb(path: str, command: Any) -> Iterator[str]:  # noqa: ANN401 - typer vendors click and exports no type
    inner = getattr(command, "commands", None)
    yield from (f"{'###' if path.count(' ') > 1 else '##'} `{path}`", "")
    yield from (_help(command.help or ""), "")
    for name, verb in (inner or {}).items():
        yield from _verb(f"{path} {name}", verb)
    shown = [each for each in command.params if not getattr(each, "hidden", False) and each.name != "help"]
    if inner or not shown:
        return
    yield from ("| argument or option | default | meaning |", "|---|---|---|")
    for each in shown:
        options = [*each.opts, *each.secondary_opts] if each.param_type_name == "option" else [each.name.upper()]
        names = ", ".join(f"`{option}`" for option in options)
        yield f"| {names} | {_default(each)} | {_cell(_help(each.help or ''))} |"
    yield ""


def _default(parameter: Any) -> str:  # noqa: ANN401 - as above
    if parameter.required:
        return "required"
    shown = getattr(parameter, "show_default", None)
    if isinstance(shown, str):
        return shown
    if parameter.default is None or parameter.default in ("", False) or callable(parameter.default):
        return ""
    return f"`{parameter.default}`"


def _help(text: str) -> str:
    """Returns help as Markdown: examples as code, no markup of the terminal."""
    text = re.sub(r"\[dim\]Example:\[/dim\] +(.*)", r"Example: `\1`", inspect.cleandoc(text))
    return MARKUP.sub("", text).replace("\f", "")


def keys() -> str:
    """Returns the page of the keys of study and space files."""
    lines = ["# Keys of study and space files", "", "Unknown keys are errors that name the nearest one. Files are TOML.", ""]
    for title, kind in (("Study files", StudyFile), ("Space files", SpaceFile)):
        lines += [f"## {title}", ""]
        for name, field in kind.model_fields.items():
            section = field.annotation
            if isinstance(section, type) and issubclass(section, BaseModel):
                lines += [f"### `[{name}]`", "", _first(section), "", *_rows(section), ""]
            else:
                lines += [f"### `[{name}]`", "", _sentence(_arguments(kind).get(name, "")), ""]
    return "\n".join(lines)


def _rows(kind: type[BaseModel]) -> Iterator[str]:
    told = _arguments(kind)
    yield from ("| key | default | meaning |", "|---|---|---|")
    for name, field in kind.model_fields.items():
        default = "required" if field.is_required() else f"`{_value(field.default)}`"
        yield f"| `{name}` | {default} | {_cell(_sentence(told.get(name, '')))} |"


def _value(value: object, missing: str = "absent") -> str:
    """Returns a default as a file would hold it."""
    if value is None:
        return missing
    if isinstance(value, (tuple, list)):
        return f"[{', '.join(map(_value, value))}]"
    return f'"{value}"' if isinstance(value, str) else str(value)


def policy_format() -> str:
    """Returns the page of the policy file, made from its JSON Schema."""
    schema = json_schema()
    version = Policy.model_fields["schema_version"].default
    example = json.loads(EXAMPLE.read_text(encoding="utf-8"))
    lines = [
        "# Policy file",
        "",
        f"A policy is JSON with `schema_version` {version}; this page is made from its published JSON Schema, which "
        "`frdiff-tune schema` prints. It holds the fully expanded answer, tables and no formula, and never code, pickles or "
        "paths that get opened. Unknown keys are errors. Files of older versions are migrated when they are loaded, newer ones "
        "are refused with both numbers. Its digest covers what changes the picture, not `measured`, `machine` and "
        "`provenance`.",
        "",
        "A policy is canonical: `mixing` is 1 at keyframes and exactly 0 below 1e-10, masks are 0 at jumps, groups that always "
        "compute and weights that only hold are left out. `T` is the number of steps that the run walks.",
        "",
        *_table("The file", schema, Policy),
    ]
    models = {kind.__name__: kind for kind in _models(Policy)}
    lines += [
        "For example, what one that `make demo` left says of the picture, lists cut short (then follow the records):",
        "",
        "```json",
        json.dumps(_short({name: value for name, value in example.items() if name not in RECORDS}), indent=1),
        "```",
        "",
    ]
    for name in sorted(name for name, own in schema["$defs"].items() if "properties" in own):
        lines += _table(f"`{name}`", schema["$defs"][name], models.get(name))
    return "\n".join(lines)


def _short(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Returns a JSON value with at most three entries of every list and long string."""
    if isinstance(value, dict):
        return {key: _short(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_short(each) for each in value[:3]] + ["..."] * (len(value) > 3)
    return f"{value[:57]}..." if isinstance(value, str) and len(value) > 60 else value


def _table(title: str, schema: Mapping[str, Any], kind: type[BaseModel] | None) -> Iterator[str]:
    told = _arguments(kind) if kind else {}
    names = {field.alias or name: name for name, field in kind.model_fields.items()} if kind else {}
    yield from (f"## {title}", "", _first(kind) if kind else "", "")
    yield from ("| key | type | default | meaning |", "|---|---|---|---|")
    required = schema.get("required", ())
    for key, field in schema.get("properties", {}).items():
        default = "required" if key in required else f"`{_value(field.get('default'), 'null')}`" if "default" in field else ""
        meaning = _sentence(told.get(names.get(key, key), ""))
        yield f"| `{key}` | {_cell(_type(field))} | {_cell(default)} | {_cell(meaning)} |"
    yield ""


def _type(field: Mapping[str, Any]) -> str:
    """Returns a JSON type in words, with links to the tables of objects."""
    if "$ref" in field:
        name = field["$ref"].rpartition("/")[2]
        return "any JSON" if name == "JsonValue" else f"[{name}](#{name.lower()})"
    if "anyOf" in field:
        return " or ".join(_type(each) for each in field["anyOf"])
    if "const" in field or "enum" in field:
        return ", ".join(f"`{value}`" for value in field.get("enum", [field.get("const")]))
    if field.get("type") == "array":
        return f"list of {_type(field['items'])}" if "items" in field else "list"
    if field.get("type") == "object" and isinstance(field.get("additionalProperties"), Mapping):
        return f"object of {_type(field['additionalProperties'])}"
    return str(field.get("type", "any"))


def _models(kind: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """Yields a model and all that its fields name."""
    yield kind
    for field in kind.model_fields.values():
        for inner in _inside(field.annotation):
            yield from _models(inner)


def _inside(annotation: Any) -> Iterator[type[BaseModel]]:  # noqa: ANN401
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for each in getattr(annotation, "__args__", ()):
        yield from _inside(each)


def _arguments(kind: type[BaseModel]) -> dict[str, str]:
    """Returns what the docstring says of each argument."""
    _, _, text = inspect.cleandoc(kind.__doc__ or "").partition("Arguments:\n")
    found: dict[str, str] = {}
    for line in re.split(r"\n(?=\S)", text)[0].splitlines():
        if (start := re.match(r" {4}(\w+): (.*)", line)) is not None:
            name = start[1]
            found[name] = start[2]
        elif line.strip():
            found[name] += f" {line.strip()}"
    return found


def _first(kind: type[BaseModel]) -> str:
    return _sentence(inspect.cleandoc(kind.__doc__ or "").partition("\n\nArguments:")[0].replace("\n", " "))


def _sentence(text: str) -> str:
    return text.replace("``", "`")


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
