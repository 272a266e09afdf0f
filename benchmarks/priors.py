"""What foresight expects before anything is measured, fitted to recorded tables.

    python -m benchmarks.priors demo demo-dit

Of each table the law of ``frdiff_tune.search.foresight.quality_model`` is fitted to all policies that count, from a neutral
start: every kind of error alike. The prior of a kind is the mean of its a and p over tables and sources, and how far they lie
apart says how loose it must be. Then the widths of the process over traits, one per kind of trait and the same for all tables,
are the likeliest for what the laws leave over on a part of the policies; scales are those with which all of them would be 1.
The rows say how far the law and today's prior are off alone, in decades.
"""

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from benchmarks.ground import Ground
from benchmarks.record import save
from frdiff_tune.search.aim import loss
from frdiff_tune.search.foresight import Foreseen, QualityModel
from frdiff_tune.search.foresight.errors_foreseen import SCALES
from frdiff_tune.search.foresight.quality_model import PRIORS, kind
from frdiff_tune.search.volume import CORNER

Array = NDArray[np.float64]

NEUTRAL, WEAK, SPREAD = (-2.5, 2.0), 1.0, 0.3
"""a and p of every kind at the start, how weakly they are held, and what the law leaves over, in decades."""
PART = 600
"""Policies of a table that widths are fitted to."""
USUAL, APART = 0.3, 1.5
"""log of a width at the start, and how weakly it is held."""
STEPS, RATE = 80, 0.06
"""Of Adam, on the logarithms of widths, heights and noises."""


def counted(ground: Ground) -> tuple[list[Foreseen], Array]:
    """Returns what is foreseen of a table's policies that count, and log10 of their mean LPIPS."""
    able = [row for row in ground.table.rows if not row.failure and ground.point(row)[0] < CORNER[0]]
    errors, losses = ground.space.foresight.errors, [loss("lpips", ground.point(row)[0]) for row in able]
    return [errors(ground.outlines[row.digest]) for row in able], np.array(losses)


def law(model: QualityModel, seen: Sequence[Foreseen], losses: Array) -> Array:
    """Returns a and p of every source, with shape (2 sources,), that foretell losses best."""
    sources = model._sources(seen)
    neutral = np.repeat(NEUTRAL, sources.shape[1])

    def residuals(theta: Array) -> Array:
        return np.concatenate([(model._sum(theta, sources) - losses) / SPREAD, (theta - neutral) / WEAK])

    found: Array = least_squares(residuals, neutral).x
    return found


def widths(parts: Sequence[tuple[Array, Array]], names: Sequence[Sequence[int]], count: int) -> Array:
    """Returns the likeliest width of every trait, with shape (count,).

    Arguments:
        parts: Traits, and what the law leaves over, of each table.
        names: Which width each trait of a table has.
        count: Widths.
    """
    import torch

    scale = torch.full((count,), USUAL, dtype=torch.float64, requires_grad=True)
    rest = torch.tensor([[-1.2, -2.5]] * len(parts), dtype=torch.float64, requires_grad=True)  # log height, log noise
    data = [(torch.tensor(traits), torch.tensor(left), list(own)) for (traits, left), own in zip(parts, names, strict=True)]
    adam = torch.optim.Adam([scale, rest], lr=RATE)
    for _ in range(STEPS):
        adam.zero_grad()
        total = ((scale - USUAL) ** 2).sum() / 2 / APART**2
        for (traits, left, own), (height, noise) in zip(data, rest, strict=True):
            scaled = traits * torch.exp(-scale[own])
            near = torch.exp(-(torch.cdist(scaled, scaled) ** 2) / 2)
            factor = torch.linalg.cholesky(torch.exp(2 * height) * near + torch.exp(2 * noise) * torch.eye(len(left)))
            total = total + (torch.linalg.solve_triangular(factor, left[:, None], upper=False) ** 2).sum() / 2
            total = total + torch.log(torch.diag(factor)).sum()
        total.backward()  # type: ignore[no-untyped-call]
        adam.step()
    found: Array = scale.detach().exp().numpy()
    return found


def measure(names: Sequence[str]) -> dict[str, Any]:
    """Returns the priors of some tables, and a row per table, as JSON values."""
    grounds = [Ground.load(name) for name in names]
    rows, parts, own, laws = [], list[tuple[Array, Array]](), list[list[int]](), dict[str, list[list[float]]]()
    traits = list(dict.fromkeys(each for ground in grounds for each in ground.space.foresight.errors.traits))
    for name, ground in zip(names, grounds, strict=True):
        seen, losses = counted(ground)
        model = QualityModel(ground.space.foresight.errors.names, [], [])
        theta = law(model, seen, losses)
        left = losses - model._sum(theta, model._sources(seen))
        before = losses - model._sum(model.prior, model._sources(seen))
        for source, both in zip(ground.space.foresight.errors.names, theta.reshape(2, -1).T.tolist(), strict=True):
            laws.setdefault(kind(source), []).append(both)
        some = np.random.default_rng(0).permutation(len(seen))[:PART]
        parts.append((np.array([seen[i].traits for i in some]), left[some]))
        own.append([traits.index(each) for each in ground.space.foresight.errors.traits])
        off = {"law_rms": round(float(left.std()), 3), "prior_rms": round(float(np.sqrt((before**2).mean())), 3)}
        rows.append({"table": name, "policies": len(seen), **off, "theta": np.round(theta, 2).tolist()})
    priors = {name: [PRIORS[name][0], *(round(float(x), 2) for x in np.mean(each, axis=0))] for name, each in laws.items()}
    apart = np.concatenate([np.array(each) - np.mean(each, axis=0) for each in laws.values()])
    found = widths(parts, own, len(traits))
    scales = {name: round(SCALES[name] / width, 2) for name, width in zip(traits, found.tolist(), strict=True)}
    loose = np.round(apart.std(axis=0), 2).tolist()
    return {"tables": list(names), "priors": priors, "loose": loose, "scales": scales, "rows": rows}


def main() -> None:
    """Fits the priors of the tables that the command line names, and writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="+", help="demo, demo-dit")
    names = parser.parse_args().tables
    result = {"command": f"python -m benchmarks.priors {' '.join(names)}", **measure(names)}
    print(result, save(result, "priors-" + "-".join(names)), sep="\n")


if __name__ == "__main__":
    main()
