"""The bench: a pipeline that goes from policy to policy, and to bare, and ends as it began."""

from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from frdiff_tune.measure.picture import quiet
from frdiff_tune.policy import Policy
from frdiff_tune.runtime import Applied, Capture, apply_policy


class Bench:
    """Puts policies on a pipeline and takes them off; closing it restores the pipeline.

    Arguments:
        pipe: A diffusers pipeline without a policy.
    """

    def __init__(self, pipe: Any) -> None:  # noqa: ANN401
        self.pipe = pipe
        self._applied: Applied | None = None
        self._present: tuple[Policy, Capture] | None = None

    @property
    def cache_bytes(self) -> int:
        """Bytes that the last run stored at its most; 0 for the bare pipeline."""
        return self._applied.cache_bytes if self._applied and self._present else 0

    def use(self, policy: Policy | None, capture: Capture = "eager") -> None:
        """Brings the pipeline under a policy, or to bare with None; a few milliseconds at most.

        Arguments:
            policy: The policy.
            capture: How the network is launched; graphs and compiled code of other ways are kept.
        """
        present = self._present
        if (policy is None and present is None) or (present and present[0] is policy and present[1] == capture):
            return
        self._present = None
        if self._applied is None:
            self._applied = apply_policy(self.pipe, policy, capture=capture) if policy is not None else None
        elif policy is None:
            self._applied.suspend()
        else:
            self._applied.use(policy, capture)
        self._present = None if policy is None else (policy, capture)

    @property
    def applied(self) -> Applied:
        """The policy that is on; its ``use`` and ``remove`` are the bench's."""
        assert self._applied is not None and self._present is not None, "the pipeline is bare"
        return self._applied

    def run(self, steps: int, **arguments: Any) -> Any:  # noqa: ANN401
        """Runs the pipeline as it is, without its progress bar."""
        with quiet(self.pipe):
            if self._applied is not None and self._present is not None:
                return self._applied(**arguments)
            return self.pipe(num_inference_steps=steps, **arguments)

    def close(self) -> None:
        """Takes any policy off; graphs and compiled code are freed."""
        if self._applied is not None:
            self._applied.remove()
        self._applied = self._present = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


@dataclass(frozen=True, slots=True)
class Contender:
    """What is measured on a bench: the pipeline under one policy, or bare.

    Arguments:
        bench: Where it runs.
        policy: The policy; None for the bare pipeline.
        steps: Step count of the bare pipeline; a policy has its own.
        capture: How the network is launched under the policy.
    """

    bench: Bench
    policy: Policy | None
    steps: int
    capture: Capture = "eager"

    def ready(self) -> None:
        """Brings the bench to this policy."""
        self.bench.use(self.policy, self.capture)

    def scheduler(self) -> Any:  # noqa: ANN401
        """Returns the solver that the next run walks."""
        return self.bench.pipe.scheduler

    def cache_bytes(self) -> int:
        """Returns how many bytes the last run stored at its most."""
        return self.bench.cache_bytes

    def __call__(self, **arguments: Any) -> Any:  # noqa: ANN401
        """Runs the pipeline once."""
        self.ready()
        return self.bench.run(self.steps, **arguments)
