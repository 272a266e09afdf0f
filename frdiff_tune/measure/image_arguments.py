"""Which arguments of a pipeline's call take pictures, and the pictures that a row of call arguments names."""

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from frdiff_tune.errors import MeasureError
from frdiff_tune.measure.image_file import ImageFile

MASKS: dict[str, tuple[str, ...]] = {
    "mask_image": ("image", "control_image"),
    "mask": ("image", "video"),
    "control_mask": ("control_image", "image"),
    "mask_video": ("background_video",),
}
"""Masks, which have one channel, and the pictures that they may lie on: those must be of the same size."""
CLIPS = frozenset(
    ("video", "control_video", "conditioning_frames", "background_video", "face_video", "mask_video", "pose_video")
)
"""Arguments that take a list of frames."""
IMAGES = frozenset(
    ("image", "images", "control_image", "ip_adapter_image", "negative_ip_adapter_image", "last_image", "original_image")
    + ("image_reference", "reference_image", "reference_images", "input_images", "example_image", "cond_image")
    + ("condtioning_image", "gligen_images", "gligen_inpaint_image", "text_images", "image_2", "controls")
    + tuple(MASKS)
    + tuple(CLIPS)
)
"""Arguments of diffusers' pipelines, by name, that take pictures; the misspelt one is BLIP-Diffusion's own."""
TASKS: dict[str, tuple[str, ...]] = {
    "Img2Img": ("image",),
    "Inpaint": ("image", "mask_image"),
    "ControlNet": ("image", "control_image", "conditioning_frames"),
    "Adapter": ("image",),
    "Upscale": ("image",),
    "SuperResolution": ("image",),
    "Depth2Img": ("image",),
    "InstructPix2Pix": ("image",),
    "ImageToVideo": ("image",),
    "VideoToVideo": ("video",),
}
"""Part of a pipeline's class name -> the arguments, of those that it has, without which it cannot be called."""
LISTS = frozenset(("image", "mask_image", "control_image"))
"""Arguments that most pipelines of pictures take as a list, one per picture that is drawn."""
SINGLE = ("Union", "Edit", "Kontext", "Klein")
"""Parts of the class names of pipelines to which a list of pictures means several for every picture that is drawn."""


def image_arguments(pipe: Any) -> frozenset[str]:  # noqa: ANN401
    """Returns the arguments of a pipeline's call that take pictures."""
    return IMAGES & set(inspect.signature(type(pipe).__call__).parameters)


def required_images(pipe: Any) -> tuple[str, ...]:  # noqa: ANN401
    """Returns the arguments that take pictures and without which a pipeline cannot be called."""
    parameters = inspect.signature(type(pipe).__call__).parameters
    needed = {name for part, names in TASKS.items() if part in type(pipe).__name__ for name in names}
    needed |= {name for name in IMAGES & set(parameters) if parameters[name].default is inspect.Parameter.empty}
    return tuple(name for name in parameters if name in needed)


def read_images(pipe: Any, arguments: Mapping[str, Any], folder: Path, where: str) -> dict[str, Any]:  # noqa: ANN401
    """Returns a row's arguments with its paths as pictures.

    Arguments:
        pipe: The pipeline that will be called.
        arguments: A row of call arguments.
        folder: Where relative paths begin.
        where: File and line, for messages.

    Raises:
        MeasureError: If a path names no picture, one is missing that the pipeline needs, or sizes do not fit.
    """
    known = image_arguments(pipe)
    read = {
        name: _read(pipe, name, value, folder, where) if name in known and value is not None else value
        for name, value in arguments.items()
    }
    for name in required_images(pipe):
        if read.get(name) is None:
            raise MeasureError(
                f"a row must hold `{name}` for {type(pipe).__name__} but none is in {where}. Add "
                f'"{name}": "picture.png", a path that counts from the folder of the .jsonl file.'
            )
    _check_sizes(read, where)
    return read


def _read(pipe: Any, name: str, value: Any, folder: Path, where: str) -> ImageFile | tuple[ImageFile, ...]:  # noqa: ANN401
    paths = value if isinstance(value, list) else [value]
    if not paths or not all(isinstance(path, str) and path for path in paths):
        raise MeasureError(
            f"`{name}` must be the path of a picture, or a list of paths, but got {value!r} in {where}. "
            f"{type(pipe).__name__} takes pictures as {', '.join(sorted(image_arguments(pipe)))}."
        )
    if name in CLIPS and not isinstance(value, list):
        raise MeasureError(
            f"`{name}` must be a list of paths, one per frame, but got {value!r} in {where}. Save the frames as pictures."
        )
    batched = not isinstance(value, list) and name in LISTS and _takes_lists(pipe)
    found = tuple(_picture(path, name, batched, folder, where) for path in paths)
    return found if isinstance(value, list) else found[0]


def _picture(path: str, name: str, batched: bool, folder: Path, where: str) -> ImageFile:
    from frdiff_tune.demo import EMBEDDED, picture_file

    place = picture_file(path.removeprefix(EMBEDDED)) if path.startswith(EMBEDDED) else folder / Path(path).expanduser()
    try:
        return ImageFile.read(place, "L" if name in MASKS else "RGB", batched=batched)
    except MeasureError as error:
        raise MeasureError(f"`{name}` of {where}: {error} Paths count from the folder of the .jsonl file.") from error


def _takes_lists(pipe: Any) -> bool:  # noqa: ANN401
    """Whether a pipeline takes a list of pictures as one per picture that it draws; others get one picture per call."""
    name, parameters = type(pipe).__name__, inspect.signature(type(pipe).__call__).parameters
    clips = any(argument in parameters for argument in ("num_frames", "frames", "video_length", *CLIPS))
    return any(part in name for part in TASKS) and not clips and not any(part in name for part in SINGLE)


def _check_sizes(arguments: Mapping[str, Any], where: str) -> None:
    """Checks that a mask is as large as the picture under it, and the frames of a clip as each other."""
    for name, under in MASKS.items():
        below = next((other for other in under if arguments.get(other) is not None), None)
        if arguments.get(name) is None or below is None:
            continue
        (first, *_), (mask, *_) = _sizes(arguments[below]), _sizes(arguments[name])
        if first != mask:
            raise MeasureError(
                f"`{name}` must have the size of `{below}` but got {mask[0]}x{mask[1]} over {first[0]}x{first[1]} pixels in "
                f"{where}. Scale one of them."
            )
    for name in CLIPS & set(arguments):
        sizes = sorted(set(_sizes(arguments[name])))
        if len(sizes) > 1:
            listed = " and ".join(f"{width}x{height}" for width, height in sizes[:2])
            raise MeasureError(f"`{name}` must hold frames of one size but got {listed} pixels in {where}. Scale them.")


def _sizes(value: Any) -> list[tuple[int, int]]:  # noqa: ANN401
    return [image.size for image in ([value] if isinstance(value, ImageFile) else value or ())]
