import pytest

from frdiff_tune.errors import MeasureError
from frdiff_tune.measure import Figure, Interval, figure_names, figures
from frdiff_tune.measure.metrics import PAIRED, Lpips


@pytest.mark.parametrize("name", figure_names())
def test_every_name_reads_back(name: str) -> None:
    assert str(Figure.parse(name)) == name


def test_short_names() -> None:
    assert Figure.parse("lpips") == Figure("lpips", "mean")
    assert Figure.parse("flips") == Figure("lpips", "flips")
    assert {"lpips", "lpips_median", "lpips_p90", "flips"} <= set(figure_names())


@pytest.mark.parametrize("name", ["lpip", "lpips_", "latency_ms", ""])
def test_unknown_names(name: str) -> None:
    with pytest.raises(MeasureError, match="must be one of lpips, "):
        Figure.parse(name)


def test_figures_by_hand() -> None:
    found = figures({"lpips": [0.0, 0.01, 0.02, 0.07, 0.1]})
    values = {name: figure.value for name, figure in found.items()}
    expected = {"lpips": 0.04, "lpips_median": 0.02, "lpips_p90": 0.088, "flips": 0.4}
    assert values == pytest.approx(expected)
    assert all(figure.low < figure.value < figure.high for name, figure in found.items() if name != "lpips_p90")


def test_where_higher_is_better_the_tail_is_the_low_one(monkeypatch: pytest.MonkeyPatch) -> None:
    class Likeness(Lpips):
        name = "likeness"
        unit = "dB"
        better = "higher"
        flip = 15.0

    monkeypatch.setitem(PAIRED, "likeness", Likeness)
    values = [10.0, 20.0, 30.0, 40.0, 50.0]
    found = figures({"likeness": values})
    assert found["likeness_p90"].value == pytest.approx(14.0)
    assert found["likeness_flips"].value == pytest.approx(0.2)
    assert Figure("likeness", "p90").better == "higher" and Figure("likeness", "flips").better == "lower"
    mirrored = figures({"lpips": [-value for value in values]})["lpips"]
    assert found["likeness"] == Interval(-mirrored.value, -mirrored.high, -mirrored.low)
