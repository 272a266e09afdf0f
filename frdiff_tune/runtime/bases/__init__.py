"""How features are forecast from what a group's last computing steps kept: each basis gives weights, the policy holds them."""

from frdiff_tune.runtime.bases._base import Basis
from frdiff_tune.runtime.bases.chebyshev import Chebyshev
from frdiff_tune.runtime.bases.fitted import Fitted
from frdiff_tune.runtime.bases.hermite import Hermite
from frdiff_tune.runtime.bases.lagrange import Lagrange
from frdiff_tune.runtime.bases.taylor import Taylor

BASES: dict[str, type[Basis]] = {
    "taylor": Taylor,
    "lagrange": Lagrange,
    "hermite": Hermite,
    "chebyshev": Chebyshev,
    "fitted": Fitted,
}

__all__ = ["BASES", "Basis", "Chebyshev", "Fitted", "Hermite", "Lagrange", "Taylor"]
