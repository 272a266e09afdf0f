"""One conformance case, inherited by every pipeline of the table: never a wrong image, and nothing left behind."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from frdiff_tune import apply_policy, full_policy, keyframe_policy
from frdiff_tune.errors import MismatchError
from frdiff_tune.policy import Policy
from frdiff_tune.runtime import default_groups, find_denoisers
from tests.pipelines import ROWS, Row
from tests.pipelines.table import shown, table
from tests.runtime.rendering import snapshot


@dataclass(frozen=True)
class Subject:
    """A pipeline of the table with what it gives without a policy."""

    name: str
    row: Row
    pipe: Any
    bare: Tensor

    def policy(self, keyframes: list[int], mixing: Any = 1.0, **options: Any) -> Policy:
        """Returns a policy for the row's steps."""
        return keyframe_policy(self.pipe, self.row.steps, keyframes, mixing, T=self.row.walked, **options)

    def render(self, call: Callable[..., Any] | None = None, *args: int, **more: Any) -> Tensor:
        """Returns what a call gives."""
        return self.row.render(call or self.pipe, *args, **more)

    @property
    def groups(self) -> list[str]:
        """Groups that the row can reuse."""
        return [name for name in default_groups(self.pipe) if name != "guidance" or self.row.batched]


@pytest.fixture(scope="module", params=ROWS)
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    row = ROWS[request.param]
    pipe = row.make()
    yield Subject(request.param, row, pipe, row.render(pipe))


def keys(pipe: Any) -> set[str]:
    return {f"{d.component}.{key}" for d in find_denoisers(pipe) for key in d.module.state_dict()}


def test_full_policy_and_removal_are_bit_identical(subject: Subject) -> None:
    pipe, before, names = subject.pipe, snapshot(subject.pipe), keys(subject.pipe)
    assert torch.isfinite(subject.bare).all()
    with apply_policy(pipe, full_policy(pipe, subject.row.steps, T=subject.row.walked)) as applied:
        assert torch.equal(subject.render(applied), subject.bare)
        assert applied.trace.network == "1" * subject.row.T
        assert keys(pipe) == names
    assert torch.equal(subject.render(), subject.bare)
    assert snapshot(pipe) == before


def test_trace_equals_the_masks_and_what_is_reused_is_not_called(subject: Subject) -> None:
    T = subject.row.T
    keyframes, lam = [0, 2], [1.0] * (T - 1) + [0.0]
    mask = "".join("1" if t in keyframes else "0" for t in range(T))
    own = _own_first_steps(subject)
    with apply_policy(subject.pipe, full_policy(subject.pipe, subject.row.steps, T=subject.row.walked)) as applied:
        for group in subject.groups:
            policy = subject.policy(keyframes, lam, groups=[group])
            applied.use(full_policy(subject.pipe, subject.row.steps, T=subject.row.walked))
            with counted(subject.pipe, policy) as whole:
                subject.render(applied)
            applied.use(policy)
            with counted(subject.pipe, policy) as calls:
                picture = subject.render(applied)
            assert applied.trace.network == "1" * (T - 1) + "0", group
            forced = {group: "".join("1" if bit == "1" or t in own else "0" for t, bit in enumerate(mask))}
            assert {g: applied.trace.mask(g) for g in applied.policy.masks} == forced, group
            assert set(applied.trace.forced) == own, group
            assert not torch.equal(picture, subject.bare), group
            assert torch.isfinite(picture).all(), group
            assert sum(calls.values()) * T == sum(whole.values()) * forced[group].count("1"), group
        assert applied.cache_bytes >= 0


