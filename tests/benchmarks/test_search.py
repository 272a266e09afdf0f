"""The comparison of searches, on a table of a few policies whose figures are a formula of the policy."""

import json
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from benchmarks.ground import Ground, RememberingSpace, Trace
from benchmarks.optimum import STATISTICS, Judge, broken, faster
from benchmarks.record import RESULTS, save
from benchmarks.search import _costs, _curve, earlier, merged
from benchmarks.search_figure import figure, markdown
from benchmarks.searches import METHODS, _fitted_to
from frdiff_tune.policy import Policy
from frdiff_tune.search import Table
from frdiff_tune.search.designed import designed
from frdiff_tune.search.foresight import outline_of
from frdiff_tune.search.foresight.quality_model import PRIORS
from frdiff_tune.search.samplers.auto import auto
from frdiff_tune.search.table import Row
from tests.search.recorded import damage
from tests.search.test_record import STEPS, finite
from tests.tiny import tiny_dit


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    """Returns the nineteen policies of a finite space; the full one of six steps is the reference."""
    study = finite(tmp_path_factory.mktemp("table"))
    space = RememberingSpace(study.space, tiny_dit("v_prediction"), STEPS)
    rows = []
    for params, policy in designed(space):
        lpips = tuple(damage(policy) * (1 + 0.1 * i) / 10 for i in range(16))
        ratio = (5 + 2.0 * policy.nfe - 0.5 * len(policy.masks)) / 10
        rows.append(Row(policy.digest, params, policy.nfe, 0, lpips, (ratio, ratio)))
    cases = tuple(f"{i:064x}" for i in range(16))
    table = Table(study.name, study.definition, {}, True, cases, 10.0, 17.2, tuple(rows))
    return Ground(study, space, table, {row.digest: outline_of(space, row.params) for row in rows})


