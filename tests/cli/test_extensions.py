"""A module of one's own, named by a study, on the command line."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import pytest

from frdiff_tune.measure import PAIRED
from tests.cli.blocks import blocks
from tests.cli.conftest import Run

EXTENDING = Path(__file__).parents[2] / "docs" / "extending.md"
STUDY = """
[model]
source = "tests.tiny:tiny_sd"
extensions = ["my_metrics"]
[call]
num_inference_steps = 4
[cases]
search = "demo:prompts/search.txt"
held_out = "demo:prompts/held_out.txt"
search_count = 2
held_out_count = 2
[space]
name = "stable-diffusion"
[search]
objectives = ["latency_ms", "colour_shift"]
limits = ["colour_shift_median <= 200"]
trials = 2
storage = "sqlite:///study.db"
[measure]
latency_calls = 8
floor_count = 0
search_floor_count = 0
metrics = ["colour_shift"]
"""


@contextmanager
def unknown_afterwards() -> Iterator[None]:
    """Takes off what the module adds, here and by the test of the page that shows it."""
    sys.modules.pop("my_metrics", None)
    with patch.dict(PAIRED):
        yield
    sys.modules.pop("my_metrics", None)


@pytest.fixture
def place(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a study and the module that the documentation shows; neither is known elsewhere."""
    (module,) = (block.code for block in blocks(EXTENDING) if block.code.startswith("# my_metrics.py"))
    (tmp_path / "my_metrics.py").write_text(module, encoding="utf-8")
    (tmp_path / "own.toml").write_text(STUDY, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    with unknown_afterwards():
        yield tmp_path


def test_a_metric_of_one_s_own_is_searched_shown_and_exported(place: Path, run: Run) -> None:
    assert "colour_shift" not in PAIRED
    tuned = run("tune", "own.toml")
    assert tuned.exit_code == 0, tuned.output
    front = json.loads(run("front", "own.toml", "--json").stdout)["front"]
    assert front and all(row["colour_shift"] >= 0 for row in front)
    exported = run("export", "own.toml", "--pick", "trial:1", "-o", "policy.json")
    assert exported.exit_code == 0, exported.output
    checked = json.loads(run("check", "policy.json", "--study", "own.toml", "--json").stdout)
    assert {row["name"]: row["unit"] for row in checked["figures"]}["colour_shift_mean"] == "levels"


def test_a_policy_is_shown_where_its_metric_is_not_known(place: Path, run: Run) -> None:
    with unknown_afterwards():
        assert run("tune", "own.toml", "--quiet").exit_code == 0
        assert run("export", "own.toml", "--pick", "trial:1", "-o", "policy.json").exit_code == 0
    assert "colour_shift" not in PAIRED
    shown = run("show", "policy.json")
    assert shown.exit_code == 0 and "colour_shift" in shown.stdout, shown.output


def test_a_module_that_is_not_there_is_named_with_the_cure(place: Path, run: Run) -> None:
    (place / "my_metrics.py").unlink()
    result = run("tune", "own.toml")
    said = " ".join(result.stderr.split())
    assert result.exit_code == 2 and "`model.extensions` must name modules that can be imported but 'my_metrics' cannot" in said
    assert "Run from the folder that holds the module, or install it." in said
