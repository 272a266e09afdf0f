"""What the runtime must know of a network's architecture."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

if TYPE_CHECKING:
    from torch import Tensor, nn

Kind = Literal["convolution", "fused", "residual", "output", "guidance", "controlnet"]
"""How a site's result is kept: behind a residual block's first convolution, behind the projection that joins attention and
feed-forward, as output minus input, whole, as unconditional minus conditional score, or as a ControlNet's residuals."""

GUIDANCE = "guidance"
"""Name of the site, and of its group, that stands for the guidance pair."""
CONTROLNET = "controlnet"
"""Name of the site, and of its group, that stands for the residuals of a ControlNet."""
HIDDEN = ("hidden_states",)
"""What most blocks take and return."""


@dataclass(frozen=True, slots=True)
class Place:
    """A site as a family sees it.

    Arguments:
        path: Dotted path inside the denoiser.
        group: The family's own name for the sites that act together with it.
        kind: How its result is kept.
        streams: Names of the arguments that its results continue, in the order of its results; for residuals.
    """

    path: str
    group: str
    kind: Kind
    streams: tuple[str, ...] = HIDDEN


@dataclass(frozen=True, slots=True)
class Site:
    """One place in the denoiser whose result can be kept and given back.

    Arguments:
        name: Dotted path that starts with the pipeline's component, as ``unet.mid_block.resnets.0``.
        group: The family's own name for the sites that act together with it.
        kind: How its result is kept.
        module_class: Class name of the module at that place.
        streams: Names of the arguments that its results continue, in the order of its results; for residuals.
    """

    name: str
    group: str
    kind: Kind
    module_class: str
    streams: tuple[str, ...] = HIDDEN


class Family(ABC):
    """An architecture: its sites, and how it is called.

    Attributes:
        sample_argument: Name of the noisy sample among the denoiser's arguments; it is the first one.
        paper_groups: The groups that FRDiff reuses.
        conditional_first: Whether guidance in one batch puts the conditional half first.
        sign: -1 where the network predicts the sample minus the noise, and the solver wants the noise minus the sample.
        raw_timestep: Whether the network is called with the scheduler's own timestep, not with a multiple of it.
        channels: Dimension of sample and score that counts channels.
        converts: Whether it is known how the output relates to noise and sample.
        listed: Names of arguments that are lists with an entry per sample.
    """

    sample_argument: ClassVar[str] = "hidden_states"
    paper_groups: ClassVar[tuple[str, ...]]
    conditional_first: ClassVar[bool] = False
    sign: ClassVar[int] = 1
    raw_timestep: ClassVar[bool] = True
    channels: ClassVar[int] = 1
    converts: ClassVar[bool] = True
    listed: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def places(self, denoiser: "nn.Module") -> Iterator[Place]:
        """Yields every site."""

    def pairs_itself(self, arguments: dict[str, Any], batch: int) -> bool:
        """Whether a call of ``batch`` samples is a guidance pair although the solver walks it as it is."""
        return False

    def writes_in_place(self, denoiser: "nn.Module", kwargs: dict[str, Any]) -> bool:
        """Whether a call with these named arguments writes into what its modules have returned."""
        return False

    def sites(self, denoiser: "nn.Module", component: str) -> tuple[Site, ...]:
        """Returns all sites of a denoiser.

        Arguments:
            denoiser: The network.
            component: Name under which the pipeline holds it.
        """
        return tuple(
            Site(f"{component}.{p.path}", p.group, p.kind, type(denoiser.get_submodule(p.path)).__name__, p.streams)
            for p in self.places(denoiser)
        )

    def depths(self, denoiser: "nn.Module") -> dict[str, tuple[str, ...]]:
        """Returns more groups, by depth: name -> paths inside the denoiser."""
        return {}

    def sample(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> "Tensor":
        """Returns the noisy sample of a call, with shape (batch, channels, ...)."""
        found: Tensor = args[0] if args else kwargs[self.sample_argument]
        return found

    def rows(self, x: "Tensor") -> tuple[int, ...]:
        """Returns the lengths of arguments that have as many entries for every sample of ``x``, where that is more than one."""
        return (x.shape[0],)

    def score(self, output: Any) -> "Tensor":  # noqa: ANN401
        """Returns the score of a network output, with shape (batch, channels, ...)."""
        found: Tensor = output[0]
        return found

    def sample_of(self, score: "Tensor", x: "Tensor") -> Any:  # noqa: ANN401
        """Returns a score in the form in which the network gives it."""
        return score

    def timestep(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:  # noqa: ANN401
        """Returns the timestep of a call, a number or a tensor of equal numbers."""
        return args[1] if len(args) > 1 else kwargs["timestep"]


def thirds(paths: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Returns blocks by depth: early, middle and late, each about a third."""
    a, b = len(paths) // 3, len(paths) - len(paths) // 3
    parts = {"early": paths[:a], "middle": paths[a:b], "late": paths[b:]}
    return {name: tuple(part) for name, part in parts.items() if part}