@pytest.mark.parametrize("name", [name for name in METHODS if name != "GP"])
def test_every_search_goes_up_and_measures_nothing_twice(
    ground: Ground, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.baselines.RESULTS", tmp_path)
    trace = METHODS[name](ground, 0, len(ground.table.rows))
    assert trace.shares == sorted(trace.shares) and trace.seconds == sorted(trace.seconds)
    if name == "Auto-FR":  # no gates were learnt of this model
        assert trace.shares == []
        return
    assert 0 < trace.shares[-1] <= 1 + 1e-9 and len(trace.shares) <= len(ground.table.rows) + 1
    seldom = ("fewer steps", "dynamic programming", "BudCache's annealing", "FRDiff's uniform grid")
    if name not in seldom and not name.startswith(("NSGA", "quasi")):
        assert trace.shares[-1] >= 0.99


@pytest.mark.parametrize(("statistic", "level"), [("mean", 0.003), ("mean", 0.01), ("median", 0.003)])
def test_a_level_is_kept_by_the_policies_that_keep_it_on_every_picture(ground: Ground, statistic: Any, level: float) -> None:
    def look(policy: Policy, indexes: list[int]) -> list[float]:
        return [damage(policy) / 4 * (20 if i == 7 else 1) for i in indexes]

    judge = Judge(look, 16)
    for row in ground.table.rows:
        policy = ground.space.decode(row.params)
        whole = look(policy, list(range(16)))
        assert judge.keeps(policy, statistic, level) == (STATISTICS[statistic](whole) <= level)
        seen = judge.seen[policy.digest]
        assert seen == {i: whole[i] for i in seen}
        if len(seen) < 16:
            assert broken(seen, statistic, level, 16)
    if statistic == "mean":
        assert min(len(seen) for seen in judge.seen.values()) < 16, "bad ones do not draw everything"
        last = list(judge.seen.values())[-1]
        assert next(iter(last)) == 7, "the hardest picture comes first"


def test_the_fastest_policies_come_first_and_hopeless_ones_not_at_all(ground: Ground) -> None:
    rows = list(faster(ground, "mean", 0.002))
    assert [ground.point(row)[1] for row in rows] == sorted(ground.point(row)[1] for row in rows)
    assert {row.digest for row in rows} == {row.digest for row in ground.table.rows if median(row.lpips) <= 0.01}
    assert 0 < len(rows) < len(ground.table.rows)


def test_what_was_fitted_to_the_other_table_is_used_and_put_back(ground: Ground) -> None:
    errors, outline = ground.space.foresight.errors, next(iter(ground.outlines.values()))
    before = dict(PRIORS), errors(outline)
    with _fitted_to(ground, "demo"):
        fitted = json.loads((RESULTS / "priors-demo.json").read_text())
        assert {kind: [*prior] for kind, prior in PRIORS.items()} == fitted["priors"] != before[0]
        assert errors(outline).sources == before[1].sources and errors(outline).traits != before[1].traits
    assert (dict(PRIORS), errors(outline)) == before


def test_what_auto_says_of_searches_is_what_was_measured() -> None:
    named = {"ours": "guided, known policies in between", "NSGA-II, as ECAD": "NSGA-II, as ECAD uses it", "random": "random"}
    lines = [line.strip() for line in (auto.__doc__ or "").splitlines()]
    results = [json.loads((RESULTS / f"search-{name}.json").read_text()) for name in ("demo", "demo-dit")]
    for search, label in named.items():
        cells = []
        for result in results:
            row = next(row for row in result["rows"] if row["search"] == search)
            found = [row[f"evaluations_{level}"][1] for level in (95, 99)]
            cells.append(", ".join("-" if count == result["policies"] else f"{count:.0f}" for count in found))
        (line,) = [line for line in lines if line.startswith(f"{label} ")]
        assert line.removeprefix(label).strip().split("  ", 1)[0] == cells[0] and line.endswith(f" {cells[1]}")


def test_what_auto_fr_has_learnt_is_looked_up(ground: Ground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gates = [1.0, 0.1, 0.2, 0.9, 0.1, 0.3]  # of two steps 0 and 3 are most open, which is the jump at every third
    rows = [{"gates": gates, "pictures": 32, "seconds": 7.0}]
    (tmp_path / f"autofr-{ground.study.name}.json").write_text(json.dumps({"rows": rows}))
    monkeypatch.setattr("benchmarks.baselines.RESULTS", tmp_path)
    trace = METHODS["Auto-FR"](ground, 0, 19)
    assert trace.shares[:6] == [0.0] * 6 and trace.seconds[:6] == [7.0] * 6, "3 x 32 pictures, sixteen to an evaluation"
    assert len(trace.shares) == 6 + len({len(o.keyframes) for o in ground.outlines.values() if o.T == STEPS and o.jumps})


def test_ours_counts_its_recorded_runs(ground: Ground) -> None:
    ours, blind = (METHODS[name](ground, 0, 19) for name in ("ours, no racing", "local search"))
    assert ours.shares[0] == 0 and ours.seconds[0] == pytest.approx(8 * 17.2 / 1000)
    assert blind.shares[0] >= 0 and blind.seconds[0] < 1


def test_a_search_that_never_gets_there_counts_as_the_whole_table(tmp_path: Path) -> None:
    traces = [Trace([0.5, 0.96], [1.0, 2.0]), Trace([0.1, 0.2, 0.99], [3.0, 4.0, 5.0]), Trace([0.3], [6.0])]
    costs = _costs(traces, (100, 900.0))
    assert costs["evaluations_95"] == [2.5, 3.0, 51.5] and costs["reached_95"] == 2
    assert costs["evaluations_99"] == [51.5, 100.0, 100.0] and costs["seconds_99"][1] == 900.0
    assert _curve(traces)[0] == [0.2, 0.3, 0.4] and len(_curve(traces)) == 3
    row = {"search": "ours", "seeds": 3, **costs, "curve": _curve(traces)}
    result: dict[str, Any] = {"study": "demo", "policies": 100, "rows": [row]}
    text = markdown(result)
    assert "| ours | 3 (2 to 52) | not" in text
    figure(result, tmp_path / "search.png")
    assert (tmp_path / "search.png").stat().st_size > 10_000


def test_a_table_takes_the_digests_of_here(ground: Ground) -> None:
    foreign = replace(ground.table, rows=tuple(replace(row, digest="x" + row.digest[1:]) for row in ground.table.rows))
    assert foreign.on(ground.space) == ground.table


def test_other_searches_of_an_earlier_run_are_kept(tmp_path: Path) -> None:
    head = {"policies": 100, "volume": 1.5, "seconds_of_all": 900.0}
    before = [{"search": "ours", "seeds": 20}, {"search": "TPE", "seeds": 20}, {"search": "no longer there", "seeds": 20}]
    file = save({**head, "rows": before}, "search-demo", tmp_path)
    assert earlier(head, file) == before
    assert earlier({**head, "volume": 1.6}, file) == [], "of another table nothing is kept"
    assert earlier(head, tmp_path / "none.json") == []
    rows = [{"search": "random", "seeds": 2}, {"search": "TPE", "seeds": 2}]
    assert [(row["search"], row["seeds"]) for row in merged(rows, before)] == [("ours", 20), ("TPE", 2), ("random", 2)]
