"""What a study measures policies with: the evaluator, or a recorded table."""

from collections.abc import Generator, Iterator
from typing import Any, Protocol

from frdiff_tune.measure import Failure, Measurement
from frdiff_tune.measure.references import Watch, unwatched
from frdiff_tune.policy import Floor, Latency, Policy
from frdiff_tune.runtime import Capture


class Measures(Protocol):
    """What measures a policy, a block of cases at a time; ``Evaluator`` and recorded tables do."""

    @property
    def anchor_ms(self) -> float:
        """Latency of the anchor run, in milliseconds."""
        ...

    @property
    def reference_latency(self) -> Latency:
        """Latency of the reference."""
        ...

    def prepare(self, watch: Watch = unwatched) -> Iterator[tuple[int, int]]:
        """Makes references, each call in the context that ``watch`` gives, and warms up; yields how far it is and is to go."""
        ...

    def __call__(self, policy: Policy, first: int = 0, capture: Capture = "eager") -> Iterator[Measurement | Failure]:
        """Yields a measurement per block of cases, from block ``first`` on, of a policy that is launched in a way."""
        ...

    def floor(self, count: int) -> Generator[tuple[int, int], None, Floor | None]:
        """Measures the reference against four times its steps on so many cases; None where that cannot be measured."""
        ...

    def __enter__(self) -> Any:  # noqa: ANN401
        """Keeps the pipeline patched between policies."""
        ...

    def __exit__(self, *error: Any) -> None:  # noqa: ANN401
        """Restores the pipeline."""
        ...
