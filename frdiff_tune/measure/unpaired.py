"""Unpaired sets: what a policy's pictures are compared with beside the reference of the same seeds.

The reference is compared with them as well: a distance between two sets of a few hundred pictures is far from 0 even where both
were drawn by the same model, so a policy's figure says something only beside the reference's own, of as many pictures.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from frdiff_tune.errors import MeasureError
from frdiff_tune.measure.bench import Bench
from frdiff_tune.measure.case import Case, blocks
from frdiff_tune.measure.drawn import Drawn
from frdiff_tune.measure.metrics import SetMetric
from frdiff_tune.measure.picture import Pictures
from frdiff_tune.measure.references import references
from frdiff_tune.policy import SetKind, SetQuality

SEEDS = "seeds"
"""Asks for the reference's pictures of the same prompts with other seeds."""
OTHER_SEED = 1_000_000_000
"""Other seeds count from here, where neither searched nor held-out cases are."""
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp"})


class Unpaired:
    """Metrics of the policy, and of the reference, against a third set.

    Arguments:
        ours: Metrics that compare the policy's pictures.
        reference: The same metrics, anew, for the reference's.
        kind: What the third set is.
    """

    def __init__(self, ours: Sequence[SetMetric], reference: Sequence[SetMetric], kind: SetKind) -> None:
        self._pairs, self._kind = tuple(zip(ours, reference, strict=True)), kind

    def take_others(self, pictures: Pictures) -> None:
        """Takes pictures of the third set, with shape (B, H, W, 3)."""
        for metric in (metric for pair in self._pairs for metric in pair):
            metric.take_real(pictures)

    def take(self, drawn: Drawn, wanted: Drawn) -> None:
        """Takes pictures of the policy and of the reference."""
        for ours, reference in self._pairs:
            ours.take(drawn.pictures)
            reference.take(wanted.pictures)

    def rows(self) -> Iterator[SetQuality]:
        """Yields the figures."""
        for ours, reference in self._pairs:
            yield ours.row(self._kind, reference.value()[0])


def other_pictures(
    bench: Bench, cases: Sequence[Case], size: int, steps: int, call: Mapping[str, Any], folder: Path
) -> Iterator[Pictures]:
    """Yields the reference's pictures of the same cases with other seeds, a block at a time.

    Arguments:
        bench: The pipeline; bare afterwards.
        cases: The cases.
        size: Pictures per call.
        steps: The reference's step count.
        call: Arguments that are the same for all cases.
        folder: Where references are kept.
    """
    others = [Case(case.arguments, OTHER_SEED + case.seed, case.name) for case in cases]
    for drawn in references(bench, blocks(others, size), steps, call, folder):
        yield drawn.pictures


def own_files(folder: Path, least: int) -> tuple[Path, ...]:
    """Returns the pictures of a folder, in the order of their names, those of folders in it included.

    Arguments:
        folder: The folder.
        least: How many there must be.

    Raises:
        MeasureError: If there is no such folder, or fewer pictures.
    """
    if not folder.is_dir():
        raise MeasureError(
            f'`unpaired` must be "{SEEDS}" or a folder of pictures but got {str(folder)!r}, where there is none. '
            "Correct its path, or leave it out."
        )
    found = tuple(sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES))
    if len(found) < least:
        raise MeasureError(
            f"`unpaired` must name a folder with as many pictures as there are cases, {least}, but {folder} has {len(found)}. "
            "Add some, or lower [cases] held_out_count."
        )
    return found


def own_pictures(files: Sequence[Path], height: int, width: int) -> Iterator[Pictures]:
    """Yields pictures from files, one at a time, with shape (1, H, W, 3): scaled, and cut at their longer side, to a size.

    Arguments:
        files: The files.
        height: H, in px.
        width: W, in px.

    Raises:
        MeasureError: If a file is no picture.
    """
    from PIL import Image, ImageOps

    for path in files:
        try:
            with Image.open(path) as image:
                fitted = ImageOps.fit(image.convert("RGB"), (width, height), Image.Resampling.LANCZOS)
        except OSError as error:
            raise MeasureError(
                f"`unpaired` must name a folder of pictures but {path} cannot be read ({error}). Take the file out of it."
            ) from error
        yield np.asarray(fitted)[None]
