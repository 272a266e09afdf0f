"""Recordings on disk: made once per content, the same numbers for everyone."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from frdiff_tune.errors import MeasureError
from frdiff_tune.measure import Case, recording, render
from frdiff_tune.runtime import Recording, default_groups, record
from tests.measure.test_references import Counted
from tests.tiny import tiny_sd

CASES = (Case({"prompt": "a fox"}, 0), Case({"prompt": "an owl"}, 1), Case({"prompt": "a bee"}, 2))


def test_made_once_per_content(tmp_path: Path) -> None:
    pipe: Any = tiny_sd()
    groups, counted = default_groups(pipe), Counted(pipe)

    def made(cases: tuple[Case, ...] = CASES, groups: Any = groups, steps: int = 4, **call: Any) -> Recording:
        return recording(pipe, cases, groups, steps=steps, call=call, batch=2, folder=tmp_path)

    first = made()
    assert counted.since() == 8, "two calls of four steps"
    again = made(groups=dict(reversed(groups.items())))
    assert counted.since() == 0
    assert again.times == first.times
    assert all(np.array_equal(again.grams[name], gram) for name, gram in first.grams.items())
    for other in ({"steps": 5}, {"cases": CASES[:2]}, {"guidance_scale": 3.0}, {"groups": {"conv": groups["conv"]}}):
        made(**other)
        assert counted.since() > 0, other
    assert len(list(tmp_path.glob("recordings/*/*/lock"))) == 5

    with record(pipe, 4, groups) as records:
        for part in (CASES[:2], CASES[2:]):
            render(lambda **given: pipe(num_inference_steps=4, **given), part, {})
    assert all(np.array_equal(records.recording.grams[name], gram) for name, gram in first.grams.items())


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MeasureError, match="must be a folder that can be written"):
        recording(tiny_sd(), CASES, {}, steps=2, call={}, batch=1, folder=tmp_path / "file")
