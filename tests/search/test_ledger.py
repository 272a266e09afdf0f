import json
from dataclasses import asdict, replace

from frdiff_tune.measure import Measurement
from frdiff_tune.search.ledger import _read

BLOCK = Measurement(("a", "b"), {"lpips": (0.0, 0.2)}, (10.0,), (5.0,), (9.0,), 64, 3)


def test_a_block_reads_back() -> None:
    assert _read(json.dumps(asdict(BLOCK))) == BLOCK
    counted = replace(BLOCK, counts={"peak_mib": (2.5,)})
    assert _read(json.dumps(asdict(counted))) == counted


def test_blocks_from_before_anything_was_counted() -> None:
    row = asdict(BLOCK)
    del row["counts"]
    assert _read(json.dumps(row)) == BLOCK


def test_blocks_from_when_lpips_was_the_only_metric() -> None:
    row = asdict(BLOCK)
    row["lpips"] = row.pop("values")["lpips"]
    assert _read(json.dumps(row)) == BLOCK
