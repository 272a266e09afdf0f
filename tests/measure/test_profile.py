"""Profiles: what a real pipeline's one holds, what courses really do, and what rounds of known times come to."""

from collections.abc import Mapping
from functools import partial
from itertools import count as counting
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from frdiff_tune import apply_policy
from frdiff_tune.errors import MeasureError, MismatchError
from frdiff_tune.measure import Case, CostModel, Profile, Walk, call_arguments, load_profile, profile
from frdiff_tune.measure.bench import Bench, Contender
from frdiff_tune.measure.profile_courses import AFTER, FULL, JUMP, MIX, Course, Courses, apart, outermost
from frdiff_tune.measure.profile_steps import OperationClock, Steps, operations, watched
from frdiff_tune.measure.profile_times import Plan, Times, share
from frdiff_tune.runtime import default_groups, discover_sites, frdiff_policy
from tests.measure.toy_profile import toy_profile
from tests.tiny import tiny_dit, tiny_sd

CASES = (Case({"class_labels": 1}, 0), Case({"class_labels": 2}, 1))
GROUPS = {name: default_groups(tiny_dit())[name] for name in ("attention", "feed_forward", "block", "guidance")}


def finished(run: Any) -> tuple[list[Any], Any]:
    yielded = []
    while True:
        try:
            yielded.append(next(run))
        except StopIteration as end:
            return yielded, end.value


@pytest.fixture(scope="module")
def found() -> Profile:
    """The profile of a tiny transformer, and that the pipeline is as it was."""
    pipe = tiny_dit()
    draw = partial(pipe, num_inference_steps=4, output_type="np")
    before = draw(**call_arguments(CASES)).images
    run = profile(pipe, CASES, {"guidance_scale": 4.0}, 1, steps=6, groups=GROUPS, rounds=2, similar=1)
    done, made = finished(run)
    assert done == [(k, 4 + 2 + 1) for k in range(1, 8)]
    assert np.array_equal(draw(**call_arguments(CASES)).images, before)
    assert isinstance(made, Profile)
    return made


def test_a_profile_holds_operations_and_bytes_by_hand(found: Profile) -> None:
    """Attention: four products of (16 tokens x 16) by (16 x 16), and two of 2 heads (16 x 8) by (8 x 16), of 2 samples."""
    projections, products = 4 * 2 * (2 * 16) * 16 * 16, 2 * 2 * (2 * 2) * 16 * 16 * 8
    assert found.groups["attention"].flops == 3 * (projections + products)
    assert found.groups["feed_forward"].flops == 3 * 2 * 2 * (2 * 16) * 16 * 64
    assert found.groups["guidance"].flops == found.operations.step / 2
    assert found.groups["attention"].cache_bytes == 3 * 4 * (2 * 16 * 16)
    whole = found.groups["block"].flops
    assert whole is not None
    assert found.groups["attention"].flops + found.groups["feed_forward"].flops < whole < found.operations.step
    with Bench(tiny_dit()) as bench:
        whole_run = operations(Contender(bench, None, 6), call_arguments(CASES[:1]))
    assert (found.operations.step, found.operations.call) == (whole_run.steps[3], whole_run.total)


def test_a_profile_holds_times_that_fit_each_other(found: Profile) -> None:
    assert set(found.groups) == set(GROUPS)
    assert {tuple(sorted(each.groups)) for each in found.combinations} == {("attention", "feed_forward")}
    for group in found.groups.values():
        assert group.saved_ms.low <= group.saved_ms.value <= group.saved_ms.high
        assert group.saved_ms.value == pytest.approx(group.saved_share.value * found.costs.call_ms.value)
        assert (group.guided_share is None) == (group.sites == ("guidance",))
    assert found.guidance_share == found.groups["guidance"].saved_share
    assert set(found.site_ms) == {site.name for site in discover_sites(tiny_dit())} - {"guidance"}
    assert min(found.site_ms.values()) > 0
    assert {"DDIMScheduler", "UniPCMultistepScheduler"} <= set(found.costs.jump_ms)
    assert "EulerDiscreteScheduler" not in found.costs.jump_ms, "which this pipeline cannot run"
    assert all(0 < jump.value < found.costs.call_ms.value for jump in found.costs.jump_ms.values())
    assert (found.call.T, found.call.scheduler, found.rounds) == (6, "DDIMScheduler", 2)
    assert found.call.arguments == {"guidance_scale": 4.0}


