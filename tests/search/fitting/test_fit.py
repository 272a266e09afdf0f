"""Fits on the policy's own states: reuse, lockstep, what is refused, and what is left on the pipeline."""

import warnings
from typing import Any

import numpy as np
import pytest
import torch

from frdiff_tune.errors import FrdiffError, MeasureError, MismatchError, PolicyError
from frdiff_tune.measure import Case, blocks, references
from frdiff_tune.measure.bench import Bench
from frdiff_tune.policy import Policy
from frdiff_tune.policy.multistep import Tables
from frdiff_tune.runtime import apply_policy, default_groups, full_policy
from frdiff_tune.search.fitting import CaseFit, FitOptions, PrefixCache, drain, fit_steps, lockstep, walk_steps
from frdiff_tune.search.fitting.reference_states import StatesRecorder
from tests.pipelines import ROWS
from tests.search.fitting.tiny_fit import REFERENCE_STEPS, calls_of, recorded, start
from tests.tiny import tiny_sd

SD = ROWS["SD text to image"]
GRID = [0, 2, 5, 7]
OPTIONS = FitOptions(memory=3)


@pytest.fixture(scope="module")
def bench() -> Any:
    with Bench(SD.make()) as opened:
        yield opened


@pytest.fixture(scope="module")
def states(bench: Bench) -> Any:
    return recorded(bench, calls_of(SD))


def test_the_reference_itself_is_reached_by_all_its_steps(bench: Bench, states: Any) -> None:
    whole = start(SD, bench.pipe, states, range(REFERENCE_STEPS))
    assert drain(walk_steps(bench, whole, calls_of(SD), states)).latent_error < 1e-5
    assert drain(fit_steps(bench, whole, calls_of(SD), states, OPTIONS)).latent_error < 1e-3


def test_each_call_sees_its_own_features_in_lockstep(bench: Bench, states: Any) -> None:
    """Calls that wait in the middle of a run must neither lose what they stored nor be given another's."""
    groups = {"deep": default_groups(bench.pipe)["deep"]}
    policy = start(SD, bench.pipe, states, GRID, groups=groups, masks={"deep": "1010"})
    together = drain(walk_steps(bench, policy, calls_of(SD), states)).errors
    alone: list[float] = []
    for i, call in enumerate(calls_of(SD)):
        own = states.select(range(2 * i, 2 * i + 2))
        alone += drain(walk_steps(bench, policy, [call], own)).errors
    assert together == pytest.approx(alone, rel=1e-5)
    plain = start(SD, bench.pipe, states, GRID)
    assert together != pytest.approx(drain(walk_steps(bench, plain, calls_of(SD), states)).errors, rel=1e-3), "it does reuse"


def test_a_reuse_step_gets_the_weight_that_it_deserves(bench: Bench, states: Any) -> None:
    groups = {"deep": default_groups(bench.pipe)["deep"]}
    policy = start(SD, bench.pipe, states, range(REFERENCE_STEPS), groups=groups, masks={"deep": "10101010"})
    known = drain(walk_steps(bench, policy, calls_of(SD), states))
    fitted = drain(fit_steps(bench, policy, calls_of(SD), states, OPTIONS))
    assert fitted.latent_error < 0.95 * known.latent_error


def test_the_same_fit_gives_the_same_tables(bench: Bench, states: Any) -> None:
    policy = start(SD, bench.pipe, states, GRID)
    first, second = (drain(fit_steps(bench, policy, calls_of(SD), states, OPTIONS)).policy for _ in range(2))
    assert first.digest == second.digest


def test_steps_that_an_earlier_fit_has_solved_are_not_walked_again(bench: Bench, states: Any) -> None:
    cache, calls = PrefixCache(), calls_of(SD)
    for grid in (GRID, [0, 2, 4, 7]):
        policy = start(SD, bench.pipe, states, grid)
        plain = drain(fit_steps(bench, policy, calls, states, OPTIONS))
        cached = drain(fit_steps(bench, policy, calls, states, OPTIONS, cache))
        assert cached.policy == plain.policy
        assert (cached.errors, cached.residuals) == (plain.errors, plain.residuals)
    assert plain.network_calls == 4 * len(states)
    assert cached.network_calls == 3 * len(states), "the first step, from 0 to 2, is known"


