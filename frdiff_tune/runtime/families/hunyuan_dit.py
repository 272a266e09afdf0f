"""HunyuanDiT: the later half of the blocks gets the earlier half's states as skips."""

from frdiff_tune.runtime.families._base import HIDDEN
from frdiff_tune.runtime.families.transformer import Transformer


class HunyuanDiT(Transformer):
    """``HunyuanDiT2DModel``."""

    lists = {"blocks": HIDDEN}