def test_a_profile_holds_what_changes(found: Profile) -> None:
    changes = found.similarity
    assert changes is not None
    assert set(changes.change) == set(GROUPS)
    assert [len(row) for row in changes.change["attention"]] == list(range(6))
    assert changes.neighbours("attention") == tuple(changes.change["attention"][t][t - 1] for t in range(1, 6))
    assert changes.cases == 1 and changes.bound_bytes > 0


def test_a_profile_foretells_any_policy_of_the_pipeline(found: Profile) -> None:
    model, pipe = CostModel.of(found), tiny_dit()
    most = found.costs.outside_ms.value + 9.5 * found.costs.call_ms.value
    for steps, interval in ((6, 2), (6, 3), (9, 2), (9, 3)):
        assert 0 < model.latency_ms(frdiff_policy(pipe, steps, interval)) < most


def test_a_file_reads_back_and_unknown_keys_are_refused(found: Profile, tmp_path: Path) -> None:
    path = tmp_path / "new" / "profile.json"
    found.save(path)
    assert load_profile(path) == found
    text = path.read_text()
    for broken, words in (
        (text.replace('"rounds"', '"round"', 1), "`rounds` must be given|`round` is not a key of a profile"),
        (text.replace('"step_ms": {', '"step_ms": {"unit": 1,', 1), "is not a key of a profile"),
        (text.replace('"schema_version": 1', '"schema_version": 2', 1), "schema_version 1 but got 2"),
        (text[:99], "must be a readable profile file"),
        ("[]", "schema_version 1 but got None"),
    ):
        path.write_text(broken)
        with pytest.raises(MeasureError, match=words):
            load_profile(path)
    with pytest.raises(MeasureError, match="must be a readable profile file"):
        load_profile(tmp_path / "nowhere.json")
    with pytest.raises(MeasureError, match="could not be written"):
        found.save(path / "below" / "a" / "file.json")


def test_what_is_refused() -> None:
    pipe = tiny_dit()
    with pytest.raises(MeasureError, match="`rounds` must be 1 or more but got 0"):
        next(profile(pipe, CASES, steps=4, rounds=0))
    with pytest.raises(MismatchError, match="matches none"):
        next(profile(pipe, CASES, steps=4, groups={"a": ["nowhere"]}))


def courses(pipe: Any, call: Mapping[str, Any] | None = None) -> Courses:
    return Courses(pipe, Walk(pipe, CASES, call or {}))


def test_steps_of_a_course_do_what_their_row_says() -> None:
    """By the trace of a real run: every row reuses its groups and computes the others; guidance alone is traced as a group."""
    pipe = tiny_dit()
    (blocks, _), (inner, rows) = courses(pipe).reuse(GROUPS)
    assert set(blocks.policy.groups) == {"block", "guidance"}
    assert [row.name for row in rows] == [
        FULL, "attention", "feed_forward", "attention + feed_forward", "guidance",
        "attention + guidance", "feed_forward + guidance", "attention + feed_forward + guidance",
    ]  # fmt: skip
    with apply_policy(pipe, inner.policy) as applied:
        applied(**call_arguments(CASES[:1]))
        trace = applied.trace
    everything = {"attention", "feed_forward", "guidance"}
    for row in rows:
        assert len(inner.rows[row.name]) >= 2
        for t in inner.rows[row.name]:
            reused = {*row.groups, *(("guidance",) if row.guidance else ())}
            assert trace.steps[t].computed == everything - reused, (row.name, t)
    assert not trace.forced


