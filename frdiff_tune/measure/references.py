"""Reference pictures, made once per content and machine, on disk, shared by processes."""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import diffusers
import torch

from frdiff_tune.errors import MeasureError
from frdiff_tune.measure.bench import Bench, Contender
from frdiff_tune.measure.case import Case, digest_of
from frdiff_tune.measure.drawn import Drawn, Latents, draw, draw_latents, prompts_of
from frdiff_tune.measure.fingerprint import weights_fingerprint
from frdiff_tune.measure.hardware import attention_of, device_name, is_compiled, pipe_device
from frdiff_tune.measure.picture import picture_size
from frdiff_tune.measure.shelf import limit_bytes, note, prune
from frdiff_tune.runtime import describe_model

Value = TypeVar("Value")
LATENTS = "latents"
"""The shelf of what full runs pass through."""
Watch = Callable[[Sequence[Case]], AbstractContextManager[None]]
"""Cases of one call -> the context in which the bare pipeline draws them."""


def unwatched(cases: Sequence[Case]) -> AbstractContextManager[None]:
    """Returns a context in which nothing is watched.

    Arguments:
        cases: What is drawn.
    """
    return nullcontext()


def references(
    bench: Bench,
    blocks: Sequence[Sequence[Case]],
    steps: int,
    call: Mapping[str, Any],
    folder: Path,
    watch: Watch = unwatched,
) -> Iterator[Drawn]:
    """Yields what the bare pipeline draws of each block of cases, from the disk if they were made before.

    Two processes that need the same block at once make it once: the second waits. A process that was killed while
    writing leaves nothing that is taken for a picture.

    Arguments:
        bench: The pipeline; bare afterwards.
        blocks: Cases of one call each.
        steps: The reference's step count.
        call: Arguments that are the same for all cases.
        folder: Where the pictures are kept.
        watch: Gives the context in which a block is drawn that is not on the disk.

    Raises:
        MeasureError: If the folder cannot be written.
    """
    bench.use(None)
    setting = digest_of(setting_of(bench.pipe, steps, call))
    bare = Contender(bench, None, steps)
    for block in blocks:
        key = digest_of([setting, [case.digest for case in block]])
        kept = stored(folder, key, partial(_drawn, bare, block, call, watch), about=_about(bench.pipe, steps, block))
        pictures, latents = kept
        yield Drawn(pictures, latents, prompts_of(block))


def reference_latents(
    bench: Bench, blocks: Sequence[Sequence[Case]], steps: int, call: Mapping[str, Any], folder: Path
) -> Iterator[Latents]:
    """Yields the latents after every step of the bare pipeline's calls, a block each, with shape (T, B, ...).

    They are kept as the pictures are, for those that ask for them: T times the memory.

    Arguments:
        bench: The pipeline; bare afterwards.
        blocks: Cases of one call each.
        steps: The reference's step count.
        call: Arguments that are the same for all cases.
        folder: Where they are kept.

    Raises:
        MeasureError: If the folder cannot be written, or the scheduler's steps give nothing that belongs to the pictures.
    """
    bench.use(None)
    setting = digest_of(setting_of(bench.pipe, steps, call))
    bare = Contender(bench, None, steps)
    for block in blocks:
        key, about = digest_of([setting, [case.digest for case in block]]), _about(bench.pipe, steps, block)
        yield stored(folder, key, partial(draw_latents, bare, block, call), LATENTS, about)


def _drawn(bare: Contender, block: Sequence[Case], call: Mapping[str, Any], watch: Watch) -> tuple[Any, ...]:
    """Returns arrays, which a file of any version of ours can hold."""
    with watch(block):
        drawn = draw(bare, block, call)
    return drawn.pictures, drawn.latents


def _about(pipe: Any, steps: int, block: Sequence[Case]) -> dict[str, str]:  # noqa: ANN401
    return {"model": type(pipe).__name__, "steps": str(steps), "pictures": str(len(block)), "case": block[0].label}


def stored(
    folder: Path, key: str, make: Callable[[], Value], shelf: str = "references", about: Mapping[str, str] | None = None
) -> Value:
    """Returns what is kept under ``key``; makes and keeps it if there is nothing.

    Arguments:
        folder: Where such things are kept.
        key: Digest of all that it depends on.
        make: Makes it.
        shelf: Part of the folder for its kind.
        about: What it is, for lists.

    Raises:
        MeasureError: If the folder cannot be written.
    """
    from filelock import FileLock
    from joblib import Memory

    place = folder / shelf / key[:2] / key
    try:
        place.mkdir(parents=True, exist_ok=True)
        lock = FileLock(place / "lock")
        lock.acquire()
    except OSError as error:
        raise MeasureError(
            f"`cache_dir` must be a folder that can be written but got {folder} ({error}). Name another one, or make room."
        ) from error
    try:
        cached = Memory(place, verbose=0).cache(_made, ignore=["make"])
        made = not cached.check_call_in_cache(key, make)
        if made:
            _sweep(place)
        found: Value = _quietly(cached, key, make)
        note(place, (about or {}) if made else None)
    finally:
        lock.release()
    if made:
        prune(folder, keep_bytes=limit_bytes())
    return found


def peek(folder: Path, key: str, shelf: str = "references") -> Any:  # noqa: ANN401
    """Returns what is kept under ``key``; None if there is nothing."""
    from joblib import Memory

    place = folder / shelf / key[:2] / key
    if not place.is_dir():
        return None
    cached = Memory(place, verbose=0).cache(_made, ignore=["make"])
    return _quietly(cached, key, _nothing) if cached.check_call_in_cache(key, _nothing) else None


def _nothing() -> None:
    raise AssertionError("it is on the disk")


# joblib makes everything anew when this source changes, its annotations included
def _made(key: str, make: Callable[[], Any]) -> Any:  # noqa: ANN401
    return make()


def _quietly(cached: Callable[..., Any], key: str, make: Callable[[], Any]) -> Any:  # noqa: ANN401
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Persisting input arguments")
        return cached(key, make)


def _sweep(place: Path) -> None:
    """Removes what a killed writer left; joblib renames a file to its name only when it is whole."""
    for stray in place.rglob("output.pkl.*"):
        stray.unlink(missing_ok=True)


def setting_of(pipe: Any, steps: int, call: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ANN401
    """Returns all that full runs depend on beside the cases, as JSON values."""
    device = pipe_device(pipe)
    return {
        "weights": weights_fingerprint(pipe),
        "model": describe_model(pipe).digest,
        "pipeline": type(pipe).__name__,
        "scheduler": [type(pipe.scheduler).__name__, _plain(pipe.scheduler.config)],
        "steps": steps,
        "call": _plain(call),
        "dtype": str(pipe.dtype),
        "size": picture_size(pipe, call),
        "device": device_name(device),
        "threads": torch.get_num_threads() if device.type == "cpu" else None,  # they change the order of sums
        "launch": "compiled" if is_compiled(pipe) else "eager",
        "attention": attention_of(pipe),
        "versions": [torch.__version__, diffusers.__version__],
    }


def _plain(values: Mapping[str, Any]) -> dict[str, str]:
    """Returns values as text; diffusers' own notes begin with an underscore and have no fixed order."""
    return {name: repr(value) for name, value in sorted(values.items()) if not name.startswith("_")}
