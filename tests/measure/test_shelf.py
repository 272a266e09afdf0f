import os
from pathlib import Path

from filelock import FileLock

from frdiff_tune.measure.references import stored
from frdiff_tune.measure.shelf import Entry, entries, prune

KEYS = {"old": "aa" * 32, "middle": "bb" * 32, "new": "cc" * 32}


def fill(folder: Path) -> dict[str, Entry]:
    for age, (name, key) in enumerate(reversed(KEYS.items())):
        stored(folder, key, lambda: b"x" * 100_000, about={"case": name})
        used = folder / "references" / key[:2] / key / "used"
        stamp = used.stat().st_mtime - 1000 * age
        os.utime(used, (stamp, stamp))
    return {entry.about["case"]: entry for entry in entries(folder)}


def test_the_longest_unused_goes_first_and_the_rest_is_found_again(tmp_path: Path) -> None:
    kept = fill(tmp_path)
    assert set(kept) == set(KEYS) and all(entry.nbytes > 100_000 for entry in kept.values())
    room = kept["middle"].nbytes + kept["new"].nbytes
    assert [entry.about["case"] for entry in prune(tmp_path, keep_bytes=room)] == ["old"]
    assert {entry.about["case"] for entry in entries(tmp_path)} == {"middle", "new"}
    assert stored(tmp_path, KEYS["new"], lambda: b"again") == b"x" * 100_000
    assert stored(tmp_path, KEYS["old"], lambda: b"again") == b"again", "what was pruned is made anew"


def test_by_age_and_what_is_in_use_stays(tmp_path: Path) -> None:
    kept = fill(tmp_path)
    with FileLock(kept["old"].place / "lock"):
        assert [entry.about["case"] for entry in prune(tmp_path, older_than_s=500)] == ["middle"]
    assert [entry.about["case"] for entry in prune(tmp_path, older_than_s=500)] == ["old"]
    assert prune(tmp_path / "none", keep_bytes=0) == ()


def test_what_is_made_beyond_the_limit_pushes_out_the_oldest(tmp_path: Path) -> None:
    kept = fill(tmp_path)
    os.environ["FRDIFF_TUNE_CACHE_GIB"] = str(2.5 * kept["new"].nbytes / 2**30)
    try:
        stored(tmp_path, "dd" * 32, lambda: b"x" * 100_000, about={"case": "newest"})
    finally:
        del os.environ["FRDIFF_TUNE_CACHE_GIB"]
    assert {entry.about["case"] for entry in entries(tmp_path)} == {"new", "newest"}
