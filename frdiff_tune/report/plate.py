"""A figure of a report, written as PNG and SVG and carried inside the page."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from frdiff_tune.errors import StudyError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PRINT_DPI, PAGE_DPI = 200, 110
"""Of the PNG file, and of pictures that the page carries; charts are carried as SVG, without a resolution."""
KIND = {"svg": "image/svg+xml", "png": "image/png"}


@dataclass(frozen=True, slots=True)
class Plate:
    """A figure of a report.

    Arguments:
        name: Of its files, without an ending.
        figure: The figure.
        alt: What it shows, in a sentence, for those who do not see it.
        raster: Whether it is made of pictures, which the page carries as PNG.
    """

    name: str
    figure: Figure
    alt: str
    raster: bool = False

    def save(self, folder: Path) -> tuple[Path, Path]:
        """Writes the figure as PNG and as SVG and returns their paths.

        Raises:
            StudyError: If they cannot be written.
        """
        return self.save_as(folder, "png"), self.save_as(folder, "svg")

    def save_as(self, folder: Path, kind: str) -> Path:
        """Writes the figure in one format, ``png`` or ``svg``, and returns its path.

        Raises:
            StudyError: If it cannot be written.
        """
        path = folder / f"{self.name}.{kind}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self.drawn(kind, PRINT_DPI))
        except OSError as error:
            raise StudyError(f"`{folder}` could not be written: {error}. Give another folder with -o.") from error
        return path

    def placed(self) -> dict[str, Any]:
        """Returns what the template needs: the picture as a data URI, its size in CSS pixels, and words that stand for it."""
        kind = "png" if self.raster else "svg"
        data = b64encode(self.drawn(kind)).decode("ascii")
        width, height = (round(96 * inches) for inches in self.figure.get_size_inches())
        words = {"name": self.name, "alt": self.alt, "raster": self.raster}
        return {"uri": f"data:{KIND[kind]};base64,{data}", "width": width, "height": height, **words}

    def drawn(self, kind: str, dpi: int = PAGE_DPI) -> bytes:
        """Returns the figure's file.

        Arguments:
            kind: ``png`` or ``svg``.
            dpi: Resolution of a PNG, in pixels per inch.
        """
        buffer = BytesIO()
        self.figure.savefig(buffer, format=kind, dpi=dpi, metadata={"Date": None} if kind == "svg" else None)
        return buffer.getvalue()