def test_cached_steps_take_no_more_than_their_share(bench: Bench, states: Any) -> None:
    cache, calls = PrefixCache(max_bytes=1), calls_of(SD)
    drain(fit_steps(bench, start(SD, bench.pipe, states, GRID), calls, states, OPTIONS, cache))
    assert len(cache.steps(GRID)) == 0, "one step is kept at least, but not the first"


def test_calls_of_other_guidance_do_not_read_each_others(bench: Bench) -> None:
    """A pipeline notes its guidance on itself: a call that goes on must see its own."""
    calls = calls_of(SD, 3)

    def strong(run: Any) -> Any:
        arguments = {**SD.call(7, 2, 1), "guidance_scale": 9.0}
        return run(**arguments, generator=torch.Generator().manual_seed(7), return_dict=False)

    mixed = [strong, *calls]
    states = recorded(bench, mixed)
    policy = start(SD, bench.pipe, states, GRID)
    together = drain(walk_steps(bench, policy, mixed, states)).errors
    alone = drain(walk_steps(bench, policy, [strong], states.select([0, 1]))).errors
    assert together[:2] == pytest.approx(alone, rel=1e-5)


def test_entries_that_an_inpainting_writes_over_are_left_out() -> None:
    row = ROWS["SDXL inpaint"]
    with Bench(row.make()) as bench:
        states = recorded(bench, calls_of(row))
        assert 0.2 < states.free.mean() < 0.8, "the mask covers half of the picture"
        assert not states.states[:, states.free == 0].any()


@pytest.mark.parametrize("stop", [1, 3])
def test_a_fit_that_is_stopped_leaves_the_pipeline_as_it_was(stop: int) -> None:
    pipe = SD.make()
    plain, scheduler = SD.render(pipe), pipe.scheduler
    with Bench(pipe) as bench:
        states = recorded(bench, calls_of(SD))
        steps = fit_steps(bench, start(SD, pipe, states, GRID), calls_of(SD), states, OPTIONS)
        for _ in range(stop):
            next(steps)
        steps.close()
        assert bench.applied.step is None and bench.applied.stored_bytes == 0
    assert pipe.scheduler is scheduler
    assert torch.equal(SD.render(pipe), plain)


def test_an_error_in_one_call_ends_the_fit(bench: Bench, states: Any) -> None:
    def broken(run: Any) -> Any:
        raise RuntimeError("no such prompt")

    policy = start(SD, bench.pipe, states, GRID)
    with pytest.raises(RuntimeError, match="no such prompt"):
        drain(fit_steps(bench, policy, [*calls_of(SD)[:-1], broken], states, OPTIONS))
    assert drain(fit_steps(bench, policy, calls_of(SD), states, OPTIONS)).errors, "and nothing is left of it"


def test_a_call_that_ends_early_is_refused(bench: Bench, states: Any) -> None:
    with pytest.raises(MeasureError, match="`calls` must walk every step"):
        next(lockstep(bench, start(SD, bench.pipe, states, GRID), [lambda run: None]))


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([0, 2, 2, 7], "`steps` must increase but 2 follows 2"),
        ([0, 5, 2], "`steps` must increase but 2 follows 5"),
        ([1, 2], "`steps` must begin at 0"),
        ([], "`steps` must begin at 0"),
        ([0, 8], r"`steps` must lie in \[0, 8\)"),
    ],
)
def test_grids_that_do_not_increase_from_0_are_refused(bench: Bench, states: Any, steps: list[int], message: str) -> None:
    with pytest.raises(PolicyError, match=message):
        start(SD, bench.pipe, states, steps)


