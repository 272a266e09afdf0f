"""The shelves of the cache folder: what is kept there, how much it takes, and what goes when room is wanted.

    folder / shelf / first two digits / key / { lock, used, about.json, what joblib has written }

An entry is in use while its lock is held; it is then left alone. The lock's own file always stays: a process that waits for it
must wait for the same file as the next one.
"""

import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

GIB = 2**30
LIMIT_GIB = 20.0
"""How much is kept at most, unless $FRDIFF_TUNE_CACHE_GIB says otherwise."""
LOCK, USED, ABOUT = "lock", "used", "about.json"


@dataclass(frozen=True, slots=True)
class Entry:
    """One kept block of pictures or recording.

    Arguments:
        shelf: ``references`` or ``recordings``.
        place: Its folder.
        nbytes: Bytes on the disk.
        used: When it was last asked for, in s since 1970.
        about: What it is, in words by name; empty for entries of before.
    """

    shelf: str
    place: Path
    nbytes: int
    used: float
    about: Mapping[str, str]


def note(place: Path, about: Mapping[str, str] | None = None) -> None:
    """Notes that an entry was asked for, and what it is where it has just been made; its lock is held by the caller."""
    (place / USED).touch()
    if about is not None:
        (place / ABOUT).write_text(json.dumps(dict(about)), encoding="utf-8")


def entries(folder: Path) -> Iterator[Entry]:
    """Yields what is kept in a cache folder, in no order; nothing where there is no such folder."""
    for lock in folder.glob(f"*/*/*/{LOCK}"):
        place = lock.parent
        files = [path for path in place.rglob("*") if path.is_file() and path.name != LOCK]
        if any(path.name.startswith("output.pkl") for path in files):
            stamp = place / USED
            yield Entry(
                shelf=place.parts[-3],
                place=place,
                nbytes=sum(path.stat().st_size for path in files),
                used=(stamp if stamp.exists() else place).stat().st_mtime,
                about=_about(place / ABOUT),
            )


def prune(folder: Path, *, keep_bytes: float = float("inf"), older_than_s: float = float("inf")) -> tuple[Entry, ...]:
    """Removes entries, the longest unused first, until the rest keeps both bounds; returns those that are gone.

    Arguments:
        folder: The cache folder.
        keep_bytes: How much may stay.
        older_than_s: Entries that were not asked for in so many seconds go in any case.
    """
    kept = sorted(entries(folder), key=lambda entry: entry.used)
    left, now, gone = sum(entry.nbytes for entry in kept), time.time(), []
    for entry in kept:
        if (left > keep_bytes or now - entry.used > older_than_s) and _remove(entry.place):
            left -= entry.nbytes
            gone.append(entry)
    return tuple(gone)


def limit_bytes() -> float:
    """Returns how much a cache folder keeps: $FRDIFF_TUNE_CACHE_GIB, else 20 GiB."""
    try:
        return float(os.environ.get("FRDIFF_TUNE_CACHE_GIB", LIMIT_GIB)) * GIB
    except ValueError:
        return LIMIT_GIB * GIB


def _remove(place: Path) -> bool:
    """Removes what an entry holds, but for its lock; returns False if it is in use."""
    from filelock import FileLock, Timeout

    try:
        with FileLock(place / LOCK, timeout=0):
            for path in place.iterdir():
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                elif path.name != LOCK:
                    path.unlink(missing_ok=True)
    except (Timeout, OSError):
        return False
    return True


def _about(path: Path) -> dict[str, str]:
    try:
        found: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found
