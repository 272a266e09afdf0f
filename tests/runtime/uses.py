"""Which sites really ran: seen by the use of their parameters, not by what the runtime says."""

from collections.abc import Callable, Iterator
from typing import Any

from torch.nn import Parameter
from torch.overrides import TorchFunctionMode

from frdiff_tune.runtime import discover_sites
from frdiff_tune.runtime.families import Site


class Uses(TorchFunctionMode):
    """Notes at which steps any parameter of a site is touched by a function of torch.

    Arguments:
        pipe: The pipeline.
        groups: Group -> names of its sites.
        step: Returns the present step, None outside a run.
    """

    def __init__(self, pipe: Any, groups: dict[str, tuple[str, ...]], step: Callable[[], int | None]) -> None:
        super().__init__()
        sites = {site.name: site for site in discover_sites(pipe)}
        self._step = step
        self._sites_of: dict[int, set[str]] = {}
        for name in {name for names in groups.values() for name in names} - {"guidance"}:
            for parameter in _parameters(pipe, sites[name]):
                self._sites_of.setdefault(id(parameter), set()).add(name)
        self._used: set[tuple[int, str]] = set()

    def sites_at(self, t: int, among: tuple[str, ...]) -> set[str]:
        """Returns the sites that ran at a step."""
        return {site for site in among if (t, site) in self._used}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        step = self._step()
        if step is not None and getattr(func, "__name__", "") != "__get__":  # reading a dtype or a shape runs nothing
            for value in (*args, *(kwargs or {}).values()):
                for site in self._sites_of.get(id(value), ()):
                    self._used.add((step, site))
        return func(*args, **(kwargs or {}))


def _parameters(pipe: Any, site: Site) -> Iterator[Parameter]:
    """Yields the parameters of all that need not run where a site is reused."""
    component, _, path = site.name.partition(".")
    root = getattr(pipe, component)
    block = path.rpartition(".")[0]
    paths = {
        "convolution": [f"{path}.norm1", f"{path}.conv1"],
        "fused": [path, f"{block}.attn", f"{block}.proj_mlp"],
    }.get(site.kind, [path])
    for found in paths:
        for name, parameter in root.get_submodule(found).named_parameters():
            if not name.startswith("norm1.emb."):  # DiT's last layer reads the first block's embedding of the step
                yield parameter
