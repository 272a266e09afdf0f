from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from frdiff_tune.demo import alexnet_weights
from frdiff_tune.errors import MeasureError
from frdiff_tune.measure import Drawn, Lpips
from frdiff_tune.measure.metrics.lpips import HUB_FILE, backbone

REFERENCE = Path(__file__).parents[2] / "data" / "lpips_reference.safetensors"


@pytest.fixture(scope="module")
def lpips() -> Lpips:
    return Lpips()


def pictures(seed: int, side: int, count: int = 2) -> Drawn:
    return Drawn(np.random.default_rng(seed).integers(0, 256, size=(count, side, side, 3), dtype=np.uint8))


@pytest.mark.parametrize("side", [64, 128])
def test_equals_the_published_metric(lpips: Lpips, side: int) -> None:
    data = load_file(REFERENCE)
    got = lpips.distances(data[f"image0_{side}"], data[f"image1_{side}"])
    assert torch.allclose(got, data[f"lpips_{side}"], rtol=0, atol=1e-5)


def test_equal_pictures_are_at_zero(lpips: Lpips) -> None:
    same = pictures(0, 40, count=18)  # more than one chunk
    assert lpips(same, same) == (0.0,) * 18


def test_symmetric_and_split_into_chunks(lpips: Lpips) -> None:
    a, b = pictures(1, 128, count=17), pictures(2, 128, count=17)
    forward = lpips(a, b)
    assert forward == pytest.approx(lpips(b, a), abs=1e-6)
    assert forward[16] == pytest.approx(lpips(Drawn(a.pictures[16:]), Drawn(b.pictures[16:]))[0], abs=1e-5)


def test_small_pictures_are_brought_to_128_pixels(lpips: Lpips) -> None:
    a, b = pictures(3, 32), pictures(4, 32)
    x, y = (torch.from_numpy(p.pictures).permute(0, 3, 1, 2).float() / 127.5 - 1 for p in (a, b))
    large = [torch.nn.functional.interpolate(z, size=(128, 128), mode="bilinear") for z in (x, y)]
    assert lpips(a, b) == pytest.approx(lpips.distances(*large).tolist(), abs=1e-6)


def test_shapes_must_be_equal(lpips: Lpips) -> None:
    with pytest.raises(MeasureError, match=r"shape \(2, 16, 16, 3\) but got \(2, 32, 32, 3\)"):
        lpips(pictures(0, 32), pictures(0, 16))


def test_making_one_draws_no_random_number() -> None:
    before = torch.get_rng_state()
    Lpips()
    assert torch.equal(before, torch.get_rng_state())


def test_torchvision_s_own_file_is_preferred(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    ours = load_file(alexnet_weights())
    assert all(torch.equal(backbone()[name], ours[name]) for name in ours)
    file = tmp_path / "hub" / "checkpoints" / HUB_FILE
    file.parent.mkdir(parents=True)
    torch.save({name: tensor + 1 for name, tensor in ours.items()}, file)
    with pytest.warns(UserWarning, match="differs from the embedded"):
        assert torch.equal(backbone()["features.0.bias"], ours["features.0.bias"] + 1)
    file.write_bytes(b"half a file")
    with pytest.warns(UserWarning, match="cannot be used"):
        assert torch.equal(backbone()["features.0.bias"], ours["features.0.bias"])


def test_missing_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("frdiff_tune.measure.metrics.lpips.alexnet_weights", lambda: tmp_path / "none.safetensors")
    with pytest.raises(MeasureError, match="must find its backbone"):
        backbone()
