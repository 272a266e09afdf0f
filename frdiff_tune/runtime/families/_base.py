"""What the runtime must know of a network's architecture."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

if TYPE_CHECKING:
    from torch import Tensor, nn

Kind = Literal["convolution", "residual", "output", "guidance"]
"""How a site's result is kept: behind a residual block's first convolution, as output minus input, whole, or as
unconditional minus conditional score."""


@dataclass(frozen=True, slots=True)
class Site:
    """One place in the denoiser whose result can be kept and given back.

    Arguments:
        name: Dotted path that starts with the pipeline's component, as ``unet.mid_block.resnets.0``.
        group: The family's own name for the sites that act together with it.
        kind: How its result is kept.
        module_class: Class name of the module at that place.
    """

    name: str
    group: str
    kind: Kind
    module_class: str


class Family(ABC):
    """An architecture: its sites, and how it is called.

    Attributes:
        component: Name under which pipelines hold the denoiser.
        sample_argument: Name of the noisy sample among the denoiser's arguments; it is the first one.
        paper_groups: The groups that FRDiff reuses.
        conditional_first: Whether guidance in one batch puts the conditional half first.
    """

    component: ClassVar[str]
    sample_argument: ClassVar[str]
    paper_groups: ClassVar[tuple[str, ...]]
    conditional_first: ClassVar[bool] = False

    @abstractmethod
    def places(self, denoiser: "nn.Module") -> Iterator[tuple[str, str, Kind]]:
        """Yields (path inside the denoiser, group, kind) of every site."""

    def pairs_itself(self, arguments: dict[str, Any], batch: int) -> bool:
        """Whether a call of ``batch`` samples is a guidance pair although the solver walks it as it is."""
        return False

    def sites(self, denoiser: "nn.Module") -> tuple[Site, ...]:
        """Returns all sites of a denoiser, the guidance pair last."""
        found = [
            Site(f"{self.component}.{path}", group, kind, type(denoiser.get_submodule(path)).__name__)
            for path, group, kind in self.places(denoiser)
        ]
        return (*found, Site(GUIDANCE, GUIDANCE, "guidance", type(denoiser).__name__))

    def sample(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> "Tensor":
        """Returns the noisy sample of a call, with shape (batch, channels, ...)."""
        found: Tensor = args[0] if args else kwargs[self.sample_argument]
        return found

    def timestep(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:  # noqa: ANN401
        """Returns the timestep of a call, a number or a tensor of equal numbers."""
        return args[1] if len(args) > 1 else kwargs["timestep"]


GUIDANCE = "guidance"
"""Name of the site, and of its group, that stands for the guidance pair."""
