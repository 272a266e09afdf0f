"""``cache``: lists, measures and prunes what was kept."""

import json
from pathlib import Path

import pytest

from frdiff_tune.measure.references import stored
from tests.cli.conftest import Run


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FRDIFF_TUNE_CACHE", str(tmp_path))
    about = {"model": "DiTPipeline", "steps": "50", "pictures": "8", "case": "an owl"}
    for key in ("aa" * 32, "bb" * 32):
        stored(tmp_path, key, lambda: b"x" * 2**20, about=about)
    return tmp_path


def test_list_and_size(kept: Path, run: Run) -> None:
    listed = run("cache", "list")
    assert listed.exit_code == 0 and listed.stdout.count("DiTPipeline") == 2 and "an owl" in listed.stdout
    assert f"{kept}: 2 entries, 2.0 MiB" in run("cache").stdout
    rows = json.loads(run("cache", "list", "--json").stdout)
    assert rows["count"] == len(rows["entries"]) == 2 and rows["bytes"] > 2**21
    assert "entries" not in json.loads(run("cache", "size", "--json").stdout)


def test_prune_needs_a_bound_and_says_what_is_gone(kept: Path, run: Run) -> None:
    asked = run("cache", "prune")
    assert asked.exit_code == 2 and "Give --keep-gib, --older-than DAYS or --all" in asked.stderr
    assert "removed 0 entries" in run("cache", "prune", "--older-than", 1).stdout
    assert f"{kept}: removed 2 entries, 2.0 MiB; left 0 entries" in run("cache", "prune", "--all").stdout
    assert "0 entries, 0.0 MiB" in run("cache").stdout