def test_blocks_are_timed_with_what_lies_outside_them() -> None:
    """Of four groups only one holds a site of another but not all; sites that both have are the block's."""
    names = "transformer.transformer_blocks"
    groups = {"late": (f"{names}.1", f"{names}.2"), **{name: GROUPS[name] for name in ("attention", "guidance")}}
    ((course, rows),) = courses(tiny_dit()).nested(groups)
    assert course.policy.groups == {"late": groups["late"], "attention": (f"{names}.0.attn1",), "guidance": ("guidance",)}
    assert [row.name for row in rows] == [FULL, "late + attention", "late + attention + guidance"]
    plan = course.policy.plan()
    assert all(plan[t].reuses == {"late", "attention"} for t in course.rows["late + attention"])
    assert not list(courses(tiny_dit()).nested({name: GROUPS[name] for name in ("attention", "block")}))
    assert outermost(("a.b", "a.b.c", "a.bc")) == {"a.b", "a.bc"}


def test_jumps_come_in_twos() -> None:
    course = courses(tiny_dit()).jumps("UniPCMultistepScheduler", order=2, variable="sample")
    assert course.policy.keyframes == "110011001100"
    assert course.rows == {AFTER: (4, 8), FULL: (5, 9), JUMP: (6, 7, 10, 11)}
    assert all(len(step.weights) == 3 for step in course.policy.plan() if step.t in course.rows[JUMP])
    assert course.policy.sampling.scheduler.name == "UniPCMultistepScheduler"


def test_groups_that_meet_are_apart() -> None:
    groups = {"a": ("n.b.x",), "outer": ("n.b",), "same": ("n.b.x", "n.c.z"), "free": ("n.d.y",)}
    assert [set(part) for part in apart(groups)] == [{"outer", "free"}, {"a"}, {"same"}]
    own = default_groups(tiny_sd())
    own.pop("guidance")
    assert {"deep", "shallow"} <= set(apart(own)[0])


def costing(course: Course, full: float, jump: float, rows: Mapping[str, float]) -> Steps:
    """Returns a run of known times: full steps but for those of the rows."""
    by_step = {t: rows[name] for name, at in course.rows.items() for t in at if name in rows}
    jumps = {step.t: jump for step in course.policy.plan() if not step.calls}
    steps = tuple({**jumps, **by_step}.get(t, full) for t in range(course.policy.T))
    return Steps(30.0 + sum(steps), steps)


def test_rounds_of_known_times_come_to_what_was_put_in() -> None:
    """Full 10 ms under a policy, 9.5 bare, and where another solver jumps as much longer as its jump is than the own one; the
    last round on a machine half as fast: shares stay, medians are those of the others."""
    plan = Plan.of(courses(tiny_dit()), GROUPS, ["UniPCMultistepScheduler"])
    left = {
        "attention": 8.0, "feed_forward": 7.0, "attention + feed_forward": 5.5, "guidance": 6.0, "attention + guidance": 5.0,
        "feed_forward + guidance": 4.5, "attention + feed_forward + guidance": 3.0, "block": 4.0, "block + guidance": 2.0,
    }  # fmt: skip
    jumps = dict.fromkeys((course.name for course in plan.courses), 0.4)
    other = plan.solvers["UniPCMultistepScheduler"].name
    jumps[other], jumps[plan.extrapolated.name] = 1.0, 0.6
    full = {course.name: 10.6 if course.name == other else 10.0 for course in plan.courses}
    assert plan.converted is not None
    jumps[plan.converted.name] = 0.5
    times = Times(plan)
    for slow in (1.0, 1.0, 2.0):
        rows = {name: slow * ms for name, ms in {**left, MIX: 10.1}.items()}
        times_of = {course.name: rows | {AFTER: 1.02 * slow * full[course.name]} for course in plan.courses}
        runs = [
            (course, costing(course, slow * full[course.name], slow * jumps[course.name], times_of[course.name]))
            for course in plan.courses
        ]
        bare = Steps(30.0 + 12 * 9.5 * slow, (9.5 * slow,) * 12)
        times.take([bare, bare], runs)
    costs = times.costs()
    assert (costs.step_ms.value, costs.call_ms.value) == (9.5, pytest.approx(10.0))
    assert (costs.step_ms.high, costs.outside_ms.value) == (19.0, pytest.approx(30.0))
    assert costs.jump_ms["DDIMScheduler"].value == pytest.approx(0.4)
    assert costs.jump_ms["UniPCMultistepScheduler"].value == pytest.approx(1.0)
    assert costs.forecast_ms.value == pytest.approx(0.1)
    assert costs.convert_ms.value == pytest.approx(0.1)
    assert costs.after_jump_ms.value == pytest.approx(0.2)
    assert costs.mix_ms.value == pytest.approx(0.1)
    guidance = times.guidance_share()
    assert guidance is not None
    assert guidance.value == pytest.approx(0.4)
    saved = {each.groups: (each.saved_share.value, each.guided_share) for each in times.reused()}
    for names, (share_of_it, guided) in saved.items():
        assert guided is not None
        assert share_of_it == pytest.approx(1 - left[" + ".join(names)] / 10)
        assert guided.value == pytest.approx(1 - left[" + ".join((*names, "guidance"))] / 10)
    assert set(saved) == {("block",), ("attention",), ("feed_forward",), ("attention", "feed_forward")}


