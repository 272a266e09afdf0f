"""The parts of the training that need no network: recipe, pictures, augmentation, prompts, files."""

import io
import json
from math import cos, pi
from pathlib import Path

import pytest
import torch

from frdiff_tune import demo
from frdiff_tune.errors import ModelError
from tools.train_demo.augmentation import laid_on, moved, premultiplied
from tools.train_demo.checkpoint import Checkpoint, whole_folder
from tools.train_demo.pictures import decode
from tools.train_demo.prompts import forms, token_table, tokenizer
from tools.train_demo.recipe import BACKGROUNDS, Phase, Recipe, phase_at


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_recipe_is_the_published_one() -> None:
    recipe = Recipe()
    assert recipe.names == demo.names() and tuple(BACKGROUNDS) == demo.colours()
    assert [(phase.steps, phase.rate) for phase in recipe.text] == [(11_400, 1.5e-3), (5_800, 7e-4)]
    assert [(phase.steps, phase.rate) for phase in recipe.classes] == [(35_900, 1e-3)]
    assert (recipe.batch, recipe.autoencoder_batch, recipe.moves, recipe.dropped, recipe.decay) == (512, 96, 9, 0.1, 0.9995)


def test_rate_falls_along_a_cosine() -> None:
    phase = Phase(5, 2.0, floor=0.5)
    expected = [2 * (0.5 + 0.25 * (1 + cos(pi * part / 4))) for part in range(5)]
    assert [phase.rate_at(step) for step in range(5)] == pytest.approx(expected)
    assert (phase.rate_at(0), phase.rate_at(2), phase.rate_at(4)) == pytest.approx((2.0, 1.5, 1.0))
    assert Phase(1, 2.0).rate_at(0) == 2.0


def test_phases_follow_one_another() -> None:
    phases = (Phase(2, 1.0), Phase(3, 2.0))
    assert [phase_at(phases, step) for step in range(5)] == [
        (phases[0], 0),
        (phases[0], 1),
        (phases[1], 0),
        (phases[1], 1),
        (phases[1], 2),
    ]


def test_shortened_keeps_proportions() -> None:
    short = Recipe().shortened(172)
    assert [phase.steps for phase in short.text] == [114, 58]
    assert [phase.steps for phase in short.autoencoder + short.classes] == [172, 172]
    with pytest.raises(ModelError, match="`steps` must be at least 1 .* got 0"):
        Recipe().shortened(0)


def test_backgrounds_show_where_a_picture_is_clear() -> None:
    rgba = torch.zeros(9, 4, 2, 2, dtype=torch.uint8)
    rgba[:, :, 0, 0] = torch.tensor([200, 100, 0, 255])  # opaque
    rgba[:, :, 0, 1] = torch.tensor([200, 100, 0, 51])  # a fifth
    seen = (laid_on(premultiplied(rgba), torch.arange(9)) + 1) * 127.5
    for place, colour in enumerate(BACKGROUNDS.values()):
        assert seen[place, :, 1, 1].tolist() == pytest.approx(colour, abs=0.01)
        assert seen[place, :, 0, 0].tolist() == pytest.approx((200, 100, 0), abs=0.01)
        mixed = [0.2 * own + 0.8 * below for own, below in zip((200, 100, 0), colour, strict=True)]
        assert seen[place, :, 0, 1].tolist() == pytest.approx(mixed, abs=0.01)


def test_moves_are_small_and_mirror_half() -> None:
    pictures = torch.zeros(400, 4, 64, 64)
    pictures[:, 3, 16:48, 8:24] = 1.0  # a bar left of the middle, 32 high, 16 wide
    seen = moved(pictures, generator())[:, 3]
    assert seen.shape == (400, 32, 32)
    mass = seen.sum((1, 2))
    areas = (mass * 4 / (32 * 16)).sort().values  # of the bar: 1 / scale squared
    assert 1 / 1.17**2 < areas[0] < 1 / 1.14**2 and 1 / 1.0**2 < areas[-1] < 1 / 0.97**2
    columns, rows = ((seen.sum(axis) * (torch.arange(32) - 15.5)).sum(1) / mass for axis in (1, 2))
    assert columns.abs().min() > 5 and columns.abs().max() < 10.5 and rows.abs().max() < 3.0
    assert 160 < int((columns > 0).sum()) < 240


def test_a_picture_of_another_shape_is_fitted_in() -> None:
    from PIL import Image

    file = io.BytesIO()
    Image.new("RGBA", (256, 512), (10, 200, 40, 255)).save(file, "webp", lossless=True)
    rgba = decode(file.getvalue())
    assert rgba.shape == (4, 256, 256)
    assert rgba[:, 128, 128].tolist() == [10, 200, 40, 255] and rgba[3, 128, 32] == 0


def test_prompt_forms() -> None:
    assert forms("fox", "blue", every_form=False) == ("fox on a blue background", "a fox on a blue background")
    assert forms("fox", "white", every_form=False) == ("fox", "a fox")
    every = forms("fox", "white", every_form=True)
    assert len(every) == len(set(every)) == len(forms("fox", "blue", every_form=True)) == 24
    assert {"fox", "a fox on white", "the fox, white background", "an emoji of a fox", "cute fox"} <= set(every)


def test_tokens_are_what_the_pipeline_reads() -> None:
    table = token_table(("fox", "sun"), ("white", "blue"), every_form=False)
    assert table.shape == (2, 2, 2, 16)
    pipeline_reads = tokenizer()("a fox on a blue background", padding="max_length", max_length=16, return_tensors="pt")
    assert torch.equal(table[0, 1, 1], pipeline_reads.input_ids[0])


def test_checkpoint_is_whole_or_not_there(tmp_path: Path) -> None:
    path = tmp_path / "stage.pt"
    Checkpoint(1, {"seed": 0}, {"weights": torch.ones(2)}).save(path)
    with pytest.raises(Exception, match="pickle"):
        Checkpoint(2, {"seed": 0}, {"weights": lambda: None}).save(path)
    assert Checkpoint.load(path, {"seed": 0}).step == 1
    assert [file.name for file in tmp_path.iterdir()] == ["stage.pt"]
    with pytest.raises(ModelError, match="`seed` must stay 0.*but got 1"):
        Checkpoint.load(path, {"seed": 1})
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ModelError, match="must be a checkpoint.*Delete it"):
        Checkpoint.load(path, {"seed": 0})


def test_folder_is_whole_or_as_before(tmp_path: Path) -> None:
    target = tmp_path / "model"
    for content in ("one", "two"):
        with whole_folder(target) as folder:
            (folder / "index.json").write_text(json.dumps(content))
    with pytest.raises(OSError, match="full"), whole_folder(target) as folder:
        (folder / "index.json").write_text("half")
        raise OSError("full")
    assert json.loads((target / "index.json").read_text()) == "two"
    assert [file.name for file in tmp_path.iterdir()] == ["model"]
