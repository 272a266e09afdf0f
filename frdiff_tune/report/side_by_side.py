"""Pictures beside pictures: the reference and a policy, same prompts, same seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import fill
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray
    from PIL.Image import Image

COLUMN_IN, MARGIN_IN = 1.62, 1.15  # inches of a column, and of the row names at the left
PROMPT_CHARS = 22  # of a line above a column
DIFFERENCE = "difference\n(black: 25 % of the range, or more)"
FULL = 0.25  # of the range of a channel: a mean difference from which on the map is black


@dataclass(frozen=True, slots=True)
class Pair:
    """One held-out case, made twice.

    Arguments:
        label: The prompt or class.
        seed: Of the starting noise, the same for both.
        reference: The full pipeline's picture.
        candidate: The policy's picture.
        reference_ms: Wall time of the reference's call, in milliseconds.
        candidate_ms: Wall time of the policy's call, in milliseconds.
        lpips: LPIPS between the two.
    """

    label: str
    seed: int
    reference: Image
    candidate: Image
    reference_ms: float
    candidate_ms: float
    lpips: float


def side_by_side(pairs: Sequence[Pair], *, title: str, reference: str, candidate: str, difference: bool = False) -> Figure:
    """Draws pairs as columns: prompt above, reference, policy, and under each its time and LPIPS.

    Arguments:
        pairs: What to show; six fit a page.
        title: The figure's title.
        reference: Name of the reference's row, such as "50 DDIM steps".
        candidate: Name of the policy's row; either may hold line breaks.
        difference: Whether a third row shows how far the two are apart, from white (equal) to black.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    names = [reference, candidate] + [DIFFERENCE] * difference
    aspect = pairs[0].reference.height / pairs[0].reference.width
    size = (MARGIN_IN + COLUMN_IN * len(pairs), len(names) * (COLUMN_IN * aspect + 0.2) + 0.2 + 0.17 * _lines(pairs))
    figure = Figure(figsize=size, dpi=160, layout=ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.03))
    grid = figure.subplots(len(names), len(pairs), squeeze=False)
    for column, pair in enumerate(pairs):
        _picture(grid[0, column], pair.reference, f"{pair.reference_ms:,.0f} ms")
        _picture(grid[1, column], pair.candidate, f"{pair.candidate_ms:,.0f} ms · LPIPS {_digits(pair.lpips)}")
        if difference:
            apart = difference_map(pair)
            _picture(grid[2, column], apart, f"mean {100 * apart.mean():.2g} %", cmap="gray_r", vmin=0.0, vmax=FULL)
        grid[0, column].set_title(f"{fill(pair.label, PROMPT_CHARS)}\nseed {pair.seed}", fontsize=8.5)
    for row, name in enumerate(names):
        label = "\n".join(fill(line, 16) for line in name.splitlines())
        grid[row, 0].set_ylabel(label, rotation=0, ha="right", va="center", fontsize=8.5, fontweight="bold")
    figure.suptitle(title, x=0.02, ha="left", fontsize=11, fontweight="bold")
    return figure


def difference_map(pair: Pair) -> NDArray[np.float64]:
    """Returns how far a pair's pixels are apart, mean over channels, as shares of a channel's range, with shape (H, W)."""
    import numpy as np

    first, second = (np.asarray(each.convert("RGB"), dtype=np.float64) for each in (pair.reference, pair.candidate))
    apart: NDArray[np.float64] = np.abs(first - second).mean(axis=2) / 255
    return apart


def _lines(pairs: Sequence[Pair]) -> int:
    """Returns how many lines the longest heading takes: prompt, seed, and one for the title."""
    return 2 + max(fill(pair.label, PROMPT_CHARS).count("\n") + 1 for pair in pairs)


def _digits(lpips: float) -> str:
    return "0" if lpips == 0 else f"{lpips:.4f}" if lpips >= 1e-4 else f"{lpips:.0e}"


def _picture(axes: Axes, image: Any, caption: str, **look: Any) -> None:  # noqa: ANN401 - a picture or a map
    axes.imshow(image, interpolation="lanczos" if not look else "nearest", **look)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_color("#D0D5DB")  # a white picture on white paper still has an edge
    axes.set_xlabel(caption, fontsize=8.5)
