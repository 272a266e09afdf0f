"""What two policies do differently: in words, and where the figure marks it."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from frdiff_tune.cli import app
from frdiff_tune.report.differing import difference_figure, differences, differing_steps, figures_line, spans
from tests.report.toy import MEASURED, toy_policy

JUMPS = toy_policy("110100", mixing=(1.0, 1.0, 0.0, 1.0, 0.0, 0.0))
REUSE = toy_policy("110100", groups={"deep": ("a", "b"), "conv": ("c",)}, masks={"deep": "110100", "conv": "110101"})


def test_the_same_policy_differs_in_nothing() -> None:
    assert list(differences(JUMPS, JUMPS.replace(measured=MEASURED))) == [] == differing_steps(JUMPS, JUMPS)


def test_keyframes_calls_and_mixing_are_named_by_their_steps() -> None:
    other = toy_policy("101101", mixing=(1.0, 0.5, 1.0, 1.0, 0.0, 1.0))
    assert list(differences(JUMPS, other)) == [
        "Network calls: 3, in B 5, of 6 steps.",
        "Keyframes: 3, in B 4; only in A at step 1, only in B at steps 2, 5.",
        "Mixing weight λ: differs at 3 steps (steps 1 to 2, 5), most at step 2, 0.00 and in B 1.00.",
    ]
    assert differing_steps(JUMPS, other) == [1, 2, 5], "step 4 jumps in both"


def test_groups_and_their_sites_are_compared() -> None:
    masks = {"deep": "110110", "shallow": "100000"}
    other = toy_policy("110100", groups={"deep": ("a",), "shallow": ("d",)}, masks=masks)
    assert list(differences(REUSE, other)) == [
        "Group conv: reused in A only, at steps 2, 4.",
        "Group deep: computed in one of them and not in the other at step 4.",
        "Group deep: holds other sites (b).",
        "Group shallow: reused in B only, at steps 1 to 5.",
    ]


def test_solver_steps_and_forecast_are_compared() -> None:
    other = toy_policy("1101001", "UniPCMultistepScheduler")
    found = list(differences(JUMPS, other))
    assert found[:2] == ["Steps: 6 (walks 6), in B 7 (walks 7).", "Solver: DDIM, in B UniPC."]
    weights = ((), (), (1.5, -0.5), (), (1.0,), (1.5, -0.5))
    forecast = JUMPS.replace(forecast={"score": weights}, variable="epsilon")
    assert list(differences(JUMPS, forecast)) == [
        "Scores are kept as output, in B as epsilon.",
        "Scores of keyframes: held, in B forecast.",
    ]


@pytest.mark.parametrize(("steps", "words"), [([3], "step 3"), ([3, 5, 6, 7], "steps 3, 5 to 7"), ([0, 1], "steps 0 to 1")])
def test_steps_in_words(steps: list[int], words: str) -> None:
    assert spans(steps) == words


def test_what_the_files_state_stands_beside() -> None:
    assert figures_line("A", None) == "A: not measured."
    assert figures_line("B", MEASURED) == "B: 2.50x (95 %: 2.40 to 2.60), LPIPS 0.0036 (0.002 to 0.0061), 32 pictures."


def test_the_figure_marks_steps_that_differ() -> None:
    first, second = difference_figure(JUMPS, REUSE, "toy").axes
    marks = {str(line.get_label()): np.asarray(line.get_xdata()).tolist() for line in second.lines}
    assert marks == {"keyframe": [0, 1, 3], "differs": [2, 4, 5]}
    assert first.get_title(loc="left") == "A: 3 network calls in 6 steps"
    assert [label.get_text() for label in second.get_yticklabels()] == ["conv", "deep", "all other parts"]
    long = difference_figure(JUMPS, toy_policy("1101001"), "toy").axes[1]
    assert [len(np.asarray(line.get_xdata())) for line in long.lines] == [4, 0], "other lengths have no common steps"


def test_diff_says_it_and_draws_it(tmp_path: Path) -> None:
    JUMPS.save(tmp_path / "a.json")
    REUSE.replace(measured=MEASURED).save(tmp_path / "b.json")
    arguments = ["diff", str(tmp_path / "a.json"), str(tmp_path / "b.json")]
    said = CliRunner().invoke(app, [*arguments, "--figure", str(tmp_path / "diff.svg")])
    assert said.exit_code == 0, said.output
    assert "- Network calls: 3, in B 6, of 6 steps." in said.stdout and "B: 2.50x" in said.stdout
    assert (tmp_path / "diff.svg").read_text(encoding="utf-8").startswith("<?xml")
    found = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)
    assert found["same"] is False and found["steps"] == [2, 4, 5]
    same = CliRunner().invoke(app, [*arguments[:2], arguments[1]])
    assert "They draw the same pictures." in same.stdout
