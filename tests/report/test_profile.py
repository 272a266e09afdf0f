"""A profile as a table, as sentences and as heat maps; the figure was looked at, too."""

import numpy as np
import pytest
from rich.console import Console

from frdiff_tune.errors import MeasureError
from frdiff_tune.report.profile import profile_json, profile_table, profile_words
from frdiff_tune.report.profile_figure import profile_figure
from frdiff_tune.runtime import Site
from tests.measure.toy_profile import toy_profile


def test_table_by_hand() -> None:
    """Most first; attention changes by 50, 25 and 12.5 % from step to step."""
    console = Console(width=160)
    with console.capture() as captured:
        console.print(profile_table(toy_profile()))
    lines = captured.get().splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["block", "guidance", "feed_forward", "attention"]
    assert lines[-1].split() == ["attention", "20.00", "19.99", "to", "20.01", "20%", "20%", "1.00", "25.0%"]
    assert lines[1].split() == ["block", "60.00", "59.99", "to", "60.01", "60%", "60%", "1.00"]


def test_sentences_by_hand() -> None:
    words = " ".join(profile_words(toy_profile()))
    assert "A full step takes 98.0 ms (95 % interval 98.0 to 98.0) and 1.00 GFLOP" in words
    assert "a call of 4 steps about 442 ms and 5 GFLOP" in words
    assert "DDIMScheduler 2.00, EulerDiscreteScheduler 5.00" in words
    assert "mean over 2 cases" in words
    assert "cases" not in " ".join(profile_words(toy_profile(similarity=None)))


def test_json_holds_the_file() -> None:
    site = Site("net.b.0.attn", "attention", "output", "Attention")
    found = profile_json([site], toy_profile())
    assert found["sites"] == [{"name": "net.b.0.attn", "group": "attention", "kind": "output", "module_class": "Attention"}]
    assert found["profile"]["groups"]["attention"]["saved_share"]["value"] == 0.2
    assert profile_json([site], None)["profile"] is None


def test_heat_maps_show_every_pair_of_steps() -> None:
    figure = profile_figure(toy_profile(), "toy")
    top, panel = figure.get_axes()[0], next(axes for axes in figure.get_axes() if axes.get_title() == "attention")
    assert np.asarray(top.collections[0].get_array()).ravel().tolist() == [0.5, 0.25, 0.125]
    assert [label.get_text() for label in top.get_yticklabels()] == ["attention"]
    table = panel.images[0].get_array()
    assert table is not None
    drawn = np.ma.filled(table, np.nan)
    assert drawn[2].tolist()[:2] == [0.6, 0.25] and np.isnan(drawn[0]).all() and np.isnan(drawn[2, 2])
    texts = [text.get_text() for sub in (figure, *figure.subfigs) for text in sub.texts]
    assert any("toy" in text and "4 steps, DDIMScheduler, 2 cases" in text for text in texts)
    assert "relative change" in next(axes for axes in figure.get_axes() if axes.get_label() == "<colorbar>").get_ylabel()


def test_without_changes_there_is_no_figure() -> None:
    with pytest.raises(MeasureError, match="must be recorded for a figure"):
        profile_figure(toy_profile(similarity=None), "toy")
