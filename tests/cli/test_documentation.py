"""README and documentation: they build, and every code block in them runs.

Studies that a page names are replaced by one of the embedded model with a budget of seconds, reports profile it in
one round, and set-up commands only say what they would do; all else is run as it stands.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from typer.main import get_command
from typer.testing import Result

from frdiff_tune import frdiff_policy
from frdiff_tune.cli import app
from frdiff_tune.errors import SpaceError
from frdiff_tune.measure import PAIRED
from frdiff_tune.runtime import Applied
from frdiff_tune.runtime.families import FAMILIES
from frdiff_tune.search import load_study, shipped
from frdiff_tune.search.encodings import ENCODINGS
from frdiff_tune.search.space_file import SpaceFile
from frdiff_tune.search.toml_file import parse
from tests.cli.blocks import Block, blocks
from tests.cli.child import MAIN, dashboard
from tests.cli.conftest import STUDY, Run
from tests.policy.hub_server import hub

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "benchmarks" / "README.md")
GENERATED = ("keys.md", "commands.md", "policy-format.md")
Do = Callable[[list[str]], subprocess.CompletedProcess[str]]
MAY_SAY = {
    "export": (5, "must keep its limits on the held-out"),
    "check": (4, "does not hold: speedup left the stated interval"),
}
"""Verb -> code and words with which it may end where so few timed calls decide; tests never assert a time."""


@pytest.fixture
def place(tmp_path: Path, exported: tuple[Path, Result], emoji: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what pages take for granted: two policies and a study of one's own."""
    assert exported[1].exit_code == 0, exported[1].output
    shutil.copy(exported[0], tmp_path / "policy.json")
    frdiff_policy(emoji, steps=4, interval=2).save(tmp_path / "old.json")
    for name in ("own-study", "fresh"):
        text = STUDY.format(trials=1, storage=tmp_path / f"{name}.db")
        (tmp_path / f"{name}.toml").write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def with_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Do]:
    """A function that runs ``frdiff-tune`` where the hub is on this machine."""
    with hub() as (address, _, _):
        own = {
            "HF_ENDPOINT": address,
            "HF_HOME": str(tmp_path_factory.mktemp("hub")),
            "HF_TOKEN": "hf_own",
            "HF_HUB_DISABLE_XET": "1",
        }

        def go(arguments: list[str]) -> subprocess.CompletedProcess[str]:
            command = [sys.executable, "-c", MAIN, *arguments]
            return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **own})

        yield go


@pytest.fixture(scope="module")
def done() -> set[tuple[str, ...]]:
    """Commands that have run: what several pages say runs once."""
    return set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_code_block_runs(
    page: Path,
    place: Path,
    study: Path,
    run: Run,
    with_hub: Do,
    emoji: Any,
    done: set[tuple[str, ...]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("frdiff_tune.report.reported.ROUNDS", 1)
    names: dict[str, Any] = {"__name__": page.stem, "pipe": emoji}
    with ExitStack() as stack:
        for known in (FAMILIES, ENCODINGS, PAIRED):
            stack.enter_context(patch.dict(known))
        stack.callback(remove_all, names)
        for block in blocks(page):
            where = f"{page.relative_to(ROOT)}, line {block.line}"
            if block.language == "python":
                if file := re.match(r"# (\w+\.py)\n", block.code):
                    (place / file[1]).write_text(block.code, encoding="utf-8")
                exec(compile("\n" * (block.line - 1) + block.code, str(page), "exec"), names)
            elif block.language == "toml":
                check_toml(block, place, where)
            elif block.language == "bash":
                for line in block.commands:
                    words = resolved(shlex.split(line, comments=True), study)
                    if tuple(words) not in done:
                        check_command(words, run, with_hub, f"{where}: {line}")
                    done.add(tuple(words))
            else:
                assert block.language == "text", f"{where}: a block is python, toml, bash, or text that is no code"


def remove_all(names: dict[str, Any]) -> None:
    """Takes off the policies that a page has left on."""
    for each in names.values():
        if isinstance(each, Applied):
            each.remove()


def check_toml(block: Block, place: Path, where: str) -> None:
    """Reads a study, or tables of one, or tables of a space."""
    tables = tomllib.loads(block.code)
    if tables.keys() <= SpaceFile.model_fields.keys():
        parse(tables, SpaceFile, SpaceError, where)
        return
    path = place / "page.toml"
    path.write_text(whole(tables, tomllib.loads(STUDY.format(trials=1, storage="page.db"))), encoding="utf-8")
    load_study(str(path))


def whole(tables: dict[str, Any], base: dict[str, Any]) -> str:
    """Returns a study as TOML: of the tables alone if they name cases, else a base with their keys."""
    names = tables if "cases" in tables else {**base, **tables}
    merged = {name: tables[name] if "cases" in tables else {**base.get(name, {}), **tables.get(name, {})} for name in names}
    return "\n".join(line for name, table in merged.items() for line in (f"[{name}]", *_lines(table)))


def _lines(table: dict[str, Any]) -> Iterator[str]:
    return (f"{key} = {_toml(value)}" for key, value in table.items())


def _toml(value: object) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    return f'"{value}"' if isinstance(value, str) else str(value).lower()


def resolved(words: list[str], study: Path) -> list[str]:
    """Returns a command with the studies that the tests have in place of those that the page names."""
    if words[0] != "frdiff-tune":
        return words
    own = [str(study) if word.endswith(".toml") or word in shipped("studies") else word for word in words]
    return [*own[:2], "fresh.toml", *own[3:]] if "--from" in own else own


def check_command(words: list[str], run: Run, with_hub: Do, where: str) -> None:
    """Runs a line of a shell block, which ends well or as ``MAY_SAY`` allows."""
    if words[0] == "frdiff-tune":
        own = words[1:]
        if own[0] == "dashboard":
            with dashboard(*(word for word in own[1:] if word != "--no-browser"), "--pictures", 0):
                pass
        elif any(word.startswith("me/") for word in own):
            done = with_hub(own)
            assert done.returncode == 0, f"{where}\n{done.stderr}"
        else:
            result = run(*own)
            code, said = MAY_SAY.get(own[0], (0, ""))
            honest = result.exit_code == code and said in " ".join(result.output.split())
            assert result.exit_code == 0 or honest, f"{where}\n{result.output}"
        return
    dry = {
        "make": ["make", "-n", *words[1:]],
        "pip": [sys.executable, "-m", *words, "--dry-run", "--no-deps", "--no-build-isolation", "--quiet"],
    }
    command = dry[words[0]]  # set-up commands are run by whoever runs the tests: here only what they would do
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, f"{where}\n{done.stderr}"


def test_the_documentation_builds_without_a_warning_and_fetches_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    for name in ("commands", "keys", "policy-format", "goals"):
        assert (tmp_path / name / "index.html").is_file()
    pages = [path.read_text(encoding="utf-8") for path in tmp_path.rglob("*.html")]
    for marker in ('<script src="http', '<link rel="stylesheet" href="http', "@import"):
        assert not any(marker in page for page in pages), marker


def test_readme_and_documentation_name_files_and_verbs_that_exist() -> None:
    verbs = set(get_command(app).commands)  # type: ignore[attr-defined]
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for verb in re.findall(r"`frdiff-tune ([a-z]+)", text):
            assert verb in verbs, f"{page.name}: {verb}"
        for target in re.findall(r"\]\(([^)#\s]+)", text):
            assert target.startswith("http") or target in GENERATED or (page.parent / target).exists(), f"{page.name}: {target}"
