"""The embedded data: complete, loadable, named; prompts disjoint, known to the models and over everything they draw."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from diffusers.utils import logging
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file

from frdiff_tune import demo
from frdiff_tune.errors import MeasureError, ModelError
from frdiff_tune.runtime import load_pipeline

TEXT = ("prompts/search.txt", "prompts/held_out.txt")
ROWS = tuple(f"prompts/{part}_{task}.jsonl" for part in ("search", "held_out") for task in ("img2img", "inpaint"))
CLASSES = ("prompts/search_classes.txt", "prompts/held_out_classes.txt")
COUNTS = (96, 32)
"""Lines to search with and lines held out."""
ARTICLES = ("", "a ", "the ", "an emoji of a ", "a picture of a ", "cute ")
KINDS = {  # from the first to the last name of each run of the vocabulary
    "face": ("beaming face with smiling eyes", "speak-no-evil monkey"),
    "heart": ("black heart", "yellow heart"),
    "animal": ("badger", "spider"),
    "plant": ("blossom", "seedling"),
    "fruit or vegetable": ("banana", "potato"),
    "sweet": ("birthday cake", "soft ice cream"),
    "drink": ("beer mug", "wine glass"),
    "meal": ("bagel", "sushi"),
    "weather": ("cloud", "umbrella"),
}


def lines(name: str) -> list[str]:
    return demo.prompts_file(name).read_text(encoding="utf-8").splitlines()


def parts(prompt: str) -> tuple[str, str, str]:
    """Takes a prompt apart: what stands before the subject, the subject, the background; fails on any other form."""
    colour = "|".join(demo.colours())
    found = re.fullmatch(rf"(.*?)(?: on (?:a |an )?({colour})(?: background)?|, ({colour}) background)?", prompt)
    assert found is not None
    front = max((article for article in ARTICLES if found[1].startswith(article)), key=len)
    return front, found[1][len(front) :], found[2] or found[3] or "white"


def kind(name: str) -> str:
    names = demo.names()
    place = names.index(name)
    return next(kind for kind, (first, last) in KINDS.items() if names.index(first) <= place <= names.index(last))


def test_vocabulary() -> None:
    assert len(demo.names()) == len(set(demo.names())) == 360
    assert demo.colours() == ("white", "yellow", "orange", "pink", "purple", "blue", "green", "gray", "black")
    assert {kind(name) for name in demo.names()} == set(KINDS)


@pytest.mark.parametrize("name", ["emoji", "emoji-dit"])
def test_folder_is_complete_and_stands_alone(name: str) -> None:
    index = json.loads((demo.model_folder(name) / "model_index.json").read_text(encoding="utf-8"))
    parts = {key for key, value in index.items() if isinstance(value, list) and value[0] is not None}
    assert parts == {path.name for path in demo.model_folder(name).iterdir() if path.is_dir()}
    for weights in demo.model_folder(name).rglob("*.safetensors"):
        assert not weights.is_symlink()
        assert all(bool(tensor.isfinite().all()) for tensor in load_file(weights).values())


def test_one_autoencoder_for_both() -> None:
    first, second = (demo.model_folder(name) / "vae" for name in ("emoji", "emoji-dit"))
    assert {file.name for file in first.iterdir()} == {"config.json", "diffusion_pytorch_model.safetensors"}
    assert all(file.read_bytes() == (second / file.name).read_bytes() for file in first.iterdir())


def test_text_model_loads_and_draws() -> None:
    from diffusers import StableDiffusionPipeline

    pipe = StableDiffusionPipeline.from_pretrained(demo.model_folder("emoji"))
    assert sum(weight.numel() for weight in pipe.unet.parameters()) == pytest.approx(7.08e6, rel=0.001)
    assert {weight.dtype for weight in pipe.text_encoder.parameters()} == {torch.float32}
    latents = torch.randn(1, 4, 32, 32, generator=torch.Generator().manual_seed(0))
    prompt = "the red heart on a yellow background"
    image = pipe(prompt, num_inference_steps=10, guidance_scale=3.0, latents=latents, output_type="np").images[0]
    picture = image * 255
    assert picture.shape == (128, 128, 3)
    assert picture[:8, :8].mean((0, 1)) == pytest.approx((255, 236, 150), abs=12)
    red, green, blue = picture[54:74, 54:74].mean((0, 1))
    assert red > green + 100 and red > blue + 80


def test_class_model_loads_and_knows_the_names() -> None:
    from diffusers import DiTPipeline

    pipe = DiTPipeline.from_pretrained(demo.model_folder("emoji-dit"))
    assert sum(weight.numel() for weight in pipe.transformer.parameters()) == pytest.approx(7.66e6, rel=0.001)
    assert pipe.labels == {name: place for place, name in enumerate(demo.names())}


def test_prompts_stay_inside_the_vocabulary() -> None:
    from transformers import CLIPTokenizer

    tokenizer = CLIPTokenizer.from_pretrained(demo.model_folder("emoji") / "tokenizer")
    rows = [json.loads(row)["prompt"] for name in ROWS for row in lines(name)]
    for prompt in lines(TEXT[0]) + lines(TEXT[1]) + rows:
        tokens = tokenizer.convert_ids_to_tokens(tokenizer(prompt).input_ids)
        assert len(tokens) <= tokenizer.model_max_length, prompt
        assert all(token.endswith("</w>") for token in tokens[1:-1]), (prompt, tokens)  # whole words, no letters


@pytest.mark.parametrize(("name", "count"), zip(TEXT, COUNTS, strict=True))
def test_prompts_cover_what_the_model_draws(name: str, count: int) -> None:
    prompts = [parts(prompt) for prompt in lines(name)]
    assert len(prompts) == len(set(lines(name))) == count
    assert {front for front, _, _ in prompts} == set(ARTICLES)
    assert {colour for _, _, colour in prompts} == set(demo.colours())
    assert {kind(subject) for _, subject, _ in prompts} == set(KINDS)
    assert {colour for _, _, colour in prompts[:16]} == set(demo.colours())  # benchmarks/tables/demo.toml searches with 16


@pytest.mark.parametrize(("name", "count"), zip(CLASSES, COUNTS, strict=True))
def test_classes_cover_what_the_model_draws(name: str, count: int) -> None:
    assert len(lines(name)) == len(set(lines(name))) == count
    assert {kind(subject) for subject in lines(name)} == set(KINDS)


def test_every_picture_is_small_and_used() -> None:
    used = {path for name in ROWS for row in lines(name) for path in json.loads(row).values() if path.endswith(".png")}
    folder = demo.picture_file("pictures/cat.png").parent
    assert used == {f"../pictures/{path.name}" for path in folder.iterdir()}
    assert sum(path.stat().st_size for path in folder.iterdir()) < 300_000
    for path in folder.iterdir():
        with Image.open(path) as picture:
            assert picture.size == (128, 128)


def test_nothing_is_both_searched_and_held_out() -> None:
    searched, held_out = ({parts(prompt)[1] for prompt in lines(name)} for name in TEXT)
    assert (len(searched), len(held_out)) == COUNTS
    assert not searched & held_out
    assert not set(lines(CLASSES[0])) & set(lines(CLASSES[1]))


def test_unknown_names_are_refused_with_the_nearest() -> None:
    with pytest.raises(ModelError, match='"demo:emoji", "demo:emoji-dit".* got "demo:emoji-dti".* "demo:emoji-dit"'):
        demo.model_folder("emoji-dti")
    with pytest.raises(MeasureError, match=r'got "demo:prompts/serch.txt".*mean "demo:prompts/search.txt"'):
        demo.prompts_file("prompts/serch.txt")
    with pytest.raises(MeasureError, match=r'"demo:pictures/blue-drop.png", .*, .... but got .*/cta.png".*cat.png'):
        demo.picture_file("pictures/cta.png")
    with pytest.raises(ModelError, match="embedded model"):
        demo.model_folder("../lpips")


def test_alexnet_gives_the_recorded_lpips() -> None:
    import lpips

    with safe_open(demo.alexnet_weights(), "pt") as file:
        assert {file.get_slice(key).get_dtype() for key in file.keys()} == {"F32"}
    metric = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False)
    for key, tensor in load_file(demo.alexnet_weights()).items():
        _, layer, part = key.split(".")
        stage = ("0", "3", "6", "8", "10").index(layer) + 1
        metric.net.get_parameter(f"slice{stage}.{layer}.{part}").data.copy_(tensor)
    pairs = load_file(Path(__file__).parents[1] / "data" / "lpips_reference.safetensors")
    for size in (64, 128):
        with torch.inference_mode():
            found = metric(pairs[f"image0_{size}"], pairs[f"image1_{size}"]).flatten()
        torch.testing.assert_close(found, pairs[f"lpips_{size}"].flatten(), rtol=1e-4, atol=1e-5)


def test_importing_demo_loads_nothing_heavy() -> None:
    code = "import sys, frdiff_tune.demo; print({'torch', 'diffusers', 'numpy', 'optuna'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_loading_leaves_progress_bars_as_they_were() -> None:
    logging.disable_progress_bar()
    try:
        load_pipeline("demo:emoji-dit", device="cpu")
        assert not logging.is_progress_bar_enabled()
    finally:
        logging.enable_progress_bar()
    load_pipeline("demo:emoji-dit", device="cpu")
    assert logging.is_progress_bar_enabled()