def test_what_cannot_be_told_from_nothing_is_nothing() -> None:
    """Mixing took more in one round and less in the other."""
    plan = Plan.of(courses(tiny_dit()), {"guidance": ("guidance",)}, [])
    times = Times(plan)
    for mixed in (10.5, 9.8):
        runs = [(course, costing(course, 10.0, 0.4, {MIX: mixed, AFTER: 10.0})) for course in plan.courses]
        times.take([Steps(130.0, (10.0,) * 10)], runs)
    mix = times.costs().mix_ms
    assert (mix.value, mix.low, mix.high) == (0.0, pytest.approx(-0.2), pytest.approx(0.5))


def test_shares_by_hand() -> None:
    """Step 2 took 6, the full steps around it 10 and 14; step 5 has one only before it."""
    steps = (99.0, 10.0, 6.0, 6.0, 14.0, 7.0)
    assert share(steps, 2, [1, 4]) == 0.5
    assert share(steps, 5, [1, 4]) == 0.5


class Solver:
    """A scheduler whose run of three steps counts what it does."""

    def __init__(self) -> None:
        self.spent = 0

    def set_timesteps(self, steps: int) -> None:
        self.spent += 5

    def step(self) -> None:
        self.spent += 1


class Subject:
    """Encodes (7), walks steps of 10, 20 and 30 with their solver, decodes (40)."""

    def __init__(self) -> None:
        self.solver = Solver()

    def ready(self) -> None: ...

    def scheduler(self) -> Solver:
        return self.solver

    def cache_bytes(self) -> int:
        return 0

    def __call__(self, **arguments: Any) -> None:
        self.solver.spent += 7
        self.solver.set_timesteps(3)
        for _, cost in zip(counting(), (10, 20, 30), strict=False):
            self.solver.spent += cost
            self.solver.step()
        self.solver.spent += 40


def test_steps_by_hand() -> None:
    subject = Subject()
    found = watched(subject, {}, OperationClock(lambda: subject.solver.spent))
    assert found.steps == (11, 21, 31)
    assert found.total == 7 + 5 + 63 + 40
    assert not {"set_timesteps", "step"} & set(vars(subject.solver))


def test_reference_latency_by_hand() -> None:
    assert toy_profile().reference_ms == 50 + 4 * 98


def test_groups_of_a_unet_that_share_sites() -> None:
    """By kind and by depth, without the guidance pair, and without a recording."""
    pipe = tiny_sd()
    groups = {name: sites for name, sites in default_groups(pipe).items() if name in ("conv", "attention", "up", "deep")}
    run = profile(pipe, [Case({"prompt": "a fox"})], steps=4, groups=groups, rounds=1, similar=0, solvers=())
    _, made = finished(run)
    assert set(made.groups) == set(groups) and made.similarity is None and made.guidance_share is None
    assert list(made.costs.jump_ms) == ["DDIMScheduler"]
    assert all(group.module_classes and group.kinds and group.cache_bytes for group in made.groups.values())
    assert "forward" not in vars(pipe.unet)
    assert torch.isfinite(torch.tensor([group.saved_ms.value for group in made.groups.values()])).all()
