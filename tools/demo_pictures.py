"""How the embedded pictures were made: what the img2img and inpainting demos start from.

    python -m tools.demo_pictures [FOLDER]

Pictures that the embedded text model draws itself, drawings of a few flat shapes, and masks; 128x128 pixels, PNG with at most
64 colours, so that all of them together take about 150 kB. What is made of them stands in the .jsonl files beside the prompts.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw

if TYPE_CHECKING:
    from torch import Generator

SIZE = 128
FINER = 4  # shapes are drawn larger and scaled down, for smooth edges
COLOURS = 64
STEPS = 50

Shape = tuple[str, tuple[int, ...], str]  # what, its corners on a grid of 128, its colour

PAINTED = {  # file: prompt; the seed is the place in this list
    "cat": "a cat face on a blue background",
    "hamburger": "a hamburger on a yellow background",
    "sunflower": "a sunflower on a purple background",
    "teapot": "a teapot on an orange background",
    "grinning": "grinning face with big eyes on a green background",
    "koala": "a koala on a white background",
    "cupcake": "a cupcake on a pink background",
    "robot": "a robot on a gray background",
    "panda": "a panda on a green background",
    "pizza": "a pizza on a blue background",
    "tulip": "a tulip on a gray background",
    "mug": "a hot beverage on a purple background",
    "winking": "winking face on a pink background",
    "rabbit": "a rabbit face on an orange background",
    "doughnut": "a doughnut on a white background",
    "owl": "an owl on a yellow background",
}
BLUE, YELLOW, PINK, GREEN, PURPLE = "#aad4fa", "#ffec96", "#ffc4da", "#b8eabc", "#d6c6fa"
DRAWN: dict[str, tuple[str, tuple[Shape, ...]]] = {  # file: background, shapes
    "red-disc": (BLUE, (("disc", (30, 34, 98, 104), "#d8343c"), ("box", (61, 18, 67, 40), "#7a4a24"))),
    "yellow-disc": (PURPLE, (("disc", (34, 34, 94, 94), "#ffc93c"), ("line", (14, 64, 114, 64), "#ffc93c"))),
    "two-white-discs": (BLUE, (("disc", (44, 18, 84, 58), "#fafafa"), ("disc", (32, 52, 96, 114), "#f0f4fa"))),
    "green-triangle": ("white", (("poly", (64, 10, 104, 98, 24, 98), "#2f8f4e"), ("box", (57, 98, 71, 116), "#7a4a24"))),
    "pink-cone": (GREEN, (("poly", (40, 62, 88, 62, 64, 118), "#d9a05b"), ("disc", (36, 18, 92, 70), "#f7a8c4"))),
    "orange-wedge": ("white", (("poly", (34, 30, 94, 44, 40, 116), "#f08a2c"), ("poly", (86, 12, 100, 40, 72, 30), "#3f9e4d"))),
    "gray-ball": (PINK, (("disc", (28, 44, 100, 108), "#8d929c"), ("disc", (42, 18, 86, 60), "#9ba0aa"))),
    "yellow-face": (GREEN, (("disc", (24, 24, 104, 104), "#ffd23f"), ("disc", (44, 48, 54, 62), "#5a3a1a"),
                            ("disc", (74, 48, 84, 62), "#5a3a1a"), ("box", (46, 78, 82, 84), "#5a3a1a"))),
    "green-disc": ("white", (("disc", (28, 32, 100, 104), "#7cc242"), ("box", (61, 18, 67, 38), "#7a4a24"))),
    "white-cloud": (BLUE, (("disc", (16, 52, 64, 96), "#f4f6fa"), ("disc", (40, 34, 90, 92), "#ffffff"),
                           ("disc", (66, 52, 114, 96), "#f4f6fa"))),
    "brown-disc": (PINK, (("disc", (26, 26, 102, 102), "#b97a43"), ("disc", (46, 46, 58, 58), "#4a2c16"),
                          ("disc", (70, 60, 82, 72), "#4a2c16"))),
    "red-cap": (GREEN, (("box", (52, 62, 76, 108), "#f4ead8"), ("disc", (24, 22, 104, 82), "#d23c3c"),
                        ("disc", (46, 34, 60, 48), "#fafafa"))),
    "blue-drop": (YELLOW, (("poly", (64, 14, 96, 74, 32, 74), "#3f8fe0"), ("disc", (30, 50, 98, 114), "#3f8fe0"))),
    "purple-discs": ("white", (("disc", (30, 40, 66, 76), "#7a4bb0"), ("disc", (62, 40, 98, 76), "#7a4bb0"),
                               ("disc", (46, 70, 82, 106), "#6a3fa0"))),
    "yellow-moon": (PURPLE, (("disc", (28, 24, 104, 104), "#ffcf4a"), ("disc", (56, 18, 120, 90), PURPLE))),
    "orange-face": (BLUE, (("poly", (22, 22, 56, 34, 30, 62), "#ef7f2d"), ("poly", (106, 22, 72, 34, 98, 62), "#ef7f2d"),
                           ("disc", (26, 32, 102, 106), "#ef7f2d"), ("disc", (46, 72, 82, 106), "#fff2e2"))),
}  # fmt: skip
MASKS: dict[str, tuple[Shape, ...]] = {  # file: what is drawn anew
    "mask-left": (("box", (0, 0, 63, 127), "white"),),
    "mask-right": (("box", (64, 0, 127, 127), "white"),),
    "mask-top": (("box", (0, 0, 127, 63), "white"),),
    "mask-bottom": (("box", (0, 64, 127, 127), "white"),),
    "mask-centre": (("disc", (20, 20, 108, 108), "white"),),
    "mask-band": (("box", (0, 40, 127, 92), "white"),),
}


def main(folder: Path) -> None:
    """Makes every picture."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in (*painted(), *drawn()):
        few = picture.quantize(COLOURS, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        few.save(folder / f"{name}.png", optimize=True)
    for name, shapes in MASKS.items():
        sketch("black", shapes).convert("L").point(lambda value: 255 * (value > 127)).convert("1").save(
            folder / f"{name}.png", optimize=True
        )


def painted() -> Iterator[tuple[str, Image.Image]]:
    """Yields what the embedded text model draws, on one thread of a CPU."""
    from frdiff_tune.runtime import load_pipeline

    pipe = load_pipeline("demo:emoji", device="cpu")
    for seed, (name, prompt) in enumerate(PAINTED.items()):
        yield name, pipe(prompt, num_inference_steps=STEPS, guidance_scale=3.0, generator=_noise(seed)).images[0]


def drawn() -> Iterator[tuple[str, Image.Image]]:
    """Yields drawings of flat shapes."""
    for name, (background, shapes) in DRAWN.items():
        yield name, sketch(background, shapes)


def sketch(background: str, shapes: tuple[Shape, ...]) -> Image.Image:
    """Returns shapes on a background, the later ones on top.

    Arguments:
        background: Its colour.
        shapes: Discs, boxes and lines by two corners, polygons by all of them.
    """
    picture = Image.new("RGB", (SIZE * FINER, SIZE * FINER), background)
    brush = ImageDraw.Draw(picture)
    for what, corners, colour in shapes:
        place = [FINER * corner for corner in corners]
        if what == "disc":
            brush.ellipse(place, fill=colour)
        elif what == "poly":
            brush.polygon(place, fill=colour)
        elif what == "line":
            brush.line(place, fill=colour, width=6 * FINER)
        else:
            brush.rectangle([*place[:2], *(end + FINER - 1 for end in place[2:])], fill=colour)
    return picture.resize((SIZE, SIZE), Image.Resampling.BOX)


def _noise(seed: int) -> "Generator":
    import torch

    return torch.Generator("cpu").manual_seed(seed)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("frdiff_tune/demo/pictures"))
