"""Every pipeline that policies must work on, tiny and with random weights: the table that the conformance case runs over."""

from frdiff_tune.runtime.families import FAMILIES
from tests.pipelines import stable_diffusion, toy, transformers, unets, videos
from tests.pipelines.row import Row

FAMILIES["ToyTransformer"] = toy.Toy()
ROWS: dict[str, Row] = {**unets.ROWS, **stable_diffusion.ROWS, **transformers.ROWS, **videos.ROWS, **toy.ROWS}

__all__ = ["ROWS", "Row"]
