"""``tune``, ``front``, ``export`` and ``check``, one after the other on the embedded model."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import Result

from frdiff_tune.policy import Policy
from tests.cli.child import MAIN, heed_interrupts
from tests.cli.conftest import STUDY, TRIALS, Run


def test_tune_says_what_it_needs_what_it_does_and_what_comes_next(tuned: Result) -> None:
    assert tuned.exit_code == 0, tuned.output
    assert f"({TRIALS} trials on 2 cases)" in tuned.stderr and "MiB" in tuned.stderr
    assert f"{TRIALS} of {TRIALS} trials" in tuned.stderr
    assert f"{TRIALS} policies measured" in tuned.stdout
    assert "frdiff-tune export" in tuned.stdout
    assert "\x1b" not in tuned.stdout + tuned.stderr


def test_tune_from_another_study_says_what_it_knows(tuned: Result, study: Path, folder: Path, run: Run) -> None:
    other = folder / "other.toml"
    other.write_text(STUDY.format(trials=1, storage=folder / "other.db"), encoding="utf-8")
    result = run("tune", other, "--from", study)
    assert result.exit_code == 0, result.output
    assert re.search(r"How close \d+ policies are is known from tiny: the search learns from it", result.stderr)
    assert "How close" not in tuned.stderr


def test_front_is_a_table_for_people(tuned: Result, study: Path, run: Run) -> None:
    result = run("front", study)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("trial  latency ms  speed-up")


def test_front_json_is_all_of_stdout(tuned: Result, study: Path, folder: Path, run: Run) -> None:
    result = run("front", study, "--json", "--figure", folder / "front.svg")
    front = json.loads(result.stdout)
    assert front["measured"] == TRIALS and front["reference_latency_ms"] > 0
    times = [row["latency_ms"] for row in front["front"]]
    assert times == sorted(times) and {"lpips", "nfe", "speedup", "trial"} <= set(front["front"][0])
    assert Path(front["figure"]).read_text(encoding="utf-8").startswith("<?xml")


def test_front_before_tune_says_what_to_do(folder: Path, run: Run) -> None:
    fresh = folder / "fresh.toml"
    fresh.write_text(STUDY.format(trials=2, storage=folder / "fresh.db"), encoding="utf-8")
    result = run("front", fresh)
    assert result.exit_code == 2 and "frdiff-tune tune" in result.stderr
    assert not (folder / "fresh.db").exists()


def test_export_writes_policy_and_pictures_and_says_how_to_apply_it(exported: tuple[Path, Result]) -> None:
    path, result = exported
    assert result.exit_code == 0, result.output
    policy = Policy.load(path)
    assert policy.measured is not None and policy.measured.held_out and policy.measured.case_count == 2
    assert policy.provenance is not None and policy.provenance.trial == 1
    for name in ("front.png", "side_by_side.png"):
        with Image.open(path.with_name(name)) as picture:
            assert picture.width > 500
    assert "from frdiff_tune import apply_policy" in result.stdout
    assert "faster than the reference" in " ".join(result.stdout.split())


def test_export_shows_the_finalists_side_by_side(tuned: Result, study: Path, folder: Path, run: Run) -> None:
    front = json.loads(run("front", study, "--json").stdout)["front"]
    result = run("export", study, "-o", folder / "knee.json")
    assert result.exit_code == 0, result.output
    chosen = re.search(r"Chosen: trial (\d+)", result.stdout)
    assert chosen is not None
    if len(front) == 1:  # one was closest and fastest when measured: there is nothing to choose between
        assert front[0]["trial"] == int(chosen[1]) and "Measured again" not in result.stdout
        return
    table = result.stdout.split("Measured again with fresh seeds:")[1].split("Chosen:")[0]
    assert "LPIPS in the search" in table and re.search(rf"^ *{chosen[1]} .* chosen$", table.rstrip(), re.MULTILINE)


def test_export_that_keeps_no_limit_writes_nothing(tuned: Result, study: Path, folder: Path, run: Run) -> None:
    result = run("export", study, "--max-latency-ms", 1, "-o", folder / "none.json")
    assert result.exit_code == 5
    assert "`max_latency_ms` must be at least" in result.stderr and "Traceback" not in result.stderr
    assert not (folder / "none.json").exists()


def test_check_states_figures_beside_figures(exported: tuple[Path, Result], study: Path, run: Run) -> None:
    result = run("check", exported[0], "--study", study, "--json")
    found = json.loads(result.stdout)
    assert result.exit_code == found["exit_code"] and result.exit_code in (0, 4)
    assert found["same_cases"] and found["machine_differs"] == {}
    quality = {row["name"]: row for row in found["figures"]}
    assert quality["lpips_mean"]["holds"]
    assert quality["lpips_mean"]["stated"] == pytest.approx(quality["lpips_mean"]["measured"], rel=1e-4)
    assert found["latency_ms"]["median"] > 0 and "cache_mib" in found


def test_check_makes_a_stretched_policy_a_measured_one(
    exported: tuple[Path, Result], study: Path, folder: Path, run: Run
) -> None:
    stretched, checked = folder / "stretched.json", folder / "checked.json"
    Policy.load(exported[0]).resample(3).save(stretched)
    shown = run("show", stretched)
    assert "unverified until" in shown.stdout
    first = run("check", stretched, "--study", study, "-o", checked, "--validity", 1)
    assert first.exit_code == 0, first.output
    assert "Measured for the first time" in " ".join(first.stdout.split()) and "64 x 64 px" in first.stdout
    policy = Policy.load(checked)
    assert policy.measured is not None and policy.measured.held_out and policy.machine is not None
    assert [(row.call, row.count) for row in policy.measured.validity] == [("64 x 64 px", 1), ("192 x 192 px", 1)]
    assert policy.digest == Policy.load(stretched).digest
    assert "unverified" not in run("show", checked).stdout
    again = json.loads(run("check", checked, "--study", study, "--json").stdout)
    assert {row["name"]: row["holds"] for row in again["figures"]}["lpips_mean"]


def test_check_needs_the_study_of_the_policy(exported: tuple[Path, Result], run: Run) -> None:
    result = run("check", exported[0])
    assert result.exit_code == 2 and "--study must name the study" in result.stderr


@pytest.mark.skipif(os.name == "nt", reason="no SIGINT for a child process")
def test_interrupted_tune_says_how_to_go_on(folder: Path, run: Run) -> None:
    path = folder / "interrupted.toml"
    path.write_text(STUDY.format(trials=200, storage=folder / "interrupted.db"), encoding="utf-8")
    child = subprocess.Popen(
        [sys.executable, "-c", MAIN, "tune", str(path)],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        preexec_fn=heed_interrupts,
    )
    assert child.stderr is not None
    for line in child.stderr:
        if line.startswith("trial 0"):
            child.send_signal(signal.SIGINT)
            break
    rest = child.stderr.read()
    assert child.wait(60) == 130
    assert f"go on with: frdiff-tune tune {path}" in rest and "Traceback" not in rest
    assert json.loads(run("front", path, "--json").stdout)["measured"] >= 1
