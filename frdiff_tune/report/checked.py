"""Checking a policy: measured on this machine, figure by figure beside what its file states, if it states any."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from frdiff_tune.errors import StudyError
from frdiff_tune.report.policy_tables import facts, measured_json, validity_cells
from frdiff_tune.report.profile import interval_json

if TYPE_CHECKING:
    from rich.table import Table

    from frdiff_tune.measure import Agreement
    from frdiff_tune.policy import Measured, Policy
    from frdiff_tune.report.setting import Setting
    from frdiff_tune.search import Study

HOLDS, OTHER_MACHINE, BROKEN = 0, 3, 4  # exit codes


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check has found.

    Arguments:
        policy: The policy with the figures and the machine of now.
        figures: Speed-up and quality figures, stated beside measured; none if the file states none.
        machine: What differs of the machine: name -> (stated, now).
        same_cases: Whether the cases are those of the file; None if it names none.
    """

    policy: Policy
    figures: tuple[Agreement, ...]
    machine: dict[str, tuple[Any, Any]]
    same_cases: bool | None

    @property
    def measured(self) -> Measured:
        """The figures of now."""
        assert self.policy.measured is not None
        return self.policy.measured

    @property
    def exit_code(self) -> int:
        """0: every interval overlaps the stated one; 3: not, but the machine is another one; 4: it does not hold."""
        if all(figure.holds for figure in self.figures):
            return HOLDS
        return OTHER_MACHINE if self.machine else BROKEN

    @property
    def verdict(self) -> str:
        """Returns the outcome in one sentence."""
        if not self.figures:
            return "Measured for the first time: the file states no figures. With -o PATH these are written."
        broken = ", ".join(figure.name for figure in self.figures if not figure.holds)
        if self.exit_code == HOLDS:
            return "The policy holds: every figure's interval overlaps the stated one."
        if self.exit_code == OTHER_MACHINE:
            names = ", ".join(self.machine)
            return f"Different here ({broken}), on another machine ({names}): what the file states was measured elsewhere."
        return f"The policy does not hold: {broken} left the stated interval on the machine that it was measured on."

    def json(self) -> dict[str, Any]:
        """Returns everything under keys that name their units."""
        return {
            "holds": self.exit_code == HOLDS if self.figures else None,
            "verdict": self.verdict,
            "exit_code": self.exit_code,
            "same_cases": self.same_cases,
            "machine_differs": {name: {"stated": old, "now": new} for name, (old, new) in self.machine.items()},
            "figures": [
                {
                    "name": figure.name,
                    "unit": figure.unit,
                    "stated": interval_json(figure.stated),
                    "measured": interval_json(figure.measured),
                    "holds": figure.holds,
                }
                for figure in self.figures
            ],
            "validity": [row.model_dump(mode="json") for row in self.measured.validity],
            **measured_json(self.measured),
        }

    def validity_table(self) -> Table:
        """Returns how close the policy comes in other calls."""
        from rich.table import Table

        table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 3, 0, 0))
        for heading in ("other call", "LPIPS (95 %)", "as many plain steps (95 %)", "images"):
            table.add_column(heading)
        for row in self.measured.validity:
            table.add_row(row.call, *validity_cells(row))
        return table

    def table(self) -> Table:
        """Returns the figures as a table."""
        from rich.table import Table

        if not self.figures:
            return facts(self.policy)
        table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 3, 0, 0))
        for heading in ("figure", "stated (95 %)", "here (95 %)", ""):
            table.add_column(heading)
        for figure in self.figures:
            ends = [f"{i.value:.3g} ({i.low:.3g} to {i.high:.3g})" for i in (figure.stated, figure.measured)]
            table.add_row(figure.name, *ends, "holds" if figure.holds else "differs")
        return table


def with_validity(
    checked: Checked,
    setting: Setting,
    pipe: Any,  # noqa: ANN401
    count: int,
) -> Generator[tuple[int, int], None, Checked]:
    """Measures a policy in other calls, too; yields what is done and what there is to do.

    Arguments:
        checked: What a check has found.
        setting: How the policy is loaded and called.
        pipe: The pipeline.
        count: Held-out cases that are drawn in each call.
    """
    from frdiff_tune.measure.validity import validity
    from frdiff_tune.search import cache_folder, held_out_cases

    study = _study(checked.policy, setting)
    call, cases = study.file.call, held_out_cases(study, pipe, 1)[:count]
    rows = yield from validity(
        pipe,
        checked.policy,
        cases,
        steps=call.num_inference_steps,
        cache_dir=cache_folder(),
        call=call.arguments,
        quality_batch=study.file.cases.quality_batch,
        weights=study.file.measure.weights or None,
    )
    measured = checked.measured.model_copy(update={"validity": rows})
    return replace(checked, policy=checked.policy.replace(measured=measured))


def checking(policy: Policy, setting: Setting, pipe: Any) -> Generator[tuple[int, int], None, Checked]:  # noqa: ANN401
    """Measures a policy as its export did, on the same held-out cases; yields what is done and what there is to do.

    A policy without figures, as a stretched one, is measured on its study's held-out cases.

    Arguments:
        policy: A policy.
        setting: How it is loaded and called; its study names the cases.
        pipe: The pipeline.

    Raises:
        StudyError: If its study was not found.
    """
    from frdiff_tune.measure import agreements, capture_of, cases_digest, differences, verification
    from frdiff_tune.search import cache_folder, held_out_cases, machine_of
    from frdiff_tune.search.setting import measuring, precision

    study, stated = _study(policy, setting), policy.measured
    seeds = 1 if stated is None else max(stated.case_count // study.file.cases.held_out_count, 1)
    cases = held_out_cases(study, pipe, seeds)
    capture = capture_of(policy, pipe)
    options = measuring(study) | precision(study)
    measured = yield from verification(pipe, policy, cases, cache_dir=cache_folder(), capture=capture, **options)
    machine = machine_of(study, pipe, capture)
    return Checked(
        policy=policy.replace(measured=measured, machine=machine),
        figures=() if stated is None else agreements(stated, measured),
        machine={} if policy.machine is None else differences(policy.machine, machine),
        same_cases=None if stated is None else cases_digest(cases) == stated.cases,
    )


def _study(policy: Policy, setting: Setting) -> Study:
    if setting.study is None:
        name = policy.provenance.study if policy.provenance else ""
        raise StudyError(
            f"--study must name the study whose held-out cases are measured, because the policy's own, {name!r}, was not "
            "found. Give its path."
        )
    return setting.study
