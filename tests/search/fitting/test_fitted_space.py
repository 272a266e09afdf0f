"""Fitted steps in a search space: what parameters write, what is foreseen of it, and what ends at the first rung."""

from pathlib import Path
from typing import Any

import diffusers as typed_diffusers
import optuna
import pytest
from optuna.trial import create_trial

from frdiff_tune.errors import StudyError
from frdiff_tune.measure import Case
from frdiff_tune.measure.bench import Bench
from frdiff_tune.policy import Policy
from frdiff_tune.runtime import default_groups
from frdiff_tune.search.agenda import Agenda
from frdiff_tune.search.first_rung import RUNG, beaten_at_first_rung, rung_of
from frdiff_tune.search.fitted_part import make_fit, nearest_fitted
from frdiff_tune.search.fitting import CaseFit, FitOptions
from frdiff_tune.search.fitting.grid_search import GridSearch, search_grid
from frdiff_tune.search.fitting.grids import best_grid, first_order_costs, spread, starting_grids
from frdiff_tune.search.fitting.schedule import FittedSchedule
from frdiff_tune.search.location import find
from frdiff_tune.search.samplers.fitted_proposals import FittedProposals
from frdiff_tune.search.space import Space
from frdiff_tune.search.space_file import FitSection, SpaceFile
from frdiff_tune.search.starting import starting_points
from frdiff_tune.search.study import load_study
from tests.tiny import tiny_sd

diffusers: Any = typed_diffusers
CALL = {"guidance_scale": 5.0, "height": 32, "width": 32}
STEPS = 8
FILE = SpaceFile.model_validate(
    {
        "groups": {"deep": ("deep",), "guidance": ("guidance",)},
        "steps": {"num_inference_steps": (2, STEPS), "scheduler": ("fitted", "DDIMScheduler")},
        "keyframes": {"count": (2, STEPS)},
        "mixing": {"families": ("jump",)},
        "fit": {"between": (0, 1)},
    }
)


@pytest.fixture(scope="module")
def fit(tmp_path_factory: Any) -> Any:
    cases = [Case({"prompt": "a fox"}, seed=seed) for seed in range(8)]
    folder = tmp_path_factory.mktemp("states")
    with Bench(tiny_sd()) as bench:
        yield CaseFit(bench, cases, steps=STEPS, call=CALL, folder=folder, batch=4, options=FitOptions())


@pytest.fixture(scope="module")
def space(fit: CaseFit) -> Space:
    return Space(FILE, fit.bench.pipe, STEPS, fit=fit)


def params(space: Space, keyframes: list[int], **changes: Any) -> dict[str, Any]:
    first = starting_points(space, kinds=["fitted"])[1].params
    return {**first, **space.gaps(keyframes, STEPS), "keyframes.encoding": "keyframes", **changes}


def test_keyframes_are_the_steps_that_are_walked(space: Space) -> None:
    policy = space.decode(params(space, [0, 3, 5]))
    assert policy.sampling.grid is not None and policy.fit is not None
    assert policy.sampling.grid.steps == (0, 3, 5)
    assert (policy.nfe, policy.masks) == (3, {})
    assert policy.fit.count == 8


def test_groups_reuse_at_steps_between(space: Space) -> None:
    policy = space.decode(params(space, [0, 3, 6], **{"fit.between": 1, "group.deep": True}))
    assert policy.sampling.grid is not None
    assert policy.sampling.grid.steps == (0, 1, 3, 4, 6, 7)
    assert policy.masks == {"deep": "101010"}
    assert policy.groups["deep"] == tuple(sorted(default_groups(space.pipe)["deep"]))


def test_without_a_group_no_step_stands_between(space: Space) -> None:
    alone, between = (params(space, [0, 3, 6], **{"fit.between": count}) for count in (0, 1))
    assert space.decode(alone).digest == space.decode(between).digest
    assert space.identity(alone) == space.identity(between)
    assert space.foresight.of(alone) == space.foresight.of(between)


def test_a_fitted_policy_is_written_by_its_parameters(space: Space) -> None:
    for written in (params(space, [0, 2, 5]), params(space, [0, 3, 6], **{"fit.between": 1, "group.guidance": True})):
        policy = space.decode(written)
        encoded = space.encode(policy)
        assert encoded is not None
        assert space.decode(encoded).digest == policy.digest


def test_all_steps_are_the_full_policy(space: Space) -> None:
    assert space.decode(params(space, list(range(STEPS)))).digest == space.full(STEPS, "DDIMScheduler/trailing").digest


