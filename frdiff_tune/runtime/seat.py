"""The scheduler's place in a pipeline: a policy's solver is put there, and the user's own comes back."""

from collections.abc import Callable
from typing import Any

from frdiff_tune.policy import Policy
from frdiff_tune.runtime.patch import Patch
from frdiff_tune.runtime.solver import build_scheduler, check_scheduler, scheduler_info


class SchedulerSeat:
    """Where a pipeline holds its scheduler.

    Arguments:
        pipe: The pipeline.

    Attributes:
        own: The user's scheduler.
    """

    def __init__(self, pipe: Any) -> None:  # noqa: ANN401
        self._pipe = pipe
        self.own = pipe.scheduler
        self._built: dict[str, Any] = {}

    def scheduler_of(self, policy: Policy) -> Any:  # noqa: ANN401
        """Returns the scheduler that a policy walks: the user's own object where it is the same.

        Raises:
            MismatchError: If the pipeline cannot walk it.
        """
        info = policy.sampling.scheduler
        if info == scheduler_info(self.own):
            return self.own
        key = info.model_dump_json()
        if key not in self._built:
            scheduler = build_scheduler(info)
            check_scheduler(self._pipe, scheduler)
            self._built[key] = scheduler
        return self._built[key]

    def install(self, scheduler: Any) -> None:  # noqa: ANN401
        """Gives the pipeline a scheduler; its configuration follows."""
        if self._pipe.scheduler is not scheduler:
            self._pipe.register_modules(scheduler=scheduler)

    def patch_save(self) -> Patch:
        """Makes ``save_pretrained`` write the user's own scheduler."""
        return Patch(self._pipe, "save_pretrained", self._saving)

    def _saving(self, save: Callable[..., Any]) -> Callable[..., Any]:
        def patched(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            present = self._pipe.scheduler
            self.install(self.own)
            try:
                return save(*args, **kwargs)
            finally:
                self.install(present)

        return patched
