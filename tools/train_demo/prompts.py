"""The forms of a prompt, as token numbers."""

from typing import Any

import torch
from torch import Tensor

from frdiff_tune.demo import model_folder

PLAIN = ("", "a ")
ARTICLES = (*PLAIN, "the ", "an emoji of a ", "a picture of a ", "cute ")


def forms(name: str, colour: str, every_form: bool) -> tuple[str, ...]:
    """Returns the prompts for one picture on one background, equally many for each.

    White may go unsaid: in the plain forms it does, of every form it does in a quarter. The other backgrounds are always
    named, the fullest ending counting twice.

    Arguments:
        name: Of the picture.
        colour: Of the background.
        every_form: Whether all six beginnings and three endings are used, or two beginnings and one ending.
    """
    full = f" on a {colour} background"
    endings = ["" if colour == "white" else full]
    if every_form:
        endings += [full, f" on {colour}", f", {colour} background"]
    return tuple(article + name + ending for article in (ARTICLES if every_form else PLAIN) for ending in endings)


def tokenizer() -> Any:  # noqa: ANN401 (transformers chooses the class)
    """Returns the embedded text model's tokenizer: byte pairs whose 1,528 words come from the names and forms."""
    from transformers import CLIPTokenizer

    return CLIPTokenizer.from_pretrained(model_folder("emoji") / "tokenizer")


def token_table(names: tuple[str, ...], colours: tuple[str, ...], every_form: bool) -> Tensor:
    """Returns the tokens of every prompt, int64 (names, colours, forms, 16)."""
    prompts = [prompt for name in names for colour in colours for prompt in forms(name, colour, every_form)]
    return tokens(prompts).view(len(names), len(colours), -1, 16)


def tokens(prompts: list[str]) -> Tensor:
    """Returns prompts as the pipeline reads them: padded or cut to 16 tokens, int64 (N, 16)."""
    numbers = tokenizer()(prompts, padding="max_length", max_length=16, truncation=True).input_ids
    return torch.tensor(numbers)
