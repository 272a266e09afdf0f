"""How close a policy comes in other calls: which calls, and against what."""

from pathlib import Path
from typing import Any

import pytest

from frdiff_tune.measure import Case, verify
from frdiff_tune.measure.validity import other_calls, validity
from frdiff_tune.policy import Figure, Measured, Policy, Validity
from frdiff_tune.report.policy_tables import rows
from frdiff_tune.runtime import full_policy
from frdiff_tune.search.fitting import drain
from tests.tiny import tiny_dit, tiny_sd

CASES = tuple(Case({"prompt": "a fox"}, seed) for seed in range(3))
CALL = {"guidance_scale": 5.0, "height": 64, "width": 64}


def test_guidance_and_size_are_halved_and_more_where_a_pipeline_has_them() -> None:
    sd, dit = tiny_sd(), tiny_dit()
    assert dict(other_calls(sd, CALL)) == {
        "guidance_scale 2.5": {"guidance_scale": 2.5},
        "guidance_scale 10": {"guidance_scale": 10.0},
        "128 x 128 px": {"height": 128, "width": 128},
    }
    assert [name for name, _ in other_calls(sd, {**CALL, "guidance_scale": 1.0})] == ["128 x 128 px"], "no guidance"
    assert [name for name, _ in other_calls(dit, {})] == ["guidance_scale 2", "guidance_scale 8"]


def test_each_call_is_compared_with_its_own_reference(tmp_path: Path) -> None:
    pipe: Any = tiny_sd()
    policy = full_policy(pipe, 3)
    found = drain(validity(pipe, policy, CASES, steps=6, cache_dir=tmp_path, call=CALL, quality_batch=2))
    assert [row.call for row in found] == ["guidance_scale 2.5", "guidance_scale 10", "128 x 128 px"]
    for row in found:
        assert row.count == 3 and row.lpips is not None and row.lpips.value > 0
        assert row.lpips == row.fewer_steps, "this policy is nothing but as many plain steps"
    changed = {**CALL, "guidance_scale": 2.5}
    own = verify(pipe, policy, CASES, steps=6, cache_dir=tmp_path, call=changed, quality_batch=2, latency_calls=2)
    (mean,) = [row for row in own.quality if row.statistic == "mean"]
    first = found[0].lpips
    assert first is not None
    assert (first.value, first.low, first.high) == pytest.approx((mean.value, mean.low, mean.high), rel=1e-4)
    written = policy.replace(measured=own.model_copy(update={"validity": found}))
    assert written.digest == policy.digest, "what was measured is no part of a policy"
    written.save(tmp_path / "policy.json")
    assert Policy.load(tmp_path / "policy.json") == written
    assert_shown(written, own)


def assert_shown(policy: Policy, measured: Measured) -> None:
    ends = Figure(value=0.01, low=0.004, high=0.02)
    far = Validity(call="guidance_scale 15", count=8, lpips=ends, fewer_steps=Figure(value=0.3, low=0.2, high=0.4))
    broken = Validity(call="64 x 64 px", count=0, reason="`height` must be 32")
    shown = dict(rows(policy.replace(measured=measured.model_copy(update={"validity": (far, broken)}))))
    assert shown["at guidance_scale 15"] == "LPIPS 0.01 (0.004 to 0.02); as many plain steps 0.3 (0.2 to 0.4); n = 8"
    assert shown["at 64 x 64 px"] == "cannot be measured: `height` must be 32"
