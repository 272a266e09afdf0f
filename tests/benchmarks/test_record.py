"""Results as files: what was saved comes back, a line per row."""

import json
from pathlib import Path

import pytest

from benchmarks import record
from benchmarks.front_table import replace_block


def test_a_result_comes_back_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "RESULTS", tmp_path)
    result = {
        "study": "a",
        "machine": {"cpu": None},
        "rows": [{"lpips": [0.1, 1e-9]}, {"lpips": []}],
        "figures": {"gain": [1, "x"]},
    }
    path = record.save(result, "front-a")
    assert json.loads(path.read_text()) == result
    assert [line for line in path.read_text().splitlines() if "lpips" in line] == [
        '  {"lpips": [0.1, 1e-09]},',
        '  {"lpips": []}',
    ]


def test_only_the_block_of_that_name_is_replaced(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- x:begin -->\nold\n<!-- x:end -->\nb\n<!-- y:begin -->\nkept\n<!-- y:end -->\n")
    replace_block(page, "x", "new")
    assert page.read_text() == "a\n<!-- x:begin -->\n\nnew\n<!-- x:end -->\nb\n<!-- y:begin -->\nkept\n<!-- y:end -->\n"
    with pytest.raises(AssertionError, match="z:begin"):
        replace_block(page, "z", "new")
