"""A picture that a call takes, as a file: known by its pixels, opened when the call is made."""

from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from frdiff_tune.errors import MeasureError

if TYPE_CHECKING:
    from PIL.Image import Image

Mode = Literal["RGB", "L"]  # L: one channel, for masks


@dataclass(frozen=True)
class ImageFile:
    """A picture on disk, the value of a call argument.

    Arguments:
        path: Where it is; a moved file is the same picture.
        mode: What its pixels are converted to, as ``diffusers.utils.load_image`` does.
        digest: SHA-256 of the converted pixels and their size, hexadecimal.
        size: Width and height, in pixels.
        batched: Whether a call takes a list of such pictures, one per case.
    """

    path: Path = field(compare=False)
    mode: Mode
    digest: str
    size: tuple[int, int]
    batched: bool = False

    @classmethod
    def read(cls, path: Path, mode: Mode = "RGB", *, batched: bool = False) -> Self:
        """Returns the file's picture.

        Raises:
            MeasureError: If there is no such file, or it holds no picture.
        """
        image = _decoded(path, mode)
        return cls(path, mode, _digest(image), image.size, batched)

    def load(self) -> "Image":
        """Returns the decoded picture.

        Raises:
            MeasureError: If the file has changed since it was read.
        """
        image = _decoded(self.path, self.mode)
        if _digest(image) != self.digest:
            raise MeasureError(
                f"`{self.path}` must stay as it is while it is in use but its pixels have changed. Put the old file back, or "
                "start again."
            )
        return image


def _decoded(path: Path, mode: Mode) -> "Image":
    from diffusers.utils import load_image
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as opened:
            image: Image.Image = load_image(opened, lambda found: found.convert(mode))
    except UnidentifiedImageError as error:
        raise MeasureError(f"`{path}` must be a picture but is none that can be read. Save it as PNG or JPEG.") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        reason = getattr(error, "strerror", None) or error
        raise MeasureError(f"`{path}` must be a readable picture but got: {reason}. Correct the path or the file.") from error
    return image


def _digest(image: "Image") -> str:
    return sha256(f"{image.mode} {image.size}\n".encode() + image.tobytes()).hexdigest()
