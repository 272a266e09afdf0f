"""``tune`` while it runs: in a terminal of 80 columns, in a pipe, and quiet."""

import re
import sys
from pathlib import Path

import pytest
from typer.testing import Result

from frdiff_tune.measure.conditions import Reading
from frdiff_tune.measure.nvml import GpuReading
from frdiff_tune.report.device_state import state_line
from frdiff_tune.report.watch import Watch
from frdiff_tune.search import Preparing
from tests.cli.child import MAIN
from tests.cli.conftest import STUDY, TRIALS, Run
from tests.cli.terminal import COLUMNS, lines, run_in_terminal
from tests.databases import copied


@pytest.fixture
def again(tuned: Result, folder: Path, tmp_path: Path) -> Path:
    """The folder of a copy of the tuned study, to go on with."""
    assert tuned.exit_code == 0, tuned.output
    copied(folder / "study.db", tmp_path / "study.db")
    (tmp_path / "tiny.toml").write_text(STUDY.format(trials=TRIALS, storage=tmp_path / "study.db"), encoding="utf-8")
    return tmp_path


def test_a_terminal_shows_progress_front_trials_and_device_and_nothing_is_too_wide(again: Path) -> None:
    command = [sys.executable, "-c", MAIN, "tune", "tiny.toml", "--trials", str(TRIALS + 1)]
    code, written = run_in_terminal(command, again)
    assert code == 0, written
    shown = lines(written)
    assert max(map(len, shown)) <= COLUMNS
    text = "\n".join(shown)
    assert re.search(rf"searching: [{TRIALS}-{TRIALS + 1}] of {TRIALS + 1} trials, .* gone", text)
    parts = "front so far", "last trials", "CPU, ", "trial  latency ms  speed-up", "Next:", "frdiff-tune report tiny.toml"
    for part in parts:
        assert part in text, part
    assert re.search(rf"^trial {TRIALS}: .*(ms|stopped|infeasible)", text, re.MULTILINE), "what became of the last trials"
    words = {"held-out", "policies", "reference", "frdiff-tune", "measured"}
    cut = [line for line in shown if any(line.rstrip().endswith(word[:-1]) for word in words)]
    assert cut == [], "words are not broken"


def test_a_pipe_gets_plain_lines_and_quiet_only_the_summary(tuned: Result, again: Path, run: Run) -> None:
    assert "trial 0: " in tuned.stderr and "expects" in tuned.stderr
    silent = run("tune", again / "tiny.toml", "--trials", TRIALS, "--quiet")
    assert (silent.exit_code, silent.stderr) == (0, "") and f"{TRIALS} policies measured" in silent.stdout
    for said in (tuned.stdout, tuned.stderr, silent.stdout):
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", said), "no control codes"


def test_a_budget_of_time_is_counted_from_the_first_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("frdiff_tune.report.watch.monotonic", lambda: now[0])
    watch = Watch(total=40, minutes=8)
    now[0] = 600.0
    watch.take(Preparing(35, 35))
    assert watch.done == 0.0 and watch.left_s is None
    now[0] += 240.0
    assert watch.done == 0.5


def test_the_device_s_state_in_words() -> None:
    gpu = GpuReading(1755.0, 2619.0, 54.0, 412.4, ("power_cap",), None, None, 0.25, 0)
    before, now = Reading(0.0, 10.0, 5.0, None), Reading(2.0, 13.0, 6.0, gpu)
    held = "1,755 MHz, 54 °C, 412 W, at its power limit, other processes take 25% of it"
    assert state_line("NVIDIA H200", before, now) == f"NVIDIA H200, {held}, other processes keep 1.0 cores busy"
    assert state_line("CPU, 2 cores", before, Reading(2.0, 12.0, 7.0, None)) == "CPU, 2 cores"
    assert state_line("CPU, 2 cores", Reading(0.0, None, 5.0, None), now._replace(gpu=None)) == "CPU, 2 cores"
