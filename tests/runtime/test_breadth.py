"""One conformance case, inherited by every pipeline of the table: never a wrong image, and nothing left behind."""

from typing import Any

import pytest
import torch
from torch import nn

from frdiff_tune import apply_policy, full_policy
from frdiff_tune.errors import MismatchError
from frdiff_tune.report.sites import sites_table
from frdiff_tune.runtime import default_groups, discover_sites, find_denoisers
from tests.pipelines import ROWS
from tests.pipelines.subject import Subject, recorded
from tests.pipelines.table import shown, table
from tests.runtime.rendering import snapshot
from tests.runtime.uses import Uses


def keys(pipe: Any) -> set[str]:
    return {f"{d.component}.{key}" for d in find_denoisers(pipe) for key in d.module.state_dict()}


def test_full_policy_and_removal_are_bit_identical(subject: Subject) -> None:
    pipe, before, names = subject.pipe, snapshot(subject.pipe), keys(subject.pipe)
    assert torch.isfinite(subject.bare).all()
    with apply_policy(pipe, subject.full()) as applied:
        assert torch.equal(subject.render(applied), subject.bare)
        assert applied.trace.network == "1" * subject.row.T
        assert keys(pipe) == names
        assert snapshot(pipe) != before
        applied.use(subject.policy([0, 2]))
        assert not torch.equal(subject.render(applied), subject.bare)
        assert keys(pipe) == names
    assert torch.equal(subject.render(), subject.bare)
    assert snapshot(pipe) == before


def test_trace_equals_the_masks_and_what_is_reused_is_not_called(subject: Subject) -> None:
    T, keyframes = subject.row.T, [0, 2]
    groups = {name: sites for name, sites in default_groups(subject.pipe).items() if name in subject.groups}
    handovers = _handovers(subject)
    with apply_policy(subject.pipe, subject.full()) as applied:
        with Uses(subject.pipe, groups, lambda: applied.step) as whole:
            subject.render(applied)
        for group, sites in groups.items():
            applied.use(subject.policy(keyframes, [1.0] * (T - 1) + [0.0], groups=[group]))
            with Uses(subject.pipe, {group: sites}, lambda: applied.step) as uses:
                picture = subject.render(applied)
            computed = {*keyframes, *handovers}
            mask = "".join("1" if t in computed else "0" for t in range(T))
            assert applied.trace.network == "1" * (T - 1) + "0", group
            assert {g: applied.trace.mask(g) for g in applied.policy.masks} == {group: mask}
            assert set(applied.trace.forced) == handovers, group
            assert not torch.equal(picture, subject.bare), group
            assert torch.isfinite(picture).all(), group
            if group == "guidance":
                continue  # of it no module is left out: below
            for t in range(T):
                assert whole.sites_at(t, sites), (group, t)
                assert uses.sites_at(t, sites) == (whole.sites_at(t, sites) if t in computed else set()), (group, t)
            assert applied.cache_bytes > 0


def _handovers(subject: Subject) -> set[int]:
    """Returns the steps at which another denoiser takes over: they run in full."""
    with apply_policy(subject.pipe, subject.full()) as applied:
        with recorded(subject.pipe, lambda: applied.step) as calls:
            subject.render(applied)
    component = {call.t: call.component for call in calls}
    return {t for t in range(1, subject.row.T) if component[t] != component[t - 1]}


def test_runs_share_nothing(subject: Subject) -> None:
    """The usual call, again, other batch, prompt and resolution, in one go: each as on a policy that was just put on."""
    row = subject.row
    policy = subject.policy([0, 2], [1.0, 0.5, 1.0, *([0.0] if row.T > 3 else []), *[0.7] * (row.T - 4)])
    cases = [(0, 1, 1), (0, 1, 1), (0, row.batches[-1], 1), (1, 1, 1), (0, 1, row.sizes[-1]), (0, 1, 1)]
    alone = {}
    for case in set(cases):
        with apply_policy(subject.pipe, policy) as applied:
            alone[case] = subject.render(applied, *case)
    assert not torch.equal(alone[0, 1, 1], alone[1, 1, 1])
    with apply_policy(subject.pipe, policy) as applied:
        for case in cases:
            assert torch.equal(subject.render(applied, *case), alone[case]), case
        assert applied.stored_bytes == 0


