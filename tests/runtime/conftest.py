"""What the conformance cases run over."""

from collections.abc import Iterator

import pytest

from tests.pipelines import ROWS
from tests.pipelines.subject import Subject


@pytest.fixture(scope="module", params=ROWS)
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    """Every pipeline of the table."""
    row = ROWS[request.param]
    pipe = row.make()
    yield Subject(request.param, row, pipe, row.render(pipe))