def test_a_fit_is_made_once_and_kept(space: Space, fit: CaseFit, monkeypatch: Any) -> None:
    policy = space.decode(params(space, [0, 2, 6]))
    other = CaseFit(fit.bench, fit.cases, steps=STEPS, call=CALL, folder=fit._folder, batch=4)
    monkeypatch.setattr(CaseFit, "fit", None)
    assert Space(FILE, fit.bench.pipe, STEPS, fit=other).decode(params(space, [0, 2, 6])) == policy


def test_fewer_and_worse_spread_steps_are_foreseen_farther(space: Space) -> None:
    errors = space.foresight.errors

    def foreseen(keyframes: list[int]) -> float:
        sources = dict(zip(errors.names, errors(space.foresight.of(params(space, keyframes))).sources, strict=True))
        assert sources["jump early"] == sources["jump late"] == -float("inf"), "its jumps are of a kind of their own"
        return max(float(sources[name]) for name in ("fitted early", "fitted middle", "fitted late"))

    assert foreseen([0, 2, 4, 6]) < foreseen([0, 4]) < foreseen([0, 1])


def test_a_study_begins_with_the_full_run_and_fitted_steps(space: Space) -> None:
    study = load_study("demo")
    agenda = Agenda.of(study, space, 40)
    families = [point.family for point in agenda.points]
    assert families[:3] == ["known: full", "starting: fitted", "starting: fitted"] and agenda.first is not None
    assert "starting: fitted" not in families[agenda.first :]
    assert agenda.due(0, []) == 0
    begun = [create_trial(state=optuna.trial.TrialState.RUNNING, user_attrs={"starting": i}) for i in range(agenda.first)]
    assert agenda.due(len(begun), begun) is None and agenda.due(10, begun) == agenda.first
    short = Agenda.of(study, space, 8)
    assert {point.family for point in short.points} == {"known: full"}, "a study of a few trials does not spend them so"


def test_starts_fit_nothing_before_they_are_measured(space: Space, monkeypatch: Any) -> None:
    monkeypatch.setattr(CaseFit, "fitted", None)
    families = [point.family for point in starting_points(space, kinds=["fitted"])]
    assert families.count("starting: fitted") >= 3


def test_a_space_of_fitted_steps_alone_is_refused() -> None:
    with pytest.raises(ValueError, match='must name a scheduler of diffusers beside "fitted"'):
        SpaceFile.model_validate({"steps": {"scheduler": ("fitted",)}})


