"""Every stage of the training, for a few steps on four small pictures; a run that was cut goes on to the same bits."""

import io
import json
import tarfile
from collections.abc import Iterable
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open

from frdiff_tune import demo
from frdiff_tune.errors import ModelError
from tools.train_demo.__main__ import STAGES, main
from tools.train_demo.checkpoint import Checkpoint
from tools.train_demo.classes import ClassStage
from tools.train_demo.pictures import LABELS, PICTURES, DataStage
from tools.train_demo.recipe import Phase, Recipe
from tools.train_demo.stage import Stage, run

NAMES = ("fox", "red heart", "sun", "pizza")
CODES = ("1F98A", "2764", "2600", "1F355")
RECIPE = Recipe(
    names=NAMES,
    moves=1,
    autoencoder_batch=2,
    batch=4,
    autoencoder=(Phase(2, 2e-3, floor=0.0),),
    text=(Phase(1, 1.5e-3, every_form=False), Phase(1, 7e-4)),
    classes=(Phase(2, 1e-3),),
)
CPU = torch.device("cpu")


def pack(path: Path, files: dict[str, bytes]) -> None:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def picture(place: int, size: tuple[int, int] = (256, 256)) -> bytes:
    """A disc whose colour tells its place, as a lossless WebP."""
    from PIL import Image, ImageDraw

    image = Image.new("RGBA", size)
    ImageDraw.Draw(image).ellipse((40, 40, 216, 216), fill=(60 * place, 200, 40, 255))
    file = io.BytesIO()
    image.save(file, "webp", lossless=True, exact=True)
    return file.getvalue()


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two packages laid out as npm's are, a text symbol's picture under its longer name."""
    folder = tmp_path_factory.mktemp("packages")
    labels = [{"label": name, "hexcode": code} for name, code in zip(NAMES, CODES, strict=True)]
    pack(folder / LABELS[1], {"en/data.json": json.dumps(labels[::-1]).encode()})
    endings = ("", "-fe0f", "-fe0f", "")
    codes = [code.lower() + ending for code, ending in zip(CODES, endings, strict=True)]
    pack(folder / PICTURES[1], {f"assets/{code}.webp": picture(place) for place, code in enumerate(codes)})
    return folder


@pytest.fixture(scope="module")
def trained(packages: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one whole run, through the command."""
    out = tmp_path_factory.mktemp("trained")
    assert main(["--out", str(out), "--packages", str(packages), "--device", "cpu"], RECIPE) == 0
    return out


def state(out: Path, name: str) -> dict[str, torch.Tensor]:
    """All tensors of a stage's checkpoint by their path in it: weights, optimiser, average, random numbers."""
    return dict(tensors(Checkpoint.load(STAGES[name].checkpoint(out), {}).state, name))


def tensors(value: Any, path: str) -> Iterable[tuple[str, torch.Tensor]]:  # noqa: ANN401 (a tree of anything)
    if isinstance(value, torch.Tensor):
        yield path, value
    elif isinstance(value, dict):
        for key, entry in value.items():
            yield from tensors(entry, f"{path}.{key}")


def made(name: str, out: Path, packages: Path) -> Stage:
    return DataStage(RECIPE, out, CPU, packages) if name == "data" else STAGES[name](RECIPE, out, CPU)


def layout(file: Path) -> dict[str, tuple[str, list[int]]]:
    with safe_open(file, "pt") as weights:
        slices = {key: weights.get_slice(key) for key in weights.keys()}
        return {key: (entry.get_dtype(), entry.get_shape()) for key, entry in slices.items()}


def settings(file: Path) -> dict[str, Any]:
    """A configuration but for versions, the classes, and the scale that follows from the pictures."""
    values: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    apart = ("_diffusers_version", "transformers_version", "id2label", "scaling_factor")
    return {key: value for key, value in values.items() if key not in apart}


@pytest.mark.parametrize("name", STAGES)
def test_a_cut_run_goes_on_to_the_same_bits(name: str, trained: Path, packages: Path, tmp_path: Path) -> None:
    own = {"autoencoder": "autoencoder", "text": "emoji", "class": "emoji-dit"}.get(name)
    for file in trained.iterdir():
        if file.name not in (f"{name}.pt", own):
            (tmp_path / file.name).symlink_to(file)
    calls = 1
    while not run(made(name, tmp_path, packages), deadline=-inf):  # long past: one step per call
        calls += 1
    assert calls == (len(NAMES) if name in ("data", "latents") else 2)
    expected, found = state(trained, name), state(tmp_path, name)
    assert expected.keys() == found.keys()
    assert all(torch.equal(tensor, found[path]) for path, tensor in expected.items())
    if own is not None:
        files = sorted(path.relative_to(trained / own) for path in (trained / own).rglob("*") if path.is_file())
        assert all((trained / own / file).read_bytes() == (tmp_path / own / file).read_bytes() for file in files)