STRENGTHS = [name for name, row in ROWS.items() if row.strengths is not None]


def test_every_row_with_a_strength_has_other_ones() -> None:
    assert STRENGTHS == [name for name, row in ROWS.items() if row.call(0, 1, 1).get("strength", 1.0) != 1.0]


@pytest.mark.parametrize("subject", STRENGTHS, indirect=True)
def test_another_strength_is_right_or_refused(subject: Subject) -> None:
    assert subject.row.strengths is not None
    same, fewer = subject.row.strengths
    policy = subject.policy([0, 2])
    with apply_policy(subject.pipe, policy) as applied:
        right = subject.render(applied, strength=same)
    with apply_policy(subject.pipe, policy) as applied:
        usual = subject.render(applied)
        assert torch.equal(subject.render(applied, strength=same), right)
        with pytest.raises(MismatchError, match=rf"the policy has {policy.T} but the call walks \d.*policy.resample") as told:
            subject.render(applied, strength=fewer)
        assert torch.equal(subject.render(applied), usual)
        walked = int(str(told.value).partition("the call walks ")[2][0])
        applied.use(policy.resample(subject.row.steps, walked))
        subject.render(applied, strength=fewer)
        assert len(applied.trace.steps) == walked


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_broken_off_run_leaves_nothing_behind(subject: Subject, error: type[BaseException]) -> None:
    last = subject.row.T - 1
    with apply_policy(subject.pipe, subject.policy([0, 2])) as applied:
        right = subject.render(applied)

        def fail(*_: Any) -> None:
            if applied.step == last:
                assert applied.stored_bytes
                raise error("in the middle")

        inner = [next(m for m in d.module.modules() if isinstance(m, (nn.Linear, nn.Conv2d, nn.Conv3d))) for d in
                 find_denoisers(subject.pipe)]  # fmt: skip
        handles = [module.register_forward_hook(fail) for module in inner]
        with pytest.raises(error):
            subject.render(applied)
        for handle in handles:
            handle.remove()
        assert applied.stored_bytes == 0
        assert torch.equal(subject.render(applied), right)


def test_wrong_policies_are_refused(subject: Subject) -> None:
    row, pipe = subject.row, subject.pipe
    before = snapshot(pipe)
    with apply_policy(pipe, subject.policy([0, 2])) as applied:
        right = subject.render(applied)
        with pytest.raises(MismatchError, match=f"must be the policy's {row.steps} but the call asks for {row.steps + 2}"):
            subject.render(applied, num_inference_steps=row.steps + 2)
        assert torch.equal(subject.render(applied), right)
    with apply_policy(pipe, full_policy(pipe, row.steps, T=row.T - 1)) as applied:
        with pytest.raises(MismatchError, match=f"the policy has {row.T - 1} but the call walks {row.T}"):
            subject.render(applied)
    full = subject.full()
    other = full.replace(model=full.model.model_copy(update={"digest": "0" * 64}))
    with pytest.raises(MismatchError, match="must be the pipeline's denoiser"):
        apply_policy(pipe, other)
    stranger = full.replace(
        groups={"no": (f"{find_denoisers(pipe)[0].component}.nowhere",)}, masks={"no": "1" + "0" * (row.T - 1)}
    )
    with pytest.raises(MismatchError, match="nowhere' is none of its"):
        apply_policy(pipe, stranger)
    assert snapshot(pipe) == before


def test_sites_are_listed(subject: Subject) -> None:
    """As ``frdiff-tune profile`` lists them."""
    sites, groups = discover_sites(subject.pipe), default_groups(subject.pipe)
    listed = sites_table(sites, groups)
    assert listed.row_count == len(groups) > 1
    assert {site.name for site in sites} >= {name for names in groups.values() for name in names}
    modules = {f"{d.component}.{path}" for d in find_denoisers(subject.pipe) for path, _ in d.module.named_modules()}
    assert {site.name for site in sites} - modules <= {"guidance", "controlnet"}


def test_the_readme_shows_the_table() -> None:
    assert shown() == table(), "run python -m tests.pipelines.table"
