"""How much less, or more, a picture shows of its prompt than the reference does: CLIP scores by torchmetrics.

References:
    | CLIPScore: A Reference-free Evaluation Metric for Image Captioning (Hessel et al., 2021)
    | https://arxiv.org/abs/2104.08718
"""

from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from frdiff_tune.errors import MeasureError
from frdiff_tune.measure.drawn import Drawn
from frdiff_tune.measure.metrics._base import Better, Paired

MODEL = "openai/clip-vit-large-patch14"


class ClipScoreChange(Paired):
    """The CLIP score of the picture minus the reference's, both for the case's prompt.

        100 max(cos(E_picture, E_prompt), 0) - 100 max(cos(E_reference, E_prompt), 0)

    0 for equal pictures. Scores of real pictures with their captions lie about 25 to 35, so a point is a lot.

    Raises:
        MeasureError: If CLIP is not to be had.
    """

    name = "clip_score_change"
    unit = "1"
    better: ClassVar[Better] = "higher"
    flip = -5.0  # not measured, as CLIP's weights are not at hand here: about half of what parts right from wrong captions
    equal = 0.0

    def __init__(self, device: torch.device | str = "cpu", weights: Path | None = None) -> None:
        super().__init__(device, weights)
        self._clip = _Clip(weights, self.device)

    def __call__(self, drawn: Drawn, references: Drawn) -> tuple[float, ...]:
        """Returns one value per pair.

        Raises:
            MeasureError: If a picture has no prompt, or the shapes differ.
        """
        self.check(drawn, references)
        if drawn.prompts is None:
            raise MeasureError(
                "`metrics` must suit the cases but clip_score_change needs a prompt for every picture. Leave it out of "
                "[measure] metrics, or give prompts."
            )
        ours, theirs = (self._scores(each, drawn.prompts) for each in (drawn, references))
        return tuple((ours - theirs).tolist())

    def compare(self, x: Tensor, y: Tensor) -> Tensor:
        """Raises an error: two pictures alone, without their prompt, have no value."""
        raise MeasureError("`compare` must be given prompts but has none to take. Call the metric with what was drawn.")

    def _scores(self, drawn: Drawn, prompts: tuple[str, ...]) -> Tensor:
        """Returns the score of each picture, with shape (B,); of a video the mean over its frames."""
        flat = self._tensor(drawn.pictures.reshape(-1, *drawn.pictures.shape[-3:])).byte()
        each = len(flat) // len(drawn)
        scores = [self._clip.score(picture, prompts[i // each]) for i, picture in enumerate(flat)]
        return torch.tensor(scores, dtype=torch.float64).reshape(len(drawn), -1).mean(1)


class _Clip:
    """CLIP as torchmetrics asks for it: features are tensors, where transformers from 5 on gives them with others."""

    def __init__(self, folder: Path | None, device: torch.device) -> None:
        from transformers import CLIPModel, CLIPProcessor

        own = None if folder is None else folder / MODEL.rpartition("/")[2]
        source = MODEL if own is None or not own.is_dir() else str(own)
        try:
            self._model = CLIPModel.from_pretrained(source).eval().to(device)
            self._processor = CLIPProcessor.from_pretrained(source)
        except Exception as error:  # hub, network and files fail in many ways
            raise MeasureError(
                f"`metrics` must find their weights but clip_score_change got no CLIP from {source} ({error}). Put the files "
                f"of {MODEL} into a folder {MODEL.rpartition('/')[2]}, name the folder above it with --weights DIR, or leave "
                "clip_score_change out of [measure] metrics."
            ) from error
        self.config = self._model.config

    def score(self, picture: Tensor, prompt: str) -> float:
        """Returns the CLIP score of a uint8 picture, with shape (3, H, W)."""
        from torchmetrics.functional.multimodal import clip_score

        with torch.inference_mode():
            return float(clip_score(picture, prompt, lambda: (self, self._processor)))

    def to(self, device: torch.device) -> "_Clip":
        """Returns itself, which is on its device."""
        return self

    def get_image_features(self, pixel_values: Tensor) -> Tensor:
        """Returns embeddings of pictures, with shape (B, D)."""
        return _features(self._model.get_image_features(pixel_values))

    def get_text_features(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Returns embeddings of texts, with shape (B, D)."""
        return _features(self._model.get_text_features(input_ids, attention_mask))


def _features(given: Any) -> Tensor:  # noqa: ANN401
    found: Tensor = given if isinstance(given, Tensor) else given.pooler_output
    return found
