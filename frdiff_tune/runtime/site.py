"""Sites of a pipeline: finding them, and naming groups of them by pattern."""

import difflib
import fnmatch
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from frdiff_tune.errors import MismatchError
from frdiff_tune.runtime.families import FAMILIES, Family, Site

if TYPE_CHECKING:
    from torch import nn


def find_denoiser(pipe: Any) -> tuple[Family, "nn.Module"]:  # noqa: ANN401
    """Returns the family and the module of the network that ``pipe`` calls at every step.

    Raises:
        MismatchError: If no component of the pipeline belongs to a family that is known.
    """
    for component in ("unet", "transformer"):
        module = getattr(pipe, component, None)
        module = getattr(module, "_orig_mod", module)  # torch.compile wraps the module
        family = FAMILIES.get(type(module).__name__)
        if family is not None and module is not None:
            return family, module
    held = {name: type(part).__name__ for name, part in getattr(pipe, "components", {}).items() if part is not None}
    raise MismatchError(
        f"`pipe` must hold one of the denoisers {sorted(FAMILIES)} but {type(pipe).__name__} holds {held}. "
        f"Use a pipeline of one of these, or ask for its architecture in an issue."
    )


def discover_sites(pipe: Any) -> tuple[Site, ...]:  # noqa: ANN401
    """Returns every site of the pipeline's denoiser: name, group, kind, module class.

    Raises:
        MismatchError: If the denoiser's architecture is unknown.
    """
    family, denoiser = find_denoiser(pipe)
    return family.sites(denoiser)


def default_groups(pipe: Any) -> dict[str, tuple[str, ...]]:  # noqa: ANN401
    """Returns the family's own groups: name -> site names."""
    groups: dict[str, tuple[str, ...]] = {}
    for site in discover_sites(pipe):
        groups[site.group] = (*groups.get(site.group, ()), site.name)
    return groups


def match_groups(pipe: Any, patterns: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:  # noqa: ANN401
    """Returns the sites that each group's patterns name.

    Arguments:
        pipe: A diffusers pipeline.
        patterns: Group name -> shell patterns of site names, as ``unet.*.attentions.*``.

    Raises:
        MismatchError: If a pattern matches no site; the message lists near names.
    """
    names = [site.name for site in discover_sites(pipe)]
    return {group: _match(group, globs, names) for group, globs in patterns.items()}


def _match(group: str, globs: Sequence[str], names: list[str]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for glob in globs:
        hits = fnmatch.filter(names, glob)
        if not hits:
            near = difflib.get_close_matches(glob, names, n=3, cutoff=0.3) or names[:3]
            raise MismatchError(
                f"`groups.{group}` must name sites of the model but {glob!r} matches none. Near: {', '.join(near)}. "
                f"`frdiff-tune profile MODEL` lists them all."
            )
        found |= dict.fromkeys(hits)
    return tuple(found)