def test_training_moves_the_weights_and_their_average(trained: Path) -> None:
    for name in ("text", "class"):
        tensors = state(trained, name)
        apart = [
            not torch.equal(tensor, tensors[path.replace(".networks.", ".average.module.")])
            for path, tensor in tensors.items()
            if ".networks." in path and tensor.is_floating_point()
        ]
        assert len(apart) > 100 and sum(apart) > 0.9 * len(apart)
        assert tensors[f"{name}.average.n_averaged"] == 2


@pytest.mark.parametrize("name", ["emoji", "emoji-dit"])
def test_folder_is_laid_out_as_the_embedded_one(name: str, trained: Path) -> None:
    embedded = demo.model_folder(name)
    files = {path.relative_to(embedded) for path in embedded.rglob("*") if path.is_file()}
    assert {path.relative_to(trained / name) for path in (trained / name).rglob("*") if path.is_file()} == files
    for file in files:
        if file.suffix == ".safetensors":
            assert layout(trained / name / file) == layout(embedded / file)
        elif file.parent.name == "tokenizer":
            assert (trained / name / file).read_bytes() == (embedded / file).read_bytes()
        else:
            assert settings(trained / name / file) == settings(embedded / file), file


def test_text_folder_loads_and_renders(trained: Path) -> None:
    from diffusers import StableDiffusionPipeline

    pipe = StableDiffusionPipeline.from_pretrained(trained / "emoji")
    image = pipe("a fox on a blue background", num_inference_steps=2, output_type="np").images[0]
    assert image.shape == (128, 128, 3) and image.std() > 0


def test_class_folder_loads_and_renders(trained: Path) -> None:
    from diffusers import DiTPipeline

    pipe = DiTPipeline.from_pretrained(trained / "emoji-dit")
    assert pipe.labels == {name: place for place, name in enumerate(NAMES)}
    image = pipe(pipe.get_label_ids(["red heart"]), num_inference_steps=2, output_type="np").images[0]
    assert image.shape == (128, 128, 3) and image.std() > 0


def test_latents_have_unit_variance(trained: Path) -> None:
    latents = state(trained, "latents")["latents.latents"].float()
    assert latents.shape == (4, 9, 1, 4, 32, 32)
    assert float(latents.std()) == pytest.approx(1, abs=0.2)  # measured on other moves of the same pictures


def test_the_embedded_weights_solve_what_is_trained(trained: Path) -> None:
    """Target, timesteps and conditions are those of the embedded DiT: on its own pictures its loss is low."""
    from diffusers import DiTPipeline

    pipe = DiTPipeline.from_pretrained(demo.model_folder("emoji-dit"))
    classes = pipe.get_label_ids(["fox", "pizza", "sun", "red heart"])
    random = torch.Generator().manual_seed(0)
    drawn = pipe(classes, guidance_scale=1.0, num_inference_steps=10, generator=random, output_type="np").images
    images = torch.from_numpy(drawn).permute(0, 3, 1, 2) * 2 - 1
    latents = pipe.vae.encode(images).latents.detach() * pipe.vae.config.scaling_factor
    stage = ClassStage(RECIPE, trained, CPU)
    stage.networks["transformer"].load_state_dict(pipe.transformer.state_dict())
    right = torch.tensor(classes)
    with torch.inference_mode():
        loss, other = (torch.cat([stage.losses(latents, labels) for _ in range(4)]).mean() for labels in (right, right.flip(0)))
    assert loss < 0.15  # of an untrained network: 1
    assert other > 3 * loss


def test_missing_stage_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--out", str(tmp_path), "--stages", "text", "--device", "cpu"], RECIPE) == 2
    assert "`--stages` must finish latents before text" in capsys.readouterr().err


def test_another_recipe_is_refused(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--out", str(trained), "--stages", "class", "--steps", "7", "--device", "cpu"], RECIPE) == 2
    assert "`autoencoder` must stay" in capsys.readouterr().err
    with pytest.raises(ModelError, match="`batch` must stay 4.*but got 5"):
        run(ClassStage(replace(RECIPE, batch=5), trained, CPU), inf)


def test_minutes_stop_and_say_so(packages: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--out", str(tmp_path), "--packages", str(packages), "--minutes", "0", "--device", "cpu"], RECIPE) == 0
    assert "data: 0 minutes are over; the same command goes on from here." in capsys.readouterr().out
    assert Checkpoint.load(tmp_path / "data.pt", {}).step == 1


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_a_device_that_is_not_there_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--device", "cuda"], RECIPE) == 2
    assert "`--device` must be a device of this machine but got cuda" in capsys.readouterr().err
