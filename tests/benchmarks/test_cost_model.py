"""The cost model's benchmark on a tiny pipeline: what it draws, and what it reports."""

import json
from pathlib import Path

import numpy as np
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from benchmarks import cost_model, record
from benchmarks.cost_model import drawn, main, random_policies, summary
from frdiff_tune.search import Space, load_space, load_study
from tests.tiny import tiny_dit, tiny_sd


def test_random_policies_are_of_the_space_and_differ() -> None:
    space = Space(load_space("dit"), tiny_dit(), 12)
    policies = list(random_policies(space, 12))
    assert len({policy.digest for policy in policies}) == 12
    assert all(policy.masks or policy.nfe < policy.T for policy in policies)
    assert all(space.encode(policy) is not None for policy in policies[:4])
    assert [policy.digest for policy in random_policies(space, 3)] == [policy.digest for policy in policies[:3]]


@pytest.mark.parametrize(
    "values",
    [
        CategoricalDistribution(("a", "b")),
        IntDistribution(1, 4),
        IntDistribution(1, 30, log=True),
        FloatDistribution(-0.5, 1.0, step=0.25),
        FloatDistribution(5.0, 100.0, log=True),
        FloatDistribution(0.0, 1.0),
    ],
    ids=str,
)
def test_values_lie_in_their_distribution_up_to_both_ends(values: BaseDistribution) -> None:
    rng = np.random.default_rng(0)
    found = [drawn(rng, values) for _ in range(400)]
    for value in found:
        assert values._contains(values.to_internal_repr(value))
    if isinstance(values, IntDistribution):
        assert {values.low, values.high} <= set(found)
    elif isinstance(values, FloatDistribution):
        spread = values.high - values.low
        assert min(found) < values.low + 0.05 * spread and max(found) > values.high - 0.05 * spread
    else:
        assert set(found) == {"a", "b"}


def test_summary_by_hand() -> None:
    rows = [
        {"predicted": p, "measured": {"value": m}, "error": p / m - 1, "prediction_ms": ms}
        for p, m, ms in ((2.0, 2.0, 0.1), (3.3, 3.0, 0.2), (3.8, 4.0, 0.9))
    ]
    found = summary(rows)
    assert found["median_absolute_error"] == pytest.approx(0.05) and found["median_error"] == pytest.approx(0.0)
    assert found["p90_absolute_error"] == pytest.approx(0.09)
    assert found["spearman"] == pytest.approx(1.0, abs=1e-4)
    assert (found["prediction_ms"], found["longest_prediction_ms"]) == (0.2, 0.9)


def test_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """In two policies of a tiny pipeline in place of the embedded one."""
    study = load_study("demo").path.read_text().replace("num_inference_steps = 50", "num_inference_steps = 6")
    (tmp_path / "short.toml").write_text(study)
    monkeypatch.setattr(record, "RESULTS", tmp_path)
    monkeypatch.setattr(cost_model, "STUDIES", {"demo:emoji": str(tmp_path / "short.toml")})
    monkeypatch.setattr(cost_model, "load_pipeline", lambda source, device: tiny_sd())
    options = "--models demo:emoji --policies 2 --pairs 1 --rounds 1"
    monkeypatch.setattr("sys.argv", ["cost_model", *options.split()])
    main()
    result = json.loads((tmp_path / "cost-model-cpu.json").read_text())
    assert {row["model"] for row in result["rows"]} == {"demo:emoji"} and len(result["rows"]) == 2
    assert result["models"]["demo:emoji"]["policies"] == 2 and "machine" in result
    assert all(row["predicted"] > 0 and row["measured"]["value"] > 0 for row in result["rows"])
    assert "median absolute error" in capsys.readouterr().out