def test_what_cannot_be_fitted_is_refused(bench: Bench, states: Any) -> None:
    policy, calls = start(SD, bench.pipe, states, GRID), calls_of(SD)
    with pytest.raises(MeasureError, match="`cases` must be more than the 4 weights of a step but got 2"):
        next(fit_steps(bench, policy, calls[:1], states.select([0, 1]), OPTIONS))
    with pytest.raises(MeasureError, match="`calls` must be those recorded, 10 cases, but have 8"):
        next(fit_steps(bench, policy, calls[:-1], states, OPTIONS))
    with pytest.raises(PolicyError, match="must walk a LinearMultistepScheduler on the reference's grid"):
        next(fit_steps(bench, full_policy(bench.pipe, 4), calls, states, OPTIONS))
    other = recorded(bench, calls, 6)
    with pytest.raises(PolicyError, match="must walk a part of the recorded reference, 6 steps"):
        next(fit_steps(bench, policy, calls, other, OPTIONS))


def test_noise_and_nan_are_refused(bench: Bench) -> None:
    def with_noise(run: Any) -> Any:
        return run(**SD.call(0, 2, 1), eta=0.5, generator=torch.Generator().manual_seed(0))

    def with_nan(run: Any) -> Any:
        return run(**{**SD.call(0, 2, 1), "latents": torch.full((2, 4, 8, 8), float("nan"))})

    with pytest.raises(MismatchError, match="`eta` must be 0 where weights are fitted but got 0.5"):
        recorded(bench, [with_noise])
    with pytest.raises(MeasureError, match="`cases` must have finite states but case 0 of call 1"):
        recorded(bench, [calls_of(SD)[0], with_nan])


def test_calls_of_different_walks_are_refused() -> None:
    row = ROWS["SD img2img"]

    def weak(run: Any) -> Any:
        return run(**{**row.call(0, 2, 1), "strength": 0.4}, generator=torch.Generator().manual_seed(0))

    with Bench(row.make()) as bench, pytest.raises(MismatchError, match="`cases` must all walk the same times"):
        recorded(bench, [calls_of(row)[0], weak])


def assert_far_calls_are_warned_of(pipe: Any, policy: Policy, shape: tuple[int, ...]) -> None:
    def messages(**changes: Any) -> list[str]:
        call = {"prompt": "a fox", "guidance_scale": 5.0, "height": 32, "width": 32, "output_type": "latent", **changes}
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            applied(**call)
        return [str(each.message) for each in caught]

    with apply_policy(pipe, policy) as applied:
        assert messages() == messages(guidance_scale=2.5) == messages(guidance_scale=6.25) == []
        assert messages(num_images_per_prompt=2) == [], "weights hold per image"
        (guidance,) = messages(guidance_scale=6.5)
        assert "should lie in [2.5, 6.25]" in guidance and "the call has 6.5" in guidance
        (size,) = messages(guidance_scale=6.5, height=64)
        assert f"should have shape {shape}" in size and "Tune a policy at this size" in size
        assert messages(guidance_scale=1.0, height=64) == [], "each kind once"


def test_cases_are_recorded_once_and_the_policy_states_what_it_was_fitted_on(tmp_path: Any, monkeypatch: Any) -> None:
    pipe = tiny_sd()
    cases = [Case({"prompt": "a fox"}, seed=seed) for seed in range(9)]
    call = {"guidance_scale": 5.0, "height": 32, "width": 32}

    def opened(bench: Bench) -> CaseFit:
        return CaseFit(bench, cases, steps=8, call=call, folder=tmp_path, batch=4, options=OPTIONS)

    with Bench(pipe) as bench:
        fit = opened(bench)
        result = fit.fit(fit.policy(GRID))
        part = fit.fit(fit.policy(GRID), cases=8)
        monkeypatch.setattr(StatesRecorder, "run", None)  # a second recording would call it
        again = opened(bench)
        assert again.fit(again.policy(GRID)).policy == result.policy
    record = result.policy.fit
    assert record is not None and part.policy.fit is not None and record.sample_shape is not None
    assert_far_calls_are_warned_of(pipe, result.policy, record.sample_shape)
    assert (record.count, record.seeds, record.guidance_scale) == (9, tuple(range(9)), 5.0)
    assert (record.num_inference_steps, record.memory, len(record.residuals)) == (8, 3, 4)
    assert record.latent_error == result.latent_error
    assert part.policy.fit.count == 8, "whole calls of the first cases"
    path = tmp_path / "policy.json"
    result.policy.save(path)
    assert Policy.load(path) == result.policy


