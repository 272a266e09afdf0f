"""``frdiff-tune cache``."""

from __future__ import annotations

from typing import Annotated, Literal

import typer


def cache(
    action: Annotated[Literal["list", "size", "prune"], typer.Argument(help="list, size or prune.")] = "size",
    keep_gib: Annotated[float | None, typer.Option(min=0, help="prune: keep the newest up to this many GiB.")] = None,
    older_than: Annotated[float | None, typer.Option(min=0, help="prune: remove what was unused for this many days.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="prune: remove all that is not in use.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")] = False,
) -> None:
    """List, measure or prune the reference pictures and recordings that are kept between runs.

    They are kept under $FRDIFF_TUNE_CACHE, else in frdiff-tune in your cache folder, up to $FRDIFF_TUNE_CACHE_GIB (20): \
beyond it those that were unused for longest go. What is pruned is made again when it is needed; what is in use stays.

    [dim]Example:[/dim]  frdiff-tune cache prune --older-than 30
    """
    from frdiff_tune.cli.console import print_json, results
    from frdiff_tune.errors import MeasureError
    from frdiff_tune.measure.shelf import GIB, entries, prune
    from frdiff_tune.report.shelves import shelves_json, shelves_table, sizes
    from frdiff_tune.search import cache_folder

    folder = cache_folder()
    if action != "prune":
        kept = sorted(entries(folder), key=lambda entry: -entry.used)
        if as_json:
            print_json(shelves_json(folder, kept, whole=action == "list"))
            return
        if action == "list":
            results().print(shelves_table(kept))
        results().print(f"{folder}: {sizes(kept)}", markup=False, soft_wrap=True)
        return
    if keep_gib is None and older_than is None and not everything:
        raise MeasureError("`prune` must be told what may go but got no bound. Give --keep-gib, --older-than DAYS or --all.")
    bytes_kept = 0.0 if everything else float("inf") if keep_gib is None else keep_gib * GIB
    gone = prune(folder, keep_bytes=bytes_kept, older_than_s=float("inf") if older_than is None else older_than * 86_400)
    left = list(entries(folder))
    if as_json:
        print_json({"removed": shelves_json(folder, gone, whole=False), "left": shelves_json(folder, left, whole=False)})
    else:
        results().print(f"{folder}: removed {sizes(gone)}; left {sizes(left)}", markup=False, soft_wrap=True)
