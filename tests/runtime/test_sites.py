"""Sites of every supported architecture."""

from collections import Counter
from typing import Any

import pytest

from frdiff_tune import discover_sites
from frdiff_tune.errors import MismatchError
from frdiff_tune.runtime import default_groups, find_denoiser, match_groups
from tests.tiny import tiny_dit, tiny_pixart, tiny_sd, tiny_sdxl

EXPECTED = {
    tiny_sd: {
        "conv": 8,
        "attention": 4,
        "self_attention": 4,
        "cross_attention": 4,
        "feed_forward": 4,
        "deep": 3,
        "shallow": 2,
        "guidance": 1,
    },
    tiny_sdxl: {
        "conv": 8,
        "attention": 4,
        "self_attention": 8,
        "cross_attention": 8,
        "feed_forward": 8,
        "deep": 3,
        "shallow": 2,
        "guidance": 1,
    },
    tiny_dit: {"attention": 3, "feed_forward": 3, "block": 3, "guidance": 1},
    tiny_pixart: {"attention": 3, "cross_attention": 3, "feed_forward": 3, "block": 3, "guidance": 1},
}


@pytest.mark.parametrize("make", EXPECTED)
def test_sites_and_groups(make: Any) -> None:
    pipe = make()
    denoiser = find_denoiser(pipe)
    sites = discover_sites(pipe)
    assert Counter(site.group for site in sites) == EXPECTED[make]
    assert len({site.name for site in sites}) == len(sites)
    for site in sites[:-1]:
        component, _, path = site.name.partition(".")
        assert component == denoiser.component
        assert type(denoiser.module.get_submodule(path)).__name__ == site.module_class
    assert set(denoiser.family.paper_groups) <= set(default_groups(pipe))


def test_groups_by_depth() -> None:
    unet, dit = default_groups(tiny_sd()), default_groups(tiny_dit())
    assert sorted(unet["down"] + unet["mid"] + unet["up"]) == sorted(unet["conv"] + unet["attention"])
    assert all(".mid_block." in f"{site}." for site in unet["mid"])
    assert dit["early"] + dit["middle"] + dit["late"] == dit["block"]
    assert [len(dit[name]) for name in ("early", "middle", "late")] == [1, 1, 1]


def test_patterns() -> None:
    found = match_groups(tiny_sd(), {"conv": ["unet.*.resnets.*"], "deep": ["unet.mid_block", "unet.down_blocks.1"]})
    assert len(found["conv"]) == 8
    assert found["deep"] == ("unet.mid_block", "unet.down_blocks.1")


def test_of_sites_inside_each_other_a_pattern_takes_the_outermost() -> None:
    pipe = tiny_sd()
    groups = default_groups(pipe)
    assert match_groups(pipe, {"a": ["unet.*.attentions.*"]})["a"] == groups["attention"]
    assert match_groups(pipe, {"a": ["unet.*.attn2"]})["a"] == groups["cross_attention"]
    assert match_groups(tiny_dit(), {"a": ["transformer.*"]})["a"] == default_groups(tiny_dit())["block"]


def test_unknown_architectures_are_refused_with_what_is_known() -> None:
    pipe = tiny_sd()
    pipe.unet = None
    with pytest.raises(MismatchError, match="must hold one of the denoisers .*UNet2DConditionModel.*StableDiffusionPipeline"):
        discover_sites(pipe)
