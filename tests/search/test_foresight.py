"""Foresight: outlines beside policies, foreseen errors beside those of the tables, models beside what made the data."""

from copy import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from frdiff_tune.policy.forecast import lagrange_weights
from frdiff_tune.runtime import Trajectory
from frdiff_tune.search import Space, load_space
from frdiff_tune.search.designed import designed
from frdiff_tune.search.dynamic import best_sets, segment_costs
from frdiff_tune.search.foresight import (
    EARLY,
    ErrorSources,
    Foreseen,
    LatencyModel,
    Outline,
    QualityModel,
    expected_gain,
    outline_of,
)
from frdiff_tune.search.foresight.error_sums import LEAST, Walk
from frdiff_tune.search.foresight.errors_foreseen import _trend, _vectors
from frdiff_tune.search.jump_error import jump_error
from frdiff_tune.search.samplers.candidates import Candidates
from frdiff_tune.search.volume import hypervolume
from tests.search.test_dynamic import LEVELS, T, toy
from tests.tiny import tiny_dit, tiny_sd

STEPS = 50


@pytest.fixture(scope="module")
def space() -> Space:
    return Space(load_space("dit"), tiny_dit("v_prediction"), STEPS)


@pytest.fixture(scope="module")
def followed() -> Space:
    """A space on a run of seven steps whose scores are known."""
    pipe: Any = tiny_sd()
    seen, _ = toy()
    file = load_space("stable-diffusion")
    keyframes = file.keyframes.model_copy(update={"count": (1, T)})
    one = {"scheduler": ("DDIMScheduler",), "spacing": ("trailing",)}
    steps = file.steps.model_copy(update={"num_inference_steps": (T, T), **one})
    forecast = file.forecast.model_copy(update={"fit": (0.0, 0.0), "variable": ("epsilon",)})
    file = file.model_copy(update={"keyframes": keyframes, "steps": steps, "forecast": forecast})
    bare = Space(file, pipe, T)
    label = next(iter(bare.schedulers))
    times = bare.times(bare.full(T, label), label)
    return Space(file, pipe, T, trajectory=Trajectory(times, LEVELS, "epsilon", seen.grams))


def test_policies_of_one_outline_are_one_policy(space: Space) -> None:
    """What an outline leaves out tells no policies apart; drawn small, so that many meet."""
    keyframes = space.file.keyframes.model_copy(update={"encodings": ("uniform",), "interval": (1, 3)})
    steps = space.file.steps.model_copy(update={"num_inference_steps": (49, 50), "scheduler": space.file.steps.scheduler[:1]})
    forecast = space.file.forecast.model_copy(update={"strength": (0.0, 0.5), "strength_grid": 0.5, "fit": (0.0, 0.0)})
    mixing = space.file.mixing.model_copy(update={"slope": (30.0, 30.0), "bias": (0.5, 0.51)})
    update = {"keyframes": keyframes, "steps": steps, "forecast": forecast, "mixing": mixing}
    small = Space(space.file.model_copy(update=update), space.pipe, STEPS)
    rng = np.random.default_rng(0)
    drawn = [Candidates(small, rng)._anywhere() for _ in range(400)]
    outlines = [outline_of(small, params) for params in drawn]
    digests = [small.decode(params).digest for params in drawn]
    first: dict[Outline, str] = {}
    for outline, digest in zip(outlines, digests, strict=True):
        assert first.setdefault(outline, digest) == digest
    assert len(set(outlines)) < 390, "some meet, or nothing is tested"
    assert len(set(outlines)) <= 1.2 * len(set(digests)), "and few policies have more than one"


def test_outlines_say_what_policies_do(space: Space) -> None:
    for params, policy in designed(space, 60):
        outline = outline_of(space, params)
        assert (outline.T, outline.nfe, outline.steps) == (policy.T, policy.nfe, policy.sampling.num_inference_steps)
        assert set(policy.masks) <= set(outline.groups)
        if policy.nfe < policy.T or policy.masks:
            assert list(outline.keyframes) == [t for t, bit in enumerate(policy.keyframes) if bit == "1"]


def test_foreseen_errors_are_those_of_the_policy_s_own_table(followed: Space) -> None:
    errors, seen = ErrorSources(followed), followed.trajectory
    assert seen is not None
    jumped = 0
    for params, policy in designed(followed, 80):
        foreseen = errors(outline_of(followed, params))
        size = [jump_error(policy, seen, seen.times, early) for early in EARLY]
        if min(policy.mixing) < 1:
            jumped += 1
            thirds = 10 ** np.array(foreseen.sources[:3])
            assert np.hypot.reduce(thirds) == pytest.approx(size[1], abs=3 * LEAST)
            total = errors.jump_error(outline_of(followed, params))
            assert total == pytest.approx(np.log10(np.hypot(size[1], LEAST)), abs=1e-6)
        else:
            assert set(foreseen.sources[:4]) == {-np.inf}
    assert jumped > 20


