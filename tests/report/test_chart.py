"""A policy's tables as text, checked character by character."""

from frdiff_tune.report.chart import ASCII, chart, legend
from tests.report.toy import toy_policy

SITES = {"conv": ("unet.mid_block.resnets.0",)}


def test_chart_shows_keyframes_reuse_lam_and_weights() -> None:
    policy = toy_policy("101001", mixing=(1.0, 0.5, 1.0, 0.0, 0.1, 1.0), groups=SITES, masks={"conv": "100001"})
    assert list(chart(policy, glyphs=ASCII)) == [
        "step       0",
        "keyframes  #.#..#",
        "conv       #.. .#",
        "lam        #6# 2#",
        "weights    010110",
    ]


def test_full_policy_needs_only_its_keyframes() -> None:
    assert list(chart(toy_policy("1" * 12))) == ["step       0         10", "keyframes  " + "█" * 12]


def test_long_runs_wrap_into_blocks_within_the_width() -> None:
    lines = list(chart(toy_policy("1" + "0" * 49, mixing=(1.0,) + (0.0,) * 49), width=40))
    assert max(map(len, lines)) <= 40
    assert [line for line in lines if line.startswith("step")] == [
        "step       0         10",
        "step       20        30",
        "step       40",
    ]


def test_legend_explains_the_glyphs_in_use() -> None:
    assert legend(ASCII).startswith("# computed, . reused")
