"""The tables of a linear multistep scheduler, and the rules that they obey.

x[i+1] = c[i] * x[i] + sum_{k < K} b[i][k] * z[i-k],     z[i] = s[i] * o[i] + r[i] * x[i]

x[i]   state at the i-th time of the grid, x[i] = alpha[i] * x0 + sigma[i] * epsilon
o[i]   what the pipeline hands to the scheduler at step i: the network's output, guided
z[i]   o[i] read as the clean sample x0 or as the noise epsilon
c, b   weights of the state and of the last K predictions, newest first
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from math import isfinite
from typing import Any

from frdiff_tune.errors import PolicyError

NAME = "LinearMultistepScheduler"
"""Class name of the scheduler that walks such tables."""
VARIABLES = ("sample", "epsilon")
"""What z may be."""
PER_STEP = ("s", "r", "c", "b", "input_scales")
"""Tables with one entry per step."""
PER_TIME = ("alphas", "sigmas")
"""Tables with one entry per state: one more than there are steps."""


@dataclass(frozen=True, slots=True)
class Tables:
    """The tables of a linear multistep scheduler's configuration, as ``check_tables`` describes them."""

    timesteps: list[float]
    alphas: list[float]
    sigmas: list[float]
    s: list[float]
    r: list[float]
    c: list[float]
    b: list[list[float]]
    variable: str

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> "Tables":
        """Returns the tables of a configuration that was checked."""
        return cls(**{field.name: config[field.name] for field in fields(cls)})

    @property
    def memory(self) -> int:
        """Predictions that a step weighs at most, K."""
        return max(len(row) for row in self.b)


def check_tables(config: Mapping[str, Any]) -> None:
    """Checks the tables of a linear multistep scheduler's configuration.

    Arguments:
        config: ``timesteps``, ``s``, ``r``, ``c``, ``b``, ``input_scales`` (length n), ``alphas``, ``sigmas`` (length n + 1)
            and ``variable``.

    Raises:
        PolicyError: If a table is missing, of another length, or not finite; if a row of ``b`` is empty or weighs steps that
            were never walked; if ``variable`` is unknown.
    """
    cure = "Fit or expand the scheduler again: the file is damaged or was edited."
    timesteps = config.get("timesteps") or ()
    if not timesteps:
        raise PolicyError(f"`timesteps` must list at least one time but got {timesteps!r}. {cure}")
    n = len(timesteps)
    for name, length in {"timesteps": n, **dict.fromkeys(PER_STEP, n), **dict.fromkeys(PER_TIME, n + 1)}.items():
        table = config.get(name)
        if table is None or len(table) != length:
            size = "none" if table is None else len(table)
            raise PolicyError(f"`{name}` must have {length} entries for {n} steps but got {size}. {cure}")
        for i, value in enumerate(table):
            _check_entry(f"{name}[{i}]", value if name == "b" else (value,), cure)
    for i, row in enumerate(config["b"]):
        if not 1 <= len(row) <= i + 1:
            raise PolicyError(f"`b[{i}]` must weigh 1 to {i + 1} predictions, those so far, but got {len(row)}. {cure}")
    if config.get("variable") not in VARIABLES:
        raise PolicyError(f"`variable` must be one of {VARIABLES} but got {config.get('variable')!r}. {cure}")


def check_grid(steps: Sequence[int], T: int, reference_T: int) -> None:
    """Checks which steps of the reference's walk are walked.

    Arguments:
        steps: Indices into the reference's walk, length T.
        T: Steps of the policy.
        reference_T: Steps of the reference.

    Raises:
        PolicyError: If they are not T increasing indices in [0, reference_T) that begin at 0.
    """
    if len(steps) != T:
        raise PolicyError(f"`steps` must have length T = {T} but got {len(steps)} indices. Give one per network call.")
    if not steps or steps[0] != 0:
        raise PolicyError(f"`steps` must begin at 0 but got {list(steps)}. Every image starts at the noisiest time: add 0.")
    for before, after in zip(steps, steps[1:], strict=False):
        if after <= before:
            raise PolicyError(f"`steps` must increase but {after} follows {before}. Sort them and name each index once.")
    if steps[-1] >= reference_T:
        raise PolicyError(
            f"`steps` must lie in [0, {reference_T}), the reference's walk, but got {steps[-1]}. Drop it: the last step always "
            f"leads to the end."
        )


def _check_entry(field: str, values: Sequence[Any], cure: str) -> None:
    for value in values:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not isfinite(value):
            raise PolicyError(f"`{field}` must be finite but got {value!r}. {cure}")