@pytest.mark.parametrize(
    ("scheduler", "options", "call", "reason"),
    [
        ("EulerAncestralDiscreteScheduler", {}, {}, "adds noise"),
        ("DDIMScheduler", {"clip_sample": True}, {}, "clips"),
        ("DDIMScheduler", {"clip_sample": False}, {"eta": 0.5}, "`eta` must be 0"),
    ],
)
def test_a_reference_that_cannot_be_fitted_leaves_the_other_schedulers(
    scheduler: str, options: dict[str, Any], call: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    pipe = tiny_sd()
    pipe.scheduler = getattr(diffusers, scheduler).from_config(pipe.scheduler.config, **options)
    cases = [Case({"prompt": "a fox"}, seed=seed) for seed in range(8)]
    with pytest.warns(UserWarning, match=f"No steps are fitted: .*{reason}"):
        assert make_fit(Bench(pipe), cases, FitSection(), steps=STEPS, call=call, folder=tmp_path, batch=4) is None
    with pytest.warns(UserWarning, match="`cases` must be more than the 4 weights of a step but got 3"):
        assert make_fit(Bench(tiny_sd()), cases[:3], FitSection(), steps=STEPS, call={}, folder=tmp_path, batch=4) is None
    without = Space(FILE, pipe, STEPS) if scheduler == "DDIMScheduler" else None
    assert without is None or "fitted" not in without.schedulers


def test_the_shipped_spaces_fit() -> None:
    for name in ("stable-diffusion", "sdxl", "dit", "flux", "pixart", "transformer"):
        assert '"fitted"' in find(name, "search_spaces", StudyError).read_text()


def test_schedules_spread_what_stands_between() -> None:
    assert FittedSchedule.of([0, 3, 9], 2, 10).steps == (0, 1, 2, 3, 5, 7, 9)
    assert FittedSchedule.of([0, 4], 1, 5) == FittedSchedule((0, 2, 4), (0, 4))
    assert FittedSchedule.of([0, 4], 1, 5).mask == "101"


def test_starting_grids_increase_from_0(fit: CaseFit) -> None:
    for count in range(1, STEPS + 1):
        for name, grid in starting_grids(fit.states, count):
            assert len(grid) == count and grid[0] == 0 and grid[-1] < STEPS, name
            assert all(a < b for a, b in zip(grid, grid[1:], strict=False)), name
    assert spread([0, 0.2, 0.4, 7.9], STEPS) == (0, 1, 2, 7)


def test_dynamic_programming_agrees_with_trying_all(fit: CaseFit) -> None:
    from itertools import combinations

    cost = first_order_costs(fit.states)
    grids = [(0, *rest) for rest in combinations(range(1, STEPS), 3)]
    best = min(grids, key=lambda grid: sum(cost[a, b] for a, b in zip(grid, (*grid[1:], STEPS), strict=True)))
    assert best_grid(cost, 4) == best


def test_local_search_ends_nearer_than_its_starts(fit: CaseFit) -> None:
    starts = [grid for _, grid in starting_grids(fit.states, 4)]
    tried = list(search_grid(fit, starts, 14, seed=1))
    errors = [each.error for each in tried]
    assert len({each.grid for each in tried}) == 14
    assert min(errors) <= min(errors[: len(starts)])
    assert [each.is_best for each in tried] == [error == min(errors[: i + 1]) for i, error in enumerate(errors)]


def test_a_proposal_becomes_its_nearest_neighbour(fit: CaseFit, space: Space) -> None:
    own = Space(FILE, fit.bench.pipe, STEPS, fit=fit)  # whose searches have not begun
    proposal = params(own, [0, 1, 2])
    assert own.fitted is not None
    tries = own.fitted.tries
    assert nearest_fitted(own, proposal, lambda _: False, 0) is None, "nothing was fitted before"
    nearest = nearest_fitted(own, proposal, lambda _: False, tries)
    assert nearest is not None
    errors = own.fitted.grid_search(0, (), lambda _: 0.0).errors
    assert len(errors) == tries
    assert errors[tuple(own.keyframes(nearest)[0])] == min(errors.values()) < errors[0, 1, 2]
    assert own.decode(nearest).fit == own.decode(params(own, own.keyframes(nearest)[0])).fit
    assert nearest_fitted(own, proposal, lambda _: False, 0) == nearest, "nothing is fitted for it"
    assert nearest_fitted(own, proposal, lambda _: True, tries) is None, "nothing is nearer than what was measured"
    assert len(errors) == 2 * tries, "the search went on"


def test_a_proposal_of_another_scheduler_stays(space: Space) -> None:
    nearest = FittedProposals(space, lambda _: True)
    other = params(space, [0, 3], scheduler="DDIMScheduler/trailing")
    fitted = params(space, [0, 3])
    assert nearest(other) == other
    assert nearest(fitted) is None
    assert nearest.rest == [fitted]


def test_neighbouring_sizes_begin_from_each_other() -> None:
    search = GridSearch(lambda grid: float(sum(grid)), 10)
    assert search.of_other_sizes(3) == []
    list(search.improve([(0, 2, 3, 9)], 1))
    (dropped,) = search.of_other_sizes(3)
    assert len(dropped) == 3 and set(dropped) < {0, 2, 3, 9} and dropped[0] == 0
    assert search.of_other_sizes(5) == [(0, 2, 3, 6, 9)], "the widest gap is halved"


def fitted_trial(error: float, steps: int, full: int, **attributes: Any) -> optuna.trial.FrozenTrial:
    rung = {"latent_error": error, "steps": steps, "full": full}
    return create_trial(value=0.0, user_attrs={RUNG: rung, **attributes})


def test_a_fit_that_another_beats_with_no_more_steps_is_not_drawn(space: Space) -> None:
    policy = space.decode(params(space, [0, 3, 6], **{"fit.between": 1, "group.deep": True}))
    assert policy.fit is not None
    assert rung_of(policy) == {"latent_error": policy.fit.latent_error, "steps": 6, "full": 3}
    near, far = 0.5 * policy.fit.latent_error, 0.95 * policy.fit.latent_error
    assert beaten_at_first_rung(policy, [fitted_trial(near, 6, 3)]) is not None
    assert beaten_at_first_rung(policy, [fitted_trial(near, 7, 3)]) is None, "it takes more steps"
    assert beaten_at_first_rung(policy, [fitted_trial(near, 5, 4)]) is None, "more of them in full"
    assert beaten_at_first_rung(policy, [fitted_trial(far, 6, 3)]) is None, "too near to tell"
    assert beaten_at_first_rung(space.full(STEPS, "DDIMScheduler/trailing"), [fitted_trial(near, 6, 3)]) is None


def test_policies_without_a_fit_have_no_rung() -> None:
    policy = Policy.load(Path(__file__).parents[2] / "data" / "policy_v1.json")
    assert rung_of(policy) == {}
    assert beaten_at_first_rung(policy, [fitted_trial(0.0, 1, 1)]) is None
