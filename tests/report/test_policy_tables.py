"""A policy's facts for people and programs."""

import json

from frdiff_tune.report.policy_tables import policy_json, rows
from tests.report.toy import MACHINE, MEASURED, PROVENANCE, toy_policy

POLICY = toy_policy("1010", mixing=(1.0, 0.0, 1.0, 0.0)).replace(measured=MEASURED, machine=MACHINE, provenance=PROVENANCE)


def test_rows_state_every_figure_with_its_interval() -> None:
    facts = dict(rows(POLICY))
    assert facts["speed-up"] == "2.50x (95 %: 2.40 to 2.60)"
    assert facts["latency"].startswith("400.0 ms (95 %: 395.0 to 405.0, n = 8); reference 1,000.0 ms")
    assert facts["lpips mean"] == "0.0036 (95 %: 0.002 to 0.0061, n = 32)"
    assert facts["lpips flips"] == "3.1% above 0.05 (95 %: 0.6% to 15.7%, n = 32)"
    assert facts["memory"] == "cache 1.50 MiB"
    assert facts["machine"] == "Some CPU (2 cores), float32, batch 1, 128x128 px, torch 2.9, eager"
    assert facts["from"] == "study demo, trial 17, 2026-01-01T00:00:00Z"


def test_unmeasured_policy_says_so() -> None:
    assert "frdiff-tune export" in dict(rows(toy_policy("11")))["measured"]


def test_a_stretched_policy_says_so() -> None:
    stretched = dict(rows(POLICY.resample(8)))
    assert stretched["from"].startswith(f"policy {POLICY.digest[:12]}, stretched to this walk: unverified")
    assert "nothing" in stretched["measured"]
    assert "speed-up" not in stretched


def test_broken_limits_cannot_be_overlooked() -> None:
    broken = POLICY.replace(measured=MEASURED.model_copy(update={"within_limits": False}))
    assert dict(rows(broken))["limits"].startswith("NOT KEPT")


def test_json_names_units_and_survives_a_parser() -> None:
    value = json.loads(json.dumps(policy_json(POLICY), allow_nan=False))
    assert value["latency_ms"] == {"median": 400.0, "low": 395.0, "high": 405.0, "count": 8}
    assert value["cache_mib"] == 1.5
    assert value["quality"]["lpips_mean"]["high"] == 0.0061
    assert value["nfe"] == 2
    assert type(POLICY).model_validate(value["policy"]) == POLICY
