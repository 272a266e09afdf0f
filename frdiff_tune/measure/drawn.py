"""What one call has drawn: its pictures, and the latents that they were decoded from."""

import functools
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from frdiff_tune.errors import MeasureError
from frdiff_tune.measure.case import Case
from frdiff_tune.measure.picture import PictureError, Pictures, render
from frdiff_tune.runtime.patch import Patch

Latents = NDArray[np.float32]


class Painter(Protocol):
    """A pipeline, bare or under a policy; ``Contender`` is one."""

    def ready(self) -> object:
        """Brings the pipeline into the state that draws."""

    def scheduler(self) -> Any:  # noqa: ANN401
        """Returns the solver that the next run walks."""

    def __call__(self, **arguments: Any) -> object:  # noqa: ANN401
        """Runs the pipeline once."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """What one call has drawn.

    Arguments:
        pictures: 8-bit pictures, with shape (B, H, W, 3); of a video (B, F, H, W, 3).
        latents: What the scheduler's last step gave, float32, with shape (B, ...); None where it gave none.
        prompts: What the pictures were to show, B of them; None where a case has no prompt.
    """

    pictures: Pictures
    latents: Latents | None = None
    prompts: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, i: int) -> "Drawn":
        """Returns one picture with its latents, as a batch of one."""
        latents = None if self.latents is None else self.latents[i : i + 1]
        return Drawn(self.pictures[i : i + 1], latents, None if self.prompts is None else self.prompts[i : i + 1])

    @property
    def nbytes(self) -> int:
        """Bytes of pictures and latents."""
        return self.pictures.nbytes + (0 if self.latents is None else self.latents.nbytes)


def draw(painter: Painter, cases: Sequence[Case], call: Mapping[str, Any]) -> Drawn:
    """Returns what one call draws.

    Arguments:
        painter: The pipeline, its step count already given.
        cases: Cases of one kind, B of them.
        call: Arguments that are the same for all cases.

    Raises:
        PictureError: If a picture is not finite.
    """
    painter.ready()
    last = deque[Any](maxlen=1)
    with _watched(painter.scheduler(), last.append):
        pictures = render(painter, cases, call)
    return Drawn(pictures, _own(last[0], len(cases)) if last else None, prompts_of(cases))


def draw_latents(painter: Painter, cases: Sequence[Case], call: Mapping[str, Any]) -> Latents:
    """Returns the latents after every step of one call, with shape (T, B, ...).

    Arguments:
        painter: The pipeline, its step count already given.
        cases: Cases of one kind, B of them.
        call: Arguments that are the same for all cases.

    Raises:
        PictureError: If a picture is not finite.
        MeasureError: If the scheduler's steps gave nothing that belongs to the pictures.
    """
    painter.ready()
    every: list[Latents | None] = []
    with _watched(painter.scheduler(), lambda given: every.append(_own(given, len(cases)))):
        render(painter, cases, call)
    found = [each for each in every if each is not None]
    if not found or len(found) < len(every):
        raise MeasureError(
            "`latents` must be what the scheduler's steps give but those of this pipeline give none that belong to its "
            "pictures. Compare its pictures instead."
        )
    return np.stack(found)


def prompts_of(cases: Sequence[Case]) -> tuple[str, ...] | None:
    """Returns the prompts of cases; None if one has none."""
    prompts = [prompt for case in cases if isinstance(prompt := case.arguments.get("prompt"), str)]
    return tuple(prompts) if len(prompts) == len(cases) else None


def joined(parts: Sequence[Drawn]) -> Drawn:
    """Returns several as one; without latents, or prompts, where one has none.

    Arguments:
        parts: At least one, with pictures of one size.
    """
    latents = [part.latents for part in parts if part.latents is not None]
    prompts = [part.prompts for part in parts if part.prompts is not None]
    return Drawn(
        np.concatenate([part.pictures for part in parts]),
        np.concatenate(latents) if len(latents) == len(parts) else None,
        tuple(prompt for each in prompts for prompt in each) if len(prompts) == len(parts) else None,
    )


def check_black(drawn: Drawn, references: Drawn, cases: Sequence[Case]) -> None:
    """Checks that no picture is black where the reference is not: a safety checker's answer, or an overflow's.

    Arguments:
        drawn: The candidate's pictures.
        references: Those of the same cases.
        cases: The cases.

    Raises:
        PictureError: If one is.
    """
    ours, theirs = (each.pictures.reshape(len(each), -1).max(axis=1) for each in (drawn, references))
    for case, most, wanted in zip(cases, ours, theirs, strict=True):
        if most == 0 < wanted:
            raise PictureError(
                f"`pictures` must show something where the reference does but got a black one for case {case.label!r}, seed "
                f"{case.seed}. Run the model in a wider dtype, turn its safety checker off, or choose another policy.",
                "black",
            )


@contextmanager
def _watched(scheduler: Any, take: Callable[[Any], None]) -> Iterator[None]:  # noqa: ANN401
    """Shows what each of the scheduler's steps gives."""

    def watching(step: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(step)  # pipelines read the signature to see what a scheduler takes
        def watched(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            result = step(*args, **kwargs)
            take(result[0] if isinstance(result, tuple) else result.prev_sample)
            return result

        return watched

    patch = Patch(scheduler, "step", watching)
    try:
        yield
    finally:
        patch.remove()


def _own(latents: Any, count: int) -> Latents | None:  # noqa: ANN401
    """Returns a tensor as an array without the second half that a doubled batch has (DiT); None if it is no batch of ours."""
    if len(latents) not in (count, 2 * count):
        return None
    return np.asarray(latents[:count].detach().float().cpu().numpy())