def test_what_groups_keep_errs_as_held_scores_do(followed: Space) -> None:
    """With lam of a half, half of the held score's error is the jump's and half is the group's."""
    label = next(iter(followed.schedulers))
    group = next(iter(followed.groups))
    mixing = tuple(1.0 if t in (0, 3) else 0.5 for t in range(T))
    errors = ErrorSources(followed)
    foreseen = errors(Outline(label, T, (0, 3), mixing, (group,), "epsilon", every=(0,)))
    place = errors.names.index(f"group {group}")
    assert np.hypot.reduce(10 ** np.array(foreseen.sources[:3])) == pytest.approx(10 ** foreseen.sources[place], rel=1e-4)
    others = [i for i, name in enumerate(errors.names) if name.startswith("group ") and i != place]
    assert all(foreseen.sources[i] == -np.inf for i in others)
    jumping = errors(Outline(label, T, (0, 3), tuple(1.0 if t in (0, 3) else 0.0 for t in range(T)), (), "epsilon"))
    assert 10 ** jumping.sources[0] == pytest.approx(2 * 10 ** foreseen.sources[0], rel=1e-4)


def test_errors_of_jumps_lie_in_their_thirds_and_fitted_ones_count_once_more_late(followed: Space) -> None:
    label, errors = next(iter(followed.schedulers)), ErrorSources(followed)

    def sources(missing: int, shares: tuple[float, ...] = ()) -> tuple[float, ...]:
        keyframes = tuple(t for t in range(T) if t != missing)
        mixing = tuple(0.0 if t == missing else 1.0 for t in range(T))
        return errors(Outline(label, T, keyframes, mixing, variable="epsilon", shares=shares)).sources[:4]

    for missing, third in ((1, 0), (4, 1), (T - 1, 2)):
        assert [np.isfinite(each) for each in sources(missing)] == [i == third for i in range(4)]
    late, half = sources(T - 1, (0.0, 0.0, 1.0)), sources(T - 1, (0.5,))
    assert late[3] == late[2] == half[2] and half[3] == pytest.approx(half[2] + np.log10(0.5))
    assert sources(T - 1, (1.0, 1.0, 0.0))[3] == -np.inf


@pytest.mark.parametrize("order", [1, 2])
def test_extrapolation_is_that_of_the_policy(followed: Space, order: int) -> None:
    """The foreseen trend of distinct times is that of the policy's own weights."""
    times, keyframes = tuple(float(x) for x in (900, 850, 700, 640, 500, 410, 300, 200, 90)), (0, 2, 3, 6)
    outline = Outline("own", 9, keyframes, tuple(float(t in keyframes) for t in range(9)), order=order)
    walk = Walk(times, np.eye(9), np.eye(9), np.ones((3, 9)))
    found, wanted = _trend(walk, outline), np.zeros((9, 9))
    for t, row in enumerate(lagrange_weights(times, keyframes, order)):
        kept = [k for k in keyframes if k < t][::-1]
        wanted[t, kept[: len(row)]] += row
        wanted[t, kept[:1]] -= bool(row)
    assert found == pytest.approx(wanted, abs=1e-5)


def test_scores_have_the_products_that_were_recorded(followed: Space) -> None:
    assert followed.trajectory is not None
    gram = followed.trajectory.gram("epsilon").mean(0)
    assert _vectors(gram) @ _vectors(gram).T == pytest.approx(gram, abs=1e-6 * gram.max())


@pytest.mark.parametrize("repeated", [False, True], ids=["", "a time twice"])
def test_a_walk_s_scores_have_the_products_of_its_recording(followed: Space, repeated: bool) -> None:
    space, seen = copy(followed), followed.trajectory
    assert seen is not None
    if repeated:  # as solvers do that call the network twice per step
        seen = replace(seen, times=(*seen.times[:3], seen.times[2], *seen.times[4:]))
    space.trajectory = seen
    errors = ErrorSources(space)
    between = tuple(np.linspace(seen.times[0], seen.times[-1], T - 2).tolist())
    for times in (seen.times, between):
        scores, gram = errors._scores("epsilon", times), seen.gram("epsilon", times).mean(0)
        assert scores @ scores.T == pytest.approx(gram, abs=1e-6 * gram.max())


def test_sets_are_those_of_dynamic_programming(followed: Space) -> None:
    assert followed.trajectory is not None
    errors, label = ErrorSources(followed), next(iter(followed.schedulers))
    for i, early in enumerate(EARLY):
        assert errors.sets(T, label, "epsilon", i) == best_sets(segment_costs(followed.trajectory, "epsilon", early), T)


def test_without_recorded_runs_longer_gaps_are_foreseen_to_err_more(space: Space) -> None:
    label, errors = next(iter(space.schedulers)), ErrorSources(space)
    lam = [tuple(1.0 if t % n == 0 else 0.0 for t in range(STEPS)) for n in (2, 4, 8)]
    found = [errors.jump_error(Outline(label, STEPS, tuple(range(0, STEPS, n)), lam[i])) for i, n in enumerate((2, 4, 8))]
    assert found == sorted(found) and found[0] < found[2] - 0.5


NAMES = ("jump early", "group deep", "steps", "solver UniPC")


