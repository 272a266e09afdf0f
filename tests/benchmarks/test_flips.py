import pytest

from benchmarks.flips import threshold


def test_the_threshold_parts_flips_from_others() -> None:
    """Higher PSNR is better: the worst of the flips' neighbours bounds them; one flip with 26 dB stays among the others."""
    values = [12.0, 15.0, 18.0, 22.0, 26.0, 30.0, 35.0, 40.0]
    flips = [True, True, True, False, True, False, False, False]
    found = threshold("psnr", values, flips)
    assert found["threshold"] == 18.0 and found["flips_found"] == 0.75 and found["others_taken_for_flips"] == 0.0
    assert found["auroc"] == pytest.approx(1 - 1 / 16)
    lower = threshold("latent_l2", [-value for value in values], flips)
    assert lower == {**found, "threshold": -18.0}