def test_states_are_recorded_while_the_reference_is_drawn(tmp_path: Any, monkeypatch: Any) -> None:
    pipe = tiny_sd()
    cases = [Case({"prompt": "a fox"}, seed=seed) for seed in range(6)]
    call = {"guidance_scale": 5.0, "height": 32, "width": 32}
    with Bench(pipe) as bench:
        alone, beside = (CaseFit(bench, cases, steps=8, call=call, folder=tmp_path / n, batch=4) for n in ("one", "other"))
        expected = alone.states
        monkeypatch.setattr(StatesRecorder, "run", None)  # whatever is not recorded beside the pictures would call it
        list(references(bench, [cases[:2], *blocks(cases, 4)], 8, call, tmp_path / "other", beside.watch))
        recorded = beside.states
    assert np.array_equal(recorded.states, expected.states)
    assert recorded.walk == expected.walk


def test_neighbours_are_told_apart_on_the_first_cases(tmp_path: Any, monkeypatch: Any) -> None:
    cases = [Case({"prompt": "a fox"}, seed=seed) for seed in range(20)]
    call = {"guidance_scale": 5.0, "height": 32, "width": 32}
    with Bench(tiny_sd()) as bench:
        fit = CaseFit(bench, cases, steps=8, call=call, folder=tmp_path, batch=8)
        policy = fit.policy(GRID)
        error = fit.quick_error(policy)
        assert error == pytest.approx(fit.fit(policy, 16).latent_error)
        assert error != pytest.approx(fit.fit(policy).latent_error), "20 cases have another mean"
        monkeypatch.setattr(CaseFit, "steps_of", None)  # another fit would call it
        assert fit.quick_error(policy) == error, "it lies on the disk"


def test_memory_counts_full_steps(tmp_path: Any) -> None:
    pipe = tiny_sd()
    cases = [Case({"prompt": "a fox"}, seed=seed) for seed in range(6)]
    call = {"guidance_scale": 5.0, "height": 32, "width": 32}
    with Bench(pipe) as bench:
        fit = CaseFit(bench, cases, steps=8, call=call, folder=tmp_path, batch=6, options=FitOptions(memory=2))
        groups = {"deep": default_groups(pipe)["deep"]}
        plain = fit.policy(GRID)
        one, two = (fit.policy(range(6), groups=groups, masks={"deep": mask}) for mask in ("101010", "100100"))
        assert [fit.options_of(policy, 48).memory for policy in (plain, one, two)] == [2, 4, 6]
        assert [fit.options_of(two, count).memory for count in (6, 4, 3)] == [4, 2, 2], "more cases than unknowns"
        fitted = fit.fit(one).policy
    assert fitted.fit is not None and fitted.fit.memory == 4
    rows = Tables.of(fitted.sampling.scheduler.config).b
    assert max(sum(weight != 0 for weight in row) for row in rows) == 4


def test_a_fitted_policy_is_refused_by_another_model_and_step_count(bench: Bench, states: Any) -> None:
    policy = start(SD, bench.pipe, states, GRID)
    bench.use(policy)
    with pytest.raises(FrdiffError, match="`num_inference_steps` must be the policy's 4 but the call asks for 5"):
        bench.pipe(**SD.call(0, 1, 1), num_inference_steps=5)
    with pytest.raises(PolicyError, match="can be set to 5 steps"):
        policy.resample(5)
    bench.use(None)
