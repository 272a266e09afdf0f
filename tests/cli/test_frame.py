"""Help, errors and exit codes."""

import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from frdiff_tune.cli import console
from frdiff_tune.errors import FrdiffError
from tests.cli.conftest import Run

VERBS = ("tune", "front", "export", "generate", "check", "show", "profile", "schema")


def test_help_loads_no_heavy_library() -> None:
    code = (
        "import sys; from typer.testing import CliRunner; from frdiff_tune.cli import app; "
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0; "
        "sys.exit(str({'torch', 'diffusers', 'optuna', 'matplotlib', 'lpips'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stderr.strip() == "set()"


def test_help_shows_a_first_run_and_every_verb(run: Run) -> None:
    text = run("--help").stdout
    assert "frdiff-tune tune demo" in text and all(f"│ {verb} " in text for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_a_verb_gives_an_example(verb: str, run: Run) -> None:
    result = run(verb, "--help")
    assert result.exit_code == 0 and f"frdiff-tune {verb}" in result.stdout.split("Usage", 1)[1].split("\n", 2)[2]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("front", "nosuch"), "shipped studies"),
        (("show", "nosuch.json"), "Check the path"),
        (("profile", "demo:nosuch", "--no-times"), "an embedded model"),
        (("export", "demo", "--pick", "best"), "`pick` must be floor, knee or trial:N"),
    ],
)
def test_mistakes_end_with_a_paragraph_and_code_2(arguments: tuple[str, ...], words: str, run: Run) -> None:
    result = run(*arguments)
    assert result.exit_code == 2 and result.stdout == ""
    message = " ".join(result.stderr.split())
    assert "Error: " in message and words in message and "Traceback" not in message


def test_a_typo_in_a_study_suggests_the_nearest_key(tmp_path: Path, run: Run) -> None:
    path = tmp_path / "typo.toml"
    path.write_text('[modle]\nsource = "demo:emoji"\n', encoding="utf-8")
    result = run("front", path)
    assert result.exit_code == 2 and "model" in result.stderr


def test_a_broken_policy_is_refused_by_name(tmp_path: Path, run: Run) -> None:
    path = tmp_path / "cut.json"
    path.write_text('{"schema_version": 1, "keyf', encoding="utf-8")
    result = run("show", path)
    assert result.exit_code == 2 and "cut.json" in result.stderr and "breaks off" in result.stderr


@pytest.mark.parametrize("arguments", [("--debug", "show", "nosuch.json"), ("show", "nosuch.json", "--debug")])
def test_debug_keeps_the_error_itself(arguments: tuple[str, ...], run: Run) -> None:
    assert isinstance(run(*arguments).exception, FrdiffError)


def test_unknown_verb_suggests_the_nearest(run: Run) -> None:
    result = run("shwo")
    assert result.exit_code == 2 and "show" in result.stderr


def test_the_time_left_is_counted_from_where_a_part_began(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = iter(range(0, 1000, 20))
    monkeypatch.setattr(console, "monotonic", lambda: float(next(clock)))

    def run() -> Generator[tuple[int, int], None, str]:
        yield from ((1, 2), (2, 2), (1, 4), (2, 4))
        return "done"

    assert console.finish("measuring", run()) == "done"
    said = capsys.readouterr().err.splitlines()
    assert [line.split(": ")[1] for line in said] == [
        "50 %, 20 s gone, 20 s left", "100 %, 40 s gone, 0 s left", "25 %, 20 s gone, 60 s left", "50 %, 40 s gone, 40 s left",
    ]  # fmt: skip
