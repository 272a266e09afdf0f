"""A scheduler on the bare pipeline, for methods that are no policy."""

from dataclasses import dataclass
from typing import Any

from frdiff_tune.measure import digest_of
from frdiff_tune.measure.bench import Bench
from frdiff_tune.runtime.solver import scheduler_info


@dataclass(frozen=True, slots=True)
class Sampler:
    """A scheduler, and with how many steps it is called.

    Arguments:
        scheduler: A diffusers scheduler; its configuration must tell it from any other.
        steps: What the caller passes as ``num_inference_steps``.
        nfe: Network calls of a picture.
    """

    scheduler: Any
    steps: int
    nfe: int

    @property
    def scheduler_info(self) -> dict[str, Any]:
        """The scheduler's class and whole configuration, as JSON values."""
        return scheduler_info(self.scheduler).model_dump(mode="json", by_alias=True)

    @property
    def digest(self) -> str:
        """SHA-256, hexadecimal, of all that changes the picture."""
        return digest_of([self.scheduler_info, self.steps])


@dataclass(frozen=True, slots=True)
class SamplerPainter:
    """The bare pipeline with another scheduler in it, while it draws.

    Arguments:
        bench: The pipeline.
        sampler: The scheduler, and its steps.
    """

    bench: Bench
    sampler: Sampler

    def ready(self) -> None:
        """Brings the pipeline to bare."""
        self.bench.use(None)

    def scheduler(self) -> Any:  # noqa: ANN401
        """Returns the scheduler that the next run walks."""
        return self.sampler.scheduler

    def __call__(self, **arguments: Any) -> Any:  # noqa: ANN401
        """Runs the pipeline once."""
        pipe = self.bench.pipe
        own = pipe.scheduler
        pipe.register_modules(scheduler=self.sampler.scheduler)
        try:
            return self.bench.run(self.sampler.steps, **arguments)
        finally:
            pipe.register_modules(scheduler=own)
