"""The trace: what a run really did, step by step."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StepTrace:
    """What happened at one step.

    Arguments:
        t: Step index.
        network_calls: How often the network ran.
        computed: Groups whose modules ran.
        forced: Whether a change of shape, of guidance, or a missing store made more run than the policy asked for.
    """

    t: int
    network_calls: int
    computed: frozenset[str]
    forced: bool


@dataclass(frozen=True, slots=True)
class Trace:
    """What a run did, length T if it was not broken off.

    Arguments:
        steps: What happened at each step.
        plain: Why the run went unaccelerated; empty if it followed the policy.
    """

    steps: tuple[StepTrace, ...] = ()
    plain: str = ""

    @property
    def network(self) -> str:
        """The steps that called the network, as zeros and ones."""
        return "".join("1" if step.network_calls else "0" for step in self.steps)

    @property
    def nfe(self) -> int:
        """Steps that called the network."""
        return self.network.count("1")

    @property
    def forced(self) -> tuple[int, ...]:
        """Steps that ran more than the policy asked for."""
        return tuple(step.t for step in self.steps if step.forced)

    def mask(self, group: str) -> str:
        """Returns the steps at which a group computed, as zeros and ones."""
        return "".join("1" if group in step.computed else "0" for step in self.steps)
