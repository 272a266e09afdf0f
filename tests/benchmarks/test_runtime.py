"""The arithmetic of the runtime's benchmark, and that its reduced networks draw."""

from collections.abc import Sequence
from statistics import mean

import pytest
import torch

from benchmarks.architectures import EMBEDDED, FULL, REDUCED
from benchmarks.runtime import allowed_speedup, main, reuse_call_ms, saved_shares, sites_policy
from benchmarks.runtime_table import table
from benchmarks.turns import Figures, Round, Turn, paired, spread, watched_network
from frdiff_tune import keyframe_policy
from frdiff_tune.runtime import default_groups
from tests.tiny import tiny_dit


def test_allowed_by_hand() -> None:
    """Steps: 0 full, 1 reuses one group, 2 reuses both, 3 jumps; of a loop of 48 the network takes 40, 10 per call."""
    policy = keyframe_policy(tiny_dit(), 4, [0], mixing=(1, 1, 1, 0), groups=["attention", "feed_forward"])
    policy = policy.replace(masks={"attention": "1000", "feed_forward": "1100"})
    saved = {"attention": 0.4, "feed_forward": 0.5}
    assert allowed_speedup(40 / 48, saved, policy) == pytest.approx(48 / (8 + 10 + (10 - 4) + (10 - 4 - 5)))


def test_shares_by_hand() -> None:
    """Steps take turns: all, without the first group, without the second."""
    calls_ms = (99.0, 6.0, 2.0, 9.0, 6.0, 4.0, 11.0)
    assert saved_shares(calls_ms, ["attention", "feed_forward"]) == {"attention": 0.4, "feed_forward": 0.7}


def test_reuse_calls_by_hand() -> None:
    """Of four steps the second and third reuse, the last calls no network."""
    policy = keyframe_policy(tiny_dit(), 4, [0], mixing=(1, 1, 1, 0), groups=["attention"])
    assert reuse_call_ms((9.0, 3.0, 5.0, 0.1), policy) == 4.0


def test_unknown_names_are_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["runtime", "--modes", "eager", "cuda_graphs"])
    with pytest.raises(SystemExit):
        main()
    assert "--modes: on cpu there is no cuda_graphs; there are eager, compile" in capsys.readouterr().err


def taken(loop_ms: float) -> Turn:
    return Turn(total_ms=loop_ms + 10, loop_ms=loop_ms, calls_ms=(loop_ms,), cache_bytes=0)


def test_pairs_by_hand() -> None:
    """Each is compared with the base before and after it."""
    found = paired(
        [("bare", taken(40)), ("a", taken(25)), ("b", taken(10)), ("bare", taken(60)), ("c", taken(35)), ("bare", taken(80))],
        "bare",
    )
    assert [turn.loop_ms for turn in found.base] == [40, 60, 80]
    assert {name: pair.speedup for name, pair in found.others.items()} == {"a": 2.0, "b": 5.0, "c": 2.0}
    assert found.others["b"].call_speedup == 3.0 and found.others["c"].turn.loop_ms == 35


def test_spread_by_hand() -> None:
    """The figures are those of all rounds, the ends those of rounds that are drawn; alike rounds have no spread."""
    rounds = [Round((taken(ms),), {}) for ms in (1.0, 2.0, 4.0, 5.0)]

    def figures(rounds: Sequence[Round]) -> Figures:
        return {"bare": {"ms": mean(each.base[0].loop_ms for each in rounds)}}

    found = spread(rounds, figures)["bare"]["ms"]
    assert 1.0 < found["low"] < found["value"] == 3.0 < found["high"] < 5.0
    assert spread(rounds[:1] * 3, figures)["bare"]["ms"] == {"value": 1.0, "low": 1.0, "high": 1.0}


def test_table_by_hand() -> None:
    even = {"value": 2.0, "low": 1.9, "high": 2.1}
    near = {"value": 0.98, "low": 0.97, "high": 0.99}
    policy = {"model": "m", "mode": "eager", "policy": "uniform 2", "cache_mib": 1.25, "ratio": near}
    policy |= {"speedup": even, "allowed": even, "call_speedup": even}
    full = {"model": "m", "mode": "eager", "policy": "full", "overhead": {"value": 0.004, "low": 0.0, "high": 0.01}}
    lines = table([full, policy]).splitlines()
    spread = "2.00 (1.90–2.10)"
    assert lines[2] == f"| m | eager | uniform 2 | {spread} | {spread} | 0.98 (0.97–0.99) | {spread} | 1.2 |"
    assert lines[-2] == "Of the speed-up that site timings allow, 0.980 to 0.980 (median 0.980) arrives."
    assert lines[-1] == "The full policy costs 0.4 to 0.4 (median 0.4) % over the bare pipeline."
    graphs = {"model": "m", "mode": "cuda_graphs", "policy": "full", "speedup_over_bare": even}
    faster = "With graphs the full policy is 2.00 to 2.00 (median 2.00) times as fast as the bare pipeline."
    assert table([graphs, policy]).splitlines()[-1] == faster


@pytest.mark.parametrize("name", [*REDUCED, *EMBEDDED])
def test_site_policy_leaves_each_group_out(name: str) -> None:
    architecture = {**REDUCED, **EMBEDDED}[name]
    policy = sites_policy((architecture.smaller or architecture).make(), architecture)
    reused = [set(step.reuses) for step in policy.plan()]
    one_turn = [set(), *({group} for group in architecture.groups)]
    assert reused == [one_turn[t % len(one_turn)] for t in range(policy.T)]


@pytest.mark.parametrize("name", [*REDUCED, *EMBEDDED])
def test_networks_draw_and_have_the_groups(name: str) -> None:
    architecture = {**REDUCED, **EMBEDDED}[name]
    pipe = architecture.make()
    pipe.set_progress_bar_config(disable=True)
    assert set(architecture.groups) <= set(default_groups(pipe))
    given = architecture.arguments(torch.device("cpu"), torch.float32)
    with watched_network(pipe, torch.device("cpu")) as stopwatch:
        pipe(**given, num_inference_steps=2)
    assert len(stopwatch.spans_ms()) >= 2 and all(ms > 0 for ms in stopwatch.spans_ms())


@pytest.mark.parametrize("name", FULL)
def test_published_configurations_have_the_groups(name: str) -> None:
    """Made without memory: only their shapes are looked at."""
    with torch.device("meta"):
        pipe = FULL[name].make()
    assert set(FULL[name].groups) <= set(default_groups(pipe))
