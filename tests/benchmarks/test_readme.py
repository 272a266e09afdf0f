"""The tables of both README are those of the committed results."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.few_calls_table import summary as few_calls
from benchmarks.few_calls_table import table as few_calls_table
from benchmarks.front_table import summary as fronts
from benchmarks.front_table import table
from benchmarks.record import RESULTS
from benchmarks.search_figure import markdown
from benchmarks.search_figure import summary as searches

README, MORE = RESULTS.parents[1] / "README.md", RESULTS.parent / "README.md"
Rows = list[dict[str, Any]]


def _tables(one: Callable[[dict[str, Any]], str]) -> Callable[[Rows], str]:
    return lambda results: "\n".join(map(one, results))


@pytest.mark.parametrize(
    ("kind", "page", "shown"),
    [
        ("front", README, fronts),
        ("front", MORE, _tables(table)),
        ("search", README, searches),
        ("search", MORE, _tables(markdown)),
        ("few-calls", README, few_calls),
        ("few-calls", MORE, _tables(few_calls_table)),
    ],
)
def test_the_tables_are_what_the_results_say(kind: str, page: Path, shown: Callable[[Rows], str]) -> None:
    results = [json.loads((RESULTS / f"{kind}-{name}.json").read_text()) for name in ("demo", "demo-dit")]
    block = {"front": "results"}.get(kind, kind)
    text = page.read_text(encoding="utf-8").partition(f"<!-- {block}:begin -->")[2].partition(f"<!-- {block}:end -->")[0]
    assert text.strip().endswith(shown(results).strip())


def test_a_level_that_nothing_reaches_is_said_to_be_so() -> None:
    gain = {"value": None, "low": None, "high": None}
    result = {"study": "own", "figures": {"gain_at_lpips_0.01": gain, "best_fewer_steps_at_lpips_0.01": None}}
    assert "| `own` | own | mean LPIPS 0.01 | not reached | not reached |" in fronts([result])
