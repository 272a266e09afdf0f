"""Every paired metric: equal pictures are best, worse ones worse; values by hand."""

from math import log10
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from frdiff_tune.errors import MeasureError
from frdiff_tune.measure import PAIRED, Drawn, load_paired
from frdiff_tune.measure.weights import WeightsFile, find_weights

EMBEDDED = [name for name in PAIRED if name not in ("lpips_vgg", "lpips_squeeze", "clip_score_change")]
SIDE = 176


def drawn(seed: int, noise: float = 0.0, shape: tuple[int, ...] = (2, SIDE, SIDE, 3)) -> Drawn:
    rng = np.random.default_rng(0)
    y, x = np.mgrid[: shape[-3], : shape[-2]]
    plain = 128 + 60 * np.sin(x / 9)[..., None] * np.cos(y / 7)[..., None] + np.zeros(shape)
    moved = plain + noise * np.random.default_rng(seed).normal(size=shape)
    latents = rng.normal(size=(shape[0], 4, 8, 8)) + noise / 60 * np.random.default_rng(seed).normal(size=(shape[0], 4, 8, 8))
    return Drawn(moved.round().clip(0, 255).astype(np.uint8), latents.astype(np.float32))


@pytest.mark.parametrize("name", EMBEDDED)
def test_equal_is_best_and_more_noise_is_worse(name: str) -> None:
    (metric,) = load_paired([name])
    same, little, much = (metric(drawn(1, noise), drawn(1)) for noise in (0.0, 5.0, 40.0))
    sign = 1 if metric.better == "lower" else -1
    assert len(same) == 2
    for best, near, far in zip(same, little, much, strict=True):
        assert sign * best < sign * near < sign * far
    assert not any(sign * value > sign * metric.flip for value in same), "equal pictures are no flip"


@pytest.mark.parametrize("name", EMBEDDED)
def test_a_video_is_the_mean_of_its_frames(name: str) -> None:
    if name == "latent_l2":
        return
    (metric,) = load_paired([name])
    video, wanted = (drawn(2, noise, (2, 3, SIDE, SIDE, 3)) for noise in (9.0, 0.0))
    frames = metric(Drawn(video.pictures[0]), Drawn(wanted.pictures[0]))
    assert metric(video, wanted)[0] == pytest.approx(sum(frames) / 3, rel=1e-5)


def test_by_hand() -> None:
    psnr, latent = load_paired(["psnr", "latent_l2"])
    flat, off = (np.full((1, 4, 4, 3), value, np.uint8) for value in (100, 110))
    assert psnr(Drawn(off), Drawn(flat)) == pytest.approx((10 * log10(255**2 / 100),))
    best = (10 * log10(255**2 * 48),)
    assert psnr(Drawn(flat), Drawn(flat)) == pytest.approx(best), "as if one of 48 values were one level off"
    one = flat.copy()
    one[0, 0, 0, 0] += 1
    assert psnr(Drawn(one), Drawn(flat)) == pytest.approx(best)
    z, moved = np.array([[3.0, 4.0]], np.float32), np.array([[3.0, 5.0]], np.float32)
    assert latent(Drawn(flat, moved), Drawn(flat, z)) == pytest.approx((0.2,))
    with pytest.raises(MeasureError, match="latent_l2 needs latents"):
        latent(Drawn(flat), Drawn(flat))


def test_pictures_that_are_too_small_are_refused() -> None:
    (metric,) = load_paired(["ms_ssim"])
    small = drawn(0, 0.0, (1, 128, 128, 3))
    with pytest.raises(MeasureError, match="ms_ssim needs 176 px and got 128x128"):
        metric(small, small)


def test_an_unknown_metric_is_refused() -> None:
    with pytest.raises(MeasureError, match="must be among lpips, .* but got 'lpisp'"):
        load_paired(["lpisp"])


@pytest.mark.parametrize("name", ["lpips_vgg", "lpips_squeeze"])
def test_other_backbones_take_torchvisions_file_from_a_folder(name: str, tmp_path: Path) -> None:
    """Random weights under torchvision's names: LPIPS by the ``lpips`` package on the same backbone."""
    import torchvision  # type: ignore[import-untyped]
    from lpips import LPIPS

    made = {"lpips_vgg": torchvision.models.vgg16, "lpips_squeeze": torchvision.models.squeezenet1_1}[name]
    cls: Any = PAIRED[name]
    torch.manual_seed(0)
    network = made(weights=None)
    torch.save(network.state_dict(), tmp_path / cls.file.name)
    (metric,) = load_paired([name], weights=tmp_path)
    a, b = drawn(3, 20.0, (1, 64, 64, 3)), drawn(3, 0.0, (1, 64, 64, 3))
    own = LPIPS(net=cls.net, pnet_rand=True, verbose=False).eval()
    own.net.load_state_dict({key: network.state_dict()["features." + key.split(".", 1)[1]] for key in own.net.state_dict()})
    x, y = (torch.from_numpy(each.pictures).permute(0, 3, 1, 2).float() / 127.5 - 1 for each in (a, b))
    x, y = (torch.nn.functional.interpolate(each, size=(128, 128), mode="bilinear") for each in (x, y))
    with torch.inference_mode():
        assert metric(a, b) == pytest.approx(own(x, y).flatten().tolist(), rel=1e-5)


def test_weights_that_are_not_to_be_had_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    file = WeightsFile("some-12345678.pth", f"file://{tmp_path}/nowhere/some-12345678.pth")
    with pytest.raises(MeasureError, match=r"fid got no some-12345678.pth: it is not in .*Put the file into .*--weights"):
        find_weights("fid", file, tmp_path)
    (tmp_path / file.name).write_bytes(b"here")
    assert find_weights("fid", file, tmp_path) == tmp_path / file.name
