"""The cache folder, for people and for programs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

    from frdiff_tune.measure.shelf import Entry

MIB = 2**20


def sizes(kept: Sequence[Entry]) -> str:
    """Returns how many entries there are and what they take."""
    return f"{len(kept)} entr{'y' if len(kept) == 1 else 'ies'}, {sum(entry.nbytes for entry in kept) / MIB:,.1f} MiB"


def shelves_table(kept: Sequence[Entry]) -> Table:
    """Returns the entries as a table, in the order that they come in."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("kind", "MiB", "last used (UTC)", "model", "steps", "pictures", "first case"):
        table.add_column(heading, justify="right" if heading in ("MiB", "steps", "pictures") else "left")
    for entry in kept:
        about = [Text(entry.about.get(name, "unknown")) for name in ("model", "steps", "pictures", "case")]
        table.add_row(entry.shelf, f"{entry.nbytes / MIB:.2f}", _time(entry.used), *about)
    return table


def shelves_json(folder: Path, kept: Sequence[Entry], *, whole: bool) -> dict[str, Any]:
    """Returns the entries under keys that name their units; each one alone where ``whole``."""
    rows = [
        {"kind": entry.shelf, "bytes": entry.nbytes, "used": _time(entry.used), "path": str(entry.place), **entry.about}
        for entry in kept
    ]
    total = {"folder": str(folder), "count": len(kept), "bytes": sum(entry.nbytes for entry in kept)}
    return total | ({"entries": rows} if whole else {})


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
