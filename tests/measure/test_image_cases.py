"""Cases with pictures: read with a clear word for what is wrong, known by their pixels, and what pipelines really take."""

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from frdiff_tune.errors import MeasureError
from frdiff_tune.measure import Case, ImageFile, Walk, blocks, call_arguments, image_arguments, load_cases, required_images
from tests.pipelines import ROWS
from tests.tiny import tiny_sd


def saved(folder: Path, name: str, size: tuple[int, int] = (32, 32), colour: str = "#4080c0") -> str:
    """Writes a picture whose left half is of one colour and whose right half is white."""
    folder.mkdir(exist_ok=True)
    picture = Image.new("RGB", size, "white")
    picture.paste(colour, (0, 0, size[0] // 2, size[1]))
    picture.save(folder / name)
    return name


def rows(folder: Path, *values: dict[str, Any]) -> Path:
    path = folder / "cases.jsonl"
    path.write_text("\n".join(map(json.dumps, values)), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def img2img() -> Any:
    return ROWS["SD img2img"].make()


@pytest.fixture(scope="module")
def inpaint() -> Any:
    return ROWS["SD inpaint, 4 channels"].make()


def test_which_arguments_take_pictures(img2img: Any, inpaint: Any) -> None:
    assert required_images(tiny_sd()) == ()
    assert all(required_images(ROWS[name].make()) == ("image",) for name in ("SD ControlNet", "SD upscale", "SD depth"))
    assert required_images(img2img) == ("image",) and required_images(inpaint) == ("image", "mask_image")
    assert image_arguments(inpaint) == {"image", "mask_image", "ip_adapter_image"}


def test_a_case_is_known_by_its_pixels(img2img: Any, tmp_path: Path) -> None:
    row = {"prompt": "a fox", "image": saved(tmp_path, "a.png")}
    (case,) = load_cases(img2img, rows(tmp_path, row), 1)
    image = case.arguments["image"]
    assert isinstance(image, ImageFile) and image.size == (32, 32) and case.label == "a fox"
    assert {case: 1}[pickle.loads(pickle.dumps(case))] == 1
    saved(tmp_path / "moved", "b.bmp")
    (moved,) = load_cases(img2img, rows(tmp_path, row | {"image": "moved/b.bmp"}), 1)
    assert moved == case and moved.digest == case.digest, "another place and format, the same pixels"
    (named,) = load_cases(img2img, rows(tmp_path, {"image": str(tmp_path / "a.png")}), 1)
    assert named.arguments["image"] == image and named.label == "a"
    saved(tmp_path, "a.png", colour="#4080c1")
    (changed,) = load_cases(img2img, rows(tmp_path, row), 1)
    assert changed.digest != case.digest
    with pytest.raises(MeasureError, match=r"a.png` must stay as it is while it is in use but its pixels have changed"):
        call_arguments([case])


def test_embedded_pictures(img2img: Any, tmp_path: Path) -> None:
    (case,) = load_cases(img2img, rows(tmp_path, {"prompt": "a cat", "image": "demo:pictures/cat.png"}), 1)
    embedded = load_cases(img2img, "demo:prompts/search_img2img.jsonl", 2)
    assert embedded[1].arguments["image"] == case.arguments["image"]
    with pytest.raises(MeasureError, match='got "demo:pictures/cart.png".*mean "demo:pictures/cat.png"'):
        load_cases(img2img, rows(tmp_path, {"image": "demo:pictures/cart.png"}), 1)


def test_equal_sizes_share_a_call(inpaint: Any, tmp_path: Path) -> None:
    for name, size, colour in (("small", 32, "blue"), ("other", 32, "red"), ("large", 64, "blue")):
        saved(tmp_path, f"{name}.png", (size, size), colour)
    names = ("small", "large", "other")
    values = [{"prompt": f"a {name}", "image": f"{name}.png", "mask_image": f"{name}.png"} for name in names]
    cases = load_cases(inpaint, rows(tmp_path, *values), 3)
    small, large, other = cases
    assert {frozenset(part) for part in blocks(cases, 8)} == {frozenset((small, other)), frozenset((large,))}
    given = call_arguments([small, other])
    assert [(image.mode, image.size) for image in given["image"]] == [("RGB", (32, 32))] * 2
    assert [image.mode for image in given["mask_image"]] == ["L", "L"]
    assert given["image"][1].getpixel((0, 0)) == (255, 0, 0)
    assert call_arguments([large])["image"].size == (64, 64)
    strong = Case({**other.arguments, "strength": 0.7}, other.seed)
    assert strong.kind != Case({**small.arguments, "strength": 0.6}).kind and strong.kind != other.kind


@pytest.mark.parametrize(
    ("row", "named"),
    [
        ({"prompt": "a fox"}, r"a row must hold `image` for StableDiffusionInpaintPipeline but none is in .*line 1. Add"),
        ({"image": "a.png"}, r"a row must hold `mask_image`"),
        ({"image": "none.png", "mask_image": "a.png"}, r"`image` of .*line 1: `.*none.png` must be .* No such file"),
        ({"image": "a.png", "mask_image": "text.png"}, r"`mask_image` of .*text.png` must be a picture but is none"),
        ({"image": "cut.png", "mask_image": "a.png"}, r"`image` of .*cut.png` must be a readable picture but got"),
        ({"image": 3, "mask_image": "a.png"}, r"must be the path of a picture, .* got 3 .* image, ip_adapter_image"),
        ({"image": [], "mask_image": "a.png"}, r"must be the path of a picture, or a list of paths, but got \[\]"),
        ({"image": "a.png", "mask_image": "b.png"}, r"`mask_image` must have the size of `image` but got 16x32 over 32x32"),
    ],
)
def test_bad_rows(inpaint: Any, tmp_path: Path, row: dict[str, Any], named: str) -> None:
    saved(tmp_path, "a.png")
    saved(tmp_path, "b.png", (16, 32))
    (tmp_path / "text.png").write_text("no picture", encoding="utf-8")
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "whole.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "whole.png").read_bytes()[:900])
    with pytest.raises(MeasureError, match=named):
        load_cases(inpaint, rows(tmp_path, {"prompt": "a fox", **row}), 1)


def test_lines_of_text_are_not_enough(inpaint: Any, tmp_path: Path) -> None:
    (tmp_path / "prompts.txt").write_text("a fox", encoding="utf-8")
    with pytest.raises(MeasureError, match=r"must be a .jsonl file for .*, which needs image and mask_image, .*prompts.txt"):
        load_cases(inpaint, tmp_path / "prompts.txt", 1)


def test_strengths_of_two_lengths_are_refused(img2img: Any, tmp_path: Path) -> None:
    image = saved(tmp_path, "a.png")
    values = [{"prompt": "a fox", "image": image, "strength": strength} for strength in (0.5, 0.7)]
    walk = Walk(img2img, load_cases(img2img, rows(tmp_path, *values), 2))
    with pytest.raises(MeasureError, match=r"strength = 0.5 walks 5 and one with strength = 0.7 walks 7. .* two studies"):
        walk.check(10)


TASKS: dict[str, tuple[dict[str, Any], int, bool]] = {  # a row's pictures, their side, whether two share a call
    "SD img2img": ({"image": "a.png"}, 32, True),
    "SD inpaint, 9 channels": ({"image": "a.png", "mask_image": "m.png"}, 32, True),
    "SD ControlNet": ({"image": "a.png"}, 32, True),
    "SD, two ControlNets": ({"image": ["a.png", "b.png"]}, 32, False),
    "SD upscale": ({"image": "a.png"}, 8, True),
}


@pytest.mark.parametrize("name", TASKS)
def test_a_batch_draws_what_single_calls_draw(name: str, tmp_path: Path) -> None:
    images, side, together = TASKS[name]
    pipe, values = ROWS[name].make(), []
    for prompt, colour in (("a fox", "#2080c0"), ("an owl", "#c08020")):
        for one in ("a.png", "b.png", "m.png"):
            saved(tmp_path / prompt, one, (side, side), colour)
        paths = {key: [f"{prompt}/{one}" for one in named] if isinstance(named, list) else f"{prompt}/{named}"
                 for key, named in images.items()}  # fmt: skip
        values.append({"prompt": prompt, **paths})
    cases = load_cases(pipe, rows(tmp_path, *values), 2)
    assert len(blocks(cases, 2)) == (1 if together else 2)
    drawn = [draw(pipe, [case]) for case in cases]
    assert np.abs(drawn[0] - drawn[1]).max() > 1e-3
    if together:
        np.testing.assert_allclose(draw(pipe, cases), np.concatenate(drawn), atol=2e-3)


def draw(pipe: Any, cases: Any) -> Any:
    return pipe(**call_arguments(cases), num_inference_steps=3, guidance_scale=3.0, output_type="np").images


def test_rows_of_a_video_pipeline(tmp_path: Path) -> None:
    pipe = ROWS["CogVideoX"].make()
    values = [{"prompt": "a fox", "num_frames": frames, "height": 32, "width": 32} for frames in (9, 9, 5)]
    cases = load_cases(pipe, rows(tmp_path, *values), 3)
    assert [len(part) for part in blocks(cases, 8)] == [2, 1]
    assert call_arguments(cases[:2])["num_frames"] == 9


class Clips(type(tiny_sd())):  # type: ignore[misc]
    """A pipeline that takes a clip, and one picture per call."""

    def __call__(self, prompt: Any, video: Any = None, image: Any = None, num_frames: int = 2, generator: Any = None) -> Any:
        return prompt, video, image


def test_clips_are_lists_of_frames_of_one_size_and_drawn_alone(tmp_path: Path) -> None:
    pipe = tiny_sd()
    pipe.__class__ = Clips
    for name, size in (("a.png", (32, 32)), ("b.png", (32, 32)), ("large.png", (64, 64))):
        saved(tmp_path, name, size)
    values: list[dict[str, Any]] = [{"prompt": "a fox", "video": ["a.png", "b.png"]}, {"prompt": "an owl", "image": "a.png"}]
    cases = load_cases(pipe, rows(tmp_path, *values), 2, seeds=2)
    assert [len(part) for part in blocks(cases, 8)] == [1, 1, 1, 1]
    prompt, video, image = pipe(**call_arguments([cases[0], cases[0]]))
    assert prompt == ["a fox", "a fox"] and [frame.size for frame in video] == [(32, 32)] * 2 and image is None
    assert pipe(**call_arguments([cases[1]]))[2].size == (32, 32)
    for video, named in (("a.png", "must be a list of paths, one per frame"), (["a.png", "large.png"], "frames of one size")):
        with pytest.raises(MeasureError, match=named):
            load_cases(pipe, rows(tmp_path, {"prompt": "a fox", "video": video}), 1)