def _own_first_steps(subject: Subject) -> set[int]:
    """Returns the steps at which another denoiser takes over: they run in full."""
    if len(find_denoisers(subject.pipe)) == 1:
        return set()
    walked: list[str] = []
    undo = []
    for denoiser in find_denoisers(subject.pipe):
        handle = denoiser.module.register_forward_hook(lambda *_, name=denoiser.component: walked.append(name))
        undo.append(handle)
    subject.render()
    for handle in undo:
        handle.remove()
    per_step = walked[:: len(walked) // subject.row.T]
    return {t for t in range(1, len(per_step)) if per_step[t] != per_step[t - 1]}


class counted:
    """Counts, per pass, the calls of what lies inside the first site of each of a policy's groups."""

    def __init__(self, pipe: Any, policy: Policy) -> None:
        self.calls: dict[str, int] = {}
        self._undo: list[Callable[[], None]] = []
        self._passes = 1
        for sites in policy.groups.values():
            firsts = {site.partition(".")[0]: site for site in reversed(sites)}
            for component, site in firsts.items():
                if component not in ("guidance", "controlnet"):
                    self._count(pipe, site)

    def _count(self, pipe: Any, site: str) -> None:
        component, _, path = site.partition(".")
        module = getattr(pipe, component).get_submodule(path)
        module = getattr(module, "conv1", module) if "Resnet" in type(module).__name__ else module
        leaf = [m for m in module.modules() if not list(m.children()) and list(m.parameters(recurse=False))][-1]
        name = "_conv_forward" if hasattr(leaf, "_conv_forward") else "forward"
        if module is leaf and name == "forward":
            return  # a patch of ours stands where the counter would
        original = getattr(leaf, name)

        def counting(*args: Any, **kwargs: Any) -> Any:
            self.calls[site] = self.calls.get(site, 0) + 1
            return original(*args, **kwargs)

        object.__setattr__(leaf, name, counting)
        self._undo.append(partial(object.__delattr__, leaf, name))

    def __enter__(self) -> dict[str, int]:
        return self.calls

    def __exit__(self, *error: object) -> None:
        for undo in self._undo:
            undo()


def test_runs_share_nothing(subject: Subject) -> None:
    row = subject.row
    policy = subject.policy([0, 2], [1.0, 0.5, 1.0, 0.0] + [0.7] * (row.T - 4))
    cases = [(0, 1, 1), (0, 1, 1), (0, row.batches[-1], 1), (1, 1, 1), (0, 1, row.sizes[-1]), (0, 1, 1)]
    alone = {}
    for case in set(cases):
        with apply_policy(subject.pipe, policy) as applied:
            alone[case] = subject.render(applied, *case)
    assert not torch.equal(alone[0, 1, 1], alone[1, 1, 1])
    with apply_policy(subject.pipe, policy) as applied:
        for case in cases:
            assert torch.equal(subject.render(applied, *case), alone[case]), case
        assert applied._run.features == {}
        assert applied._run.scores == {}


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_broken_off_run_leaves_nothing_behind(subject: Subject, error: type[BaseException]) -> None:
    policy = subject.policy([0, 2])
    with apply_policy(subject.pipe, policy) as applied:
        right = subject.render(applied)
        denoiser = find_denoisers(subject.pipe)[0].module
        inner = next(m for m in denoiser.modules() if isinstance(m, (nn.Linear, nn.Conv2d)))
        calls = {"n": 0}

        def fail(*_: Any) -> None:
            calls["n"] += 1
            if calls["n"] == 3:
                raise error("in the middle")

        handle = inner.register_forward_hook(fail)
        with pytest.raises(error):
            subject.render(applied)
        handle.remove()
        assert applied._run.features == {}
        assert torch.equal(subject.render(applied), right)


def test_wrong_policies_are_refused(subject: Subject) -> None:
    row, pipe = subject.row, subject.pipe
    before = snapshot(pipe)
    with apply_policy(pipe, subject.policy([0, 2])) as applied:
        right = subject.render(applied)
        with pytest.raises(MismatchError, match="must be"):
            subject.render(applied, num_inference_steps=row.steps + 2)
        assert torch.equal(subject.render(applied), right)
    shorter = full_policy(pipe, row.steps, T=row.T - 1)
    with apply_policy(pipe, shorter) as applied, pytest.raises(MismatchError, match=f"the call walks {row.T}"):
        subject.render(applied)
    other = full_policy(pipe, row.steps).replace(
        model=full_policy(pipe, row.steps).model.model_copy(update={"digest": "0" * 64})
    )
    with pytest.raises(MismatchError, match="must be the pipeline's denoiser"):
        apply_policy(pipe, other)
    assert snapshot(pipe) == before


def test_the_readme_shows_the_table() -> None:
    assert shown() == table(), "run python -m tests.pipelines.table"