def made_up(count: int, seed: int) -> tuple[list[Foreseen], np.ndarray[Any, Any]]:
    """Returns policies, and log10 distances that follow a law that is not the prior's."""
    rng = np.random.default_rng(seed)
    sources = np.where(rng.random((count, 4)) < 0.5, rng.uniform(-2, 0, (count, 4)), -np.inf)
    sources[:, 0] = rng.uniform(-2, -0.5, count)
    parts = 10 ** (np.array([0.6, -1.0, -1.8, -3.0]) + np.array([1.6, 2.3, 1.2, 2.5]) * np.nan_to_num(sources, neginf=-99))
    traits = np.nan_to_num(sources, neginf=-3.0)
    made = [Foreseen(tuple(s), tuple(t)) for s, t in zip(sources, traits, strict=True)]
    return made, np.log10(parts.sum(1) / (1 + parts.sum(1) / 0.5))


def test_the_model_learns_a_law_that_is_not_its_prior() -> None:
    known, losses = made_up(40, 0)
    asked, wanted = made_up(200, 1)
    before, deviation = QualityModel(NAMES, [], [])(asked)
    after, later = QualityModel(NAMES, known, losses.tolist())(asked)
    assert np.sqrt(((after - wanted) ** 2).mean()) < 0.4 * np.sqrt(((before - wanted) ** 2).mean())
    assert later.mean() < deviation.mean()


def test_what_the_sum_leaves_over_is_learnt_from_neighbours() -> None:
    """A trait that no source knows of adds half a decade; near what was measured the model says so, and surely."""
    known, losses = made_up(60, 0)
    shifted = [Foreseen(each.sources, (*each.traits, float(i % 2))) for i, each in enumerate(known)]
    losses = losses + 0.5 * (np.arange(60) % 2)
    model = QualityModel(NAMES, shifted, losses.tolist())
    mean, deviation = model(shifted)
    assert np.abs(mean - losses).mean() < 0.12
    far = [Foreseen(each.sources, tuple(10 + x for x in each.traits)) for each in shifted]
    assert deviation.mean() < 0.6 * model(far)[1].mean()


def test_latency_is_learnt() -> None:
    rng = np.random.default_rng(0)

    def drawn() -> Outline:
        mixing = tuple(1.0 if t == 0 or rng.random() < 0.6 else 0.0 for t in range(int(rng.integers(10, 51))))
        keyframes = tuple(t for t, lam in enumerate(mixing) if lam and (t == 0 or rng.random() < 0.5))
        groups = ("deep",) if rng.random() < 0.5 else ()
        solver = "UniPC" if rng.random() < 0.5 else "own"
        return Outline(solver, len(mixing), keyframes, mixing, groups, every=(0,) * len(groups))

    def law(outline: Outline) -> float:
        reused = (outline.nfe - len(outline.keyframes)) * bool(outline.groups)
        slower = 0.03 * outline.T * (outline.scheduler == "UniPC")
        return (5 + 0.2 * outline.T + slower + 1.7 * outline.nfe - 0.6 * reused) / 100

    known, asked = [drawn() for _ in range(30)], [drawn() for _ in range(100)]
    model = LatencyModel(("deep",), ("UniPC",), 50, known, [law(each) for each in known])
    errors = model(asked)[0] / [law(each) for each in asked] - 1
    assert np.abs(errors).max() < 0.03
    blank = LatencyModel(("deep",), ("UniPC",), 50, [], [])
    whole = Outline("own", 50, tuple(range(50)), (1.0,) * 50)
    assert blank([whole])[0][0] == pytest.approx(1.0, abs=0.05)
    assert model([whole])[1][0] < blank([asked[0]])[1][0]


def test_the_gain_is_the_mean_growth_of_the_hypervolume() -> None:
    rng = np.random.default_rng(0)
    front = [(0.02, 0.3), (0.004, 0.55), (0.001, 0.8), (0.03, 0.9)]
    latency = np.array([0.2, 0.4, 0.6, 1.2])
    mean, deviation = np.array([-1.6, -2.5, -2.2, -4.0]), np.array([0.1, 0.4, 0.8, 0.3])
    corner = (0.05, 1.0)
    found = expected_gain([(np.log10(d), t) for d, t in front], latency, mean, deviation, (np.log10(corner[0]), corner[1]))
    before = hypervolume(front, corner)
    for i in range(4):
        draws = 10 ** np.maximum(rng.normal(mean[i], deviation[i], 4000), -5.0)
        grown = [hypervolume([*front, (d, latency[i])], corner) - before for d in draws]
        assert found[i] == pytest.approx(np.mean(grown), abs=4 * np.std(grown) / np.sqrt(4000) + 1e-9)
    assert found[3] == 0.0, "slower than the corner"


def test_candidates_lie_in_the_space(space: Space) -> None:
    candidates = Candidates(space, np.random.default_rng(0))
    first = list(candidates([]))
    later = [*candidates(first[:6]), *candidates.near(first[:6], 10)]
    for params in (*first, *later):
        assert params.keys() == space.distributions.keys() and space.holds(params)
    assert len({outline_of(space, params) for params in later}) > 40
