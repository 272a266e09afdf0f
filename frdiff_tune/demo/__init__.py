"""The embedded models, their prompts and pictures, and the backbone of LPIPS: where the files are.

    emoji       text to image, ``StableDiffusionPipeline``, 128x128 pixels: "a fox on a blue background"
    emoji-dit   class to image, ``DiTPipeline``, 128x128 pixels: "fox"

How they were trained is ``tools/train_demo``, how the pictures were made ``tools/demo_pictures.py``; what the models were
trained on and its licences stand in ``NOTICE``.
"""

import json
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

from frdiff_tune.errors import FrdiffError, MeasureError, ModelError

__all__ = ["EMBEDDED", "alexnet_weights", "colours", "model_folder", "names", "picture_file", "prompts_file"]

EMBEDDED = "demo:"
"""How the name of an embedded file begins where a path could stand."""

_FOLDER = Path(__file__).resolve().parent
_MODELS = ("emoji", "emoji-dit")
_LISTED = 8  # names in a message, at most
_PROMPTS = (
    "prompts/search.txt",
    "prompts/held_out.txt",
    "prompts/search_classes.txt",
    "prompts/held_out_classes.txt",
    "prompts/search_img2img.jsonl",
    "prompts/held_out_img2img.jsonl",
    "prompts/search_inpaint.jsonl",
    "prompts/held_out_inpaint.jsonl",
)


def model_folder(name: str) -> Path:
    """Returns the folder of an embedded model, in diffusers' layout.

    Arguments:
        name: "emoji" or "emoji-dit", without the "demo:" of a study file.

    Raises:
        ModelError: If there is no such embedded model.
    """
    return _known("an embedded model", name, _MODELS, _FOLDER / "models", ModelError)


def prompts_file(name: str) -> Path:
    """Returns an embedded list of cases: a text file, one prompt, class name or row of call arguments per line.

    Arguments:
        name: Such as "prompts/search.txt", without the "demo:" of a study file.

    Raises:
        MeasureError: If there is no such embedded file.
    """
    return _known("an embedded list of cases", name, _PROMPTS, _FOLDER, MeasureError)


def picture_file(name: str) -> Path:
    """Returns an embedded picture, as img2img and inpainting take it: a PNG file of 128x128 pixels.

    Arguments:
        name: Such as "pictures/fox.png", without the "demo:" of a row of call arguments.

    Raises:
        MeasureError: If there is no such embedded picture.
    """
    known = tuple(f"pictures/{path.name}" for path in sorted((_FOLDER / "pictures").glob("*.png")))
    return _known("an embedded picture", name, known, _FOLDER, MeasureError)


def alexnet_weights() -> Path:
    """Returns AlexNet's convolution weights, float32 safetensors under torchvision's key names."""
    return _FOLDER / "lpips" / "alexnet_features.safetensors"


def names() -> tuple[str, ...]:
    """Returns the 360 classes of ``emoji-dit`` in order, which are also the subjects that ``emoji`` knows."""
    return tuple(_vocabulary()["names"])


def colours() -> tuple[str, ...]:
    """Returns the nine backgrounds that ``emoji`` knows; the first, white, is there when a prompt names none."""
    return tuple(_vocabulary()["colours"])


@cache
def _vocabulary() -> dict[str, Any]:
    vocabulary: dict[str, Any] = json.loads((_FOLDER / "emoji_names.json").read_text(encoding="utf-8"))
    return vocabulary


def _known(what: str, name: str, known: tuple[str, ...], folder: Path, error: type[FrdiffError]) -> Path:
    if name in known:
        return folder / name
    near = get_close_matches(name, known, n=1, cutoff=0.0)[0]
    listed = ", ".join(f'"demo:{entry}"' for entry in known[:_LISTED]) + (", ..." if len(known) > _LISTED else "")
    raise error(f'`demo:` must name {what} ({listed}) but got "demo:{name}". Did you mean "demo:{near}"?')
