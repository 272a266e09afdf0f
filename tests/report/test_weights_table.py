"""What a fitted policy's weights look like to a reader."""

from rich.console import Console

from frdiff_tune.policy import Grid
from frdiff_tune.report.points import true_family
from frdiff_tune.report.policy_tables import rows
from frdiff_tune.report.weights_table import weights_table
from frdiff_tune.report.words import describe, solver
from tests.policy.test_multistep import FIT, tables_policy
from tests.policy.toy import toy_policy

POLICY = tables_policy(Grid(num_inference_steps=50, T=50, steps=(0, 20))).replace(fit=FIT)


def test_every_step_has_its_weights_and_residual() -> None:
    table = weights_table(POLICY)
    assert table is not None
    console = Console(width=100)
    with console.capture() as capture:
        console.print(table)
    head, first, second = (line.split() for line in capture.get().strip().splitlines())
    assert head[:4] == ["step", "of", "the", "reference"]
    assert first == ["0", "0", "900", "0.5000", "+1.0000", "0.1"]
    assert second == ["1", "20", "500", "0.0000", "+2.0000", "-1.0000", "0.2"]


def test_it_is_not_taken_for_fewer_steps_by_a_known_scheduler() -> None:
    assert true_family("searched", POLICY) == "searched"
    assert solver(POLICY.sampling.scheduler.name) == "fitted"


def test_a_policy_without_tables_has_none() -> None:
    assert weights_table(toy_policy()) is None


def test_it_is_described_by_its_steps_and_what_it_was_fitted_on() -> None:
    assert describe(POLICY) == "2 of the reference's 50 steps, with fitted weights"
    assert describe(POLICY.replace(fit=None)) == "2 of the reference's 50 steps, with first-order weights"
    fitted = dict(rows(POLICY))["fitted on"]
    assert fitted == "48 cases, 50 reference steps; last latent 0.1 of its size from the reference's"
