"""Intervals of groups: this group every 2, that one every 5; written, found again, and foreseen."""

from typing import Any

import numpy as np
import pytest

from frdiff_tune.search import Space, load_space
from frdiff_tune.search.designed import designed
from frdiff_tune.search.foresight import ErrorSources, outline_of
from frdiff_tune.search.intervals import computing
from frdiff_tune.search.samplers.candidates import Candidates
from frdiff_tune.search.starting import base_point
from tests.tiny import tiny_dit

STEPS = 12


@pytest.fixture(scope="module")
def space() -> Space:
    file = load_space("dit")
    keyframes = file.keyframes.model_copy(update={"every": (0, 2, 5), "count": (1, 12)})
    forecast = file.forecast.model_copy(update={"fit": (0.0, 0.0)})
    groups = {name: file.groups[name] for name in ("attention", "feed_forward")}
    return Space(file.model_copy(update={"keyframes": keyframes, "forecast": forecast, "groups": groups}), tiny_dit(), STEPS)


def test_by_hand() -> None:
    assert computing((0, 7), 12, 0) == (0, 7)
    assert computing((0, 7), 12, 2) == (0, 2, 4, 6, 7, 9, 11)
    assert computing((0, 7), 12, 5) == (0, 5, 7)
    assert computing((0,), 12, 1) == tuple(range(12))


def one_keyframe(space: Space, **changes: Any) -> dict[str, Any]:
    """Returns a run that computes the network at every step, and its groups as they like."""
    params = space.with_keyframes(dict(base_point(space).params), [0])
    return {**params, "mixing": "none", **changes}


def test_each_group_has_its_own(space: Space) -> None:
    first, second = space.file.groups
    params = one_keyframe(space, **{f"group.{first}": True, f"group.{second}": True, f"every.{first}": 2, f"every.{second}": 5})
    policy = space.decode(params)
    assert policy.masks == {first: "101010101010", second: "100001000010"}
    assert policy.nfe == STEPS and policy.keyframes.count("1") == 1
    again = space.encode(policy)
    assert again is not None and (again[f"every.{first}"], again[f"every.{second}"]) == (2, 5)
    assert space.decode(again).digest == policy.digest
    outline = outline_of(space, params)
    assert (outline.reused(first), outline.reused(second)) == (6, 9)
    errors = ErrorSources(space)
    seen = dict(zip(errors.names, errors(outline).sources, strict=True))
    assert seen[f"group {first}"] < seen[f"group {second}"], "it computes more often"


def test_vectors_are_policies_that_encode_back(space: Space) -> None:
    candidates = Candidates(space, np.random.default_rng(0))
    some = 0
    for params in list(candidates([]))[:30]:
        policy = space.decode(params)
        again = space.encode(policy)
        assert again is not None and space.decode(again).digest == policy.digest
        some += any(mask != policy.keyframes for mask in policy.masks.values())
        outline = outline_of(space, params)
        for name, mask in policy.masks.items():
            assert outline.reused(name) == policy.nfe - mask.count("1")
    assert some > 0


def test_a_mask_of_no_interval_is_not_encoded(space: Space) -> None:
    first, second = space.file.groups
    policy = space.decode(one_keyframe(space, **{f"group.{first}": True, f"every.{first}": 5}))
    assert space.encode(policy.replace(masks={first: "110000000000"})) is None


def test_studies_from_before_have_no_such_parameter() -> None:
    file = load_space("dit")
    assert not any(name.startswith("every.") for name in Space(file, tiny_dit(), STEPS).distributions)
    assert len(list(designed(Space(file, tiny_dit(), STEPS), 5))) == 5
