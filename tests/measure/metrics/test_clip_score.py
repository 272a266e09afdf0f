from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from PIL import Image

from frdiff_tune.demo import model_folder
from frdiff_tune.errors import MeasureError
from frdiff_tune.measure import Drawn, load_paired
from frdiff_tune.measure.metrics.clip_score import MODEL


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny CLIP under the published one's name, in the form that its publisher uses."""
    place = tmp_path_factory.mktemp("weights")
    tokenizer = transformers.CLIPTokenizer.from_pretrained(model_folder("emoji") / "tokenizer")
    torch.manual_seed(0)
    width = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = {"vocab_size": len(tokenizer), "eos_token_id": tokenizer.eos_token_id, "bos_token_id": tokenizer.bos_token_id}
    config = transformers.CLIPConfig(
        text_config={**width, **text}, vision_config={**width, "image_size": 32, "patch_size": 16}, projection_dim=8
    )
    transformers.CLIPModel(config).save_pretrained(place / MODEL.split("/")[1])
    extractor = transformers.CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    transformers.CLIPProcessor(extractor, tokenizer).save_pretrained(place / MODEL.split("/")[1])
    return place


def drawn(seed: int, shape: tuple[int, ...] = (2, 32, 32, 3)) -> Drawn:
    pictures = np.random.default_rng(seed).integers(0, 256, size=shape, dtype=np.uint8)
    return Drawn(pictures, prompts=("a fox", "a blue house")[: shape[0]])


def test_is_the_difference_of_two_cosines(folder: Path) -> None:
    (metric,) = load_paired(["clip_score_change"], weights=folder)
    ours, theirs = drawn(0), drawn(1)
    place = folder / MODEL.split("/")[1]
    model, processor = transformers.CLIPModel.from_pretrained(place), transformers.CLIPProcessor.from_pretrained(place)
    wanted = []
    for each in (ours, theirs):
        images = [Image.fromarray(picture) for picture in each.pictures]
        with torch.inference_mode():
            given = model(**processor(text=list(each.prompts or ()), images=images, return_tensors="pt", padding=True))
        wanted.append((100 * (given.image_embeds * given.text_embeds).sum(1)).clip(0))
    assert metric(ours, theirs) == pytest.approx((wanted[0] - wanted[1]).tolist(), abs=1e-3)
    assert any(abs(value) > 1e-2 for value in metric(ours, theirs)), "else nothing was compared"
    assert metric(ours, ours) == (0.0, 0.0)


def test_a_video_is_the_mean_of_its_frames(folder: Path) -> None:
    (metric,) = load_paired(["clip_score_change"], weights=folder)
    video, wanted = drawn(2, (1, 3, 32, 32, 3)), drawn(3, (1, 3, 32, 32, 3))
    frames = [
        metric(Drawn(a[None], prompts=("a fox",)), Drawn(b[None]))[0]
        for a, b in zip(video.pictures[0], wanted.pictures[0], strict=True)
    ]
    assert metric(video, wanted) == pytest.approx((sum(frames) / 3,))


def test_what_it_needs(folder: Path, tmp_path: Path) -> None:
    (metric,) = load_paired(["clip_score_change"], weights=folder)
    with pytest.raises(MeasureError, match="needs a prompt for every picture"):
        metric(Drawn(drawn(0).pictures), drawn(1))
    (tmp_path / MODEL.split("/")[1]).mkdir()
    with pytest.raises(MeasureError, match="clip_score_change got no CLIP from .* Put the files of openai/"):
        load_paired(["clip_score_change"], weights=tmp_path)
