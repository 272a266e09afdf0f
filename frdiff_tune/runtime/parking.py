"""Several calls of one pipeline that take turns: each is put aside in the middle while another goes on."""

from dataclasses import dataclass
from typing import Any

from frdiff_tune.runtime.run import Run

POLICY_FIELDS = ("policy", "features", "scores", "held_bytes", "by_hand", "rows", "_plan", "_group_of")
"""Fields of ``Run`` that belong to its policy; the others belong to the run under way."""
RUN_FIELDS = tuple(name for name in Run.__slots__ if name not in POLICY_FIELDS)


@dataclass(frozen=True, slots=True)
class ParkedCall:
    """A call that was put aside.

    Arguments:
        pipeline: Attributes of the pipeline that a call sets, as its guidance and its number of steps.
        scheduler: Attributes of its scheduler, as its step index.
        run: Fields of the run under way.
        nodes: Features that it has stored.
        scores: Scores that it has stored.
    """

    pipeline: dict[str, Any]
    scheduler: dict[str, Any]
    run: dict[str, Any]
    nodes: dict[Any, Any]
    scores: dict[str, Any]


class Parking:
    """Where one call of a pipeline waits while other calls run.

    Pipelines note a call's guidance and step count in attributes of their own, a scheduler counts its steps, and a policy's
    run stores features: calls that take turns would read each other's.

    Arguments:
        pipe: The pipeline, with a policy on and no run under way.
        run: The policy's run.
    """

    def __init__(self, pipe: Any, run: Run) -> None:  # noqa: ANN401
        self._pipe, self._run = pipe, run
        self._outside = self._present()
        self._parked: ParkedCall | None = None

    def park(self) -> None:
        """Puts the call aside; pipeline, scheduler and run are then as outside of a call."""
        self._parked = self._present()
        self._restore(self._outside)

    def resume(self) -> None:
        """Makes the call the present one again; at first, does nothing."""
        if self._parked is not None:
            self._restore(self._parked)
            self._parked = None

    def _present(self) -> ParkedCall:
        """Returns what a call may have changed; containers of the run are handed over, so that the next fills its own."""
        own = {name: value for name, value in vars(self._pipe).items() if name.startswith("_") and name != "_internal_dict"}
        fields = {name: getattr(self._run, name) for name in RUN_FIELDS}
        for name, value in fields.items():
            if isinstance(value, (dict, list, set)):
                setattr(self._run, name, type(value)())
        return ParkedCall(own, dict(vars(self._pipe.scheduler)), fields, self._run.features.park(), self._run.scores.park())

    def _restore(self, call: ParkedCall) -> None:
        own = vars(self._pipe)
        for name in [name for name in own if name.startswith("_") and name not in call.pipeline and name != "_internal_dict"]:
            del own[name]
        own.update(call.pipeline)
        scheduler = vars(self._pipe.scheduler)
        scheduler.clear()
        scheduler.update(call.scheduler)
        for name, value in call.run.items():
            setattr(self._run, name, type(value)(value) if isinstance(value, (dict, list, set)) else value)
        self._run.features.resume(dict(call.nodes))
        self._run.scores.resume(dict(call.scores))
