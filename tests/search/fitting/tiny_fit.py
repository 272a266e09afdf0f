"""Fits of tiny pipelines: the calls of a row, recorded and fitted."""

from collections.abc import Sequence
from typing import Any

import torch

from frdiff_tune.measure.bench import Bench
from frdiff_tune.measure.walk import Walk
from frdiff_tune.policy import Policy
from frdiff_tune.runtime import describe_model
from frdiff_tune.runtime.schedulers import multistep_policy
from frdiff_tune.search.fitting import Call, ReferenceStates, drain, record_states
from tests.pipelines import Row

REFERENCE_STEPS = 8


def calls_of(row: Row, count: int = 5, batch: int = 2) -> list[Call]:
    """Returns calls of a row with prompts of their own; each draws ``batch`` pictures."""

    def call(prompt: int) -> Call:
        def draw(run: Any) -> Any:
            arguments = row.call(prompt, batch, 1)
            torch.manual_seed(prompt)  # DiT and LDM draw their noise without the generator
            return run(**arguments, generator=torch.Generator().manual_seed(prompt), return_dict=False)

        return draw

    return [call(prompt) for prompt in range(count)]


def recorded(bench: Bench, calls: Sequence[Call], steps: int = REFERENCE_STEPS) -> ReferenceStates:
    return drain(record_states(bench, calls, steps))


def start(row: Row, pipe: Any, states: ReferenceStates, steps: Sequence[int], **options: Any) -> Policy:
    """Returns the first-order policy of some steps of a recorded walk."""
    leading = 0
    if states.walk.begin:
        fixed = {name: value for name, value in row.call(0, 1, 1).items() if type(value) is float}
        leading = Walk(pipe, (), fixed).steps(len(steps)) - len(steps)
    return multistep_policy(describe_model(pipe), states.walk, steps, leading=leading, **options)
