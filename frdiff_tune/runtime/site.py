"""Sites of a pipeline: finding them, and naming groups of them by pattern."""

import difflib
import fnmatch
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from frdiff_tune.errors import MismatchError
from frdiff_tune.runtime.families import CONTROLNET, FAMILIES, GENERIC, GUIDANCE, Family, Site

if TYPE_CHECKING:
    from torch import nn


COMPONENTS = ("unet", "transformer", "transformer_2")
"""Names under which pipelines hold what they call at every step."""


@dataclass(frozen=True, slots=True)
class Denoiser:
    """A network that a pipeline calls at its steps.

    Arguments:
        component: Name under which the pipeline holds it.
        family: Its architecture.
        module: The network.
    """

    component: str
    family: Family
    module: "nn.Module"

    @property
    def sites(self) -> tuple[Site, ...]:
        """Its sites."""
        return self.family.sites(self.module, self.component)


def find_denoisers(pipe: Any) -> tuple[Denoiser, ...]:  # noqa: ANN401
    """Returns the networks that ``pipe`` calls at its steps: one, or two that take turns (Wan 2.2).

    Raises:
        MismatchError: If no component of the pipeline belongs to a family that is known.
    """
    found = tuple(_denoisers(pipe))
    if found:
        return found
    held = {name: type(part).__name__ for name, part in getattr(pipe, "components", {}).items() if part is not None}
    raise MismatchError(
        f"`pipe` must hold one of the denoisers {sorted(FAMILIES)}, or a transformer whose blocks diffusers registers for "
        f"its caches, but {type(pipe).__name__} holds {held}. Use a pipeline of one of these, or ask for its architecture "
        f"in an issue."
    )


def _denoisers(pipe: Any) -> Iterator[Denoiser]:  # noqa: ANN401
    for component in COMPONENTS:
        module = getattr(pipe, component, None)
        module = getattr(module, "_orig_mod", module)  # torch.compile wraps the module
        if module is None:
            continue
        family = FAMILIES.get(type(module).__name__)
        if family is not None:
            yield Denoiser(component, family, module)
        elif GENERIC.knows(module):
            yield Denoiser(component, GENERIC, module)


def find_denoiser(pipe: Any) -> Denoiser:  # noqa: ANN401
    """Returns the network that ``pipe`` calls first.

    Raises:
        MismatchError: If no component of the pipeline belongs to a family that is known.
    """
    return find_denoisers(pipe)[0]


def discover_sites(pipe: Any) -> tuple[Site, ...]:  # noqa: ANN401
    """Returns every site of a pipeline: those of its denoisers, its ControlNet, and the guidance pair.

    Raises:
        MismatchError: If the denoiser's architecture is unknown.
    """
    denoisers = find_denoisers(pipe)
    sites = tuple(site for denoiser in denoisers for site in denoiser.sites)
    controlnet = getattr(pipe, CONTROLNET, None)
    if controlnet is not None:
        sites = (*sites, Site(CONTROLNET, CONTROLNET, "controlnet", type(controlnet).__name__))
    if hasattr(type(pipe), "pag_scale"):  # perturbed-attention guidance runs other halves, or thirds, in one batch
        return sites
    return (*sites, Site(GUIDANCE, GUIDANCE, "guidance", type(denoisers[0].module).__name__))


def default_groups(pipe: Any) -> dict[str, tuple[str, ...]]:  # noqa: ANN401
    """Returns the family's own groups, by kind and by depth: name -> site names."""
    groups: dict[str, tuple[str, ...]] = {}
    for site in discover_sites(pipe):
        groups[site.group] = (*groups.get(site.group, ()), site.name)
    for denoiser in find_denoisers(pipe):
        for name, paths in denoiser.family.depths(denoiser.module).items():
            groups[name] = (*groups.get(name, ()), *(f"{denoiser.component}.{path}" for path in paths))
    return groups


class KnownSites(dict[str, tuple[str, ...]]):
    """Sites of groups that were found on the pipeline before: builders take them as they are, and do not look again."""


def match_groups(pipe: Any, patterns: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:  # noqa: ANN401
    """Returns the sites that each group's patterns name; of those that lie inside each other, the outermost.

    Arguments:
        pipe: A diffusers pipeline.
        patterns: Group name -> shell patterns of site names, as ``unet.*.attentions.*``; or sites that are known.

    Raises:
        MismatchError: If a pattern matches no site; the message lists near names.
    """
    if isinstance(patterns, KnownSites):
        return dict(patterns)
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
    return tuple(name for name in found if not any(_around(name, found)))


def _around(name: str, found: Mapping[str, None]) -> Iterator[str]:
    """Yields the sites of ``found`` that ``name`` lies inside of."""
    while name := name.rpartition(".")[0]:
        if name in found:
            yield name
