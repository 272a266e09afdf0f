"""How well the cost model foretells speed-ups: random policies of each embedded model's search space, predicted and measured.

    python -m benchmarks.cost_model --device cpu
    python -m benchmarks.cost_model --device cuda

A model is profiled, and the cost model made of it. Then policies are drawn: every parameter of the space at random, uniformly
over its values (on a log scale where the space has one). Each policy's call and one of the bare pipeline are timed in turn,
A B B A, and what counts is the median of the paired ratios. That bare call is short, of ten steps: how much longer one of all
the study's steps takes is measured before, in the same manner. Both are the whole call, text encoder and decoder included.
"""

import argparse
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from statistics import median
from typing import Any

import numpy as np
import torch
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from benchmarks.record import save
from frdiff_tune.measure import CostModel, Interval, Profile, machine_info, paired_ratio, profile, time_interleaved, warm_up
from frdiff_tune.measure.bench import Bench, Contender
from frdiff_tune.measure.timing import arguments_of
from frdiff_tune.policy import Policy
from frdiff_tune.runtime import load_pipeline
from frdiff_tune.search import Space, Study, load_study, search_cases

STUDIES = {"demo:emoji": "demo", "demo:emoji-dit": "demo-dit"}
PAIRS = {"cpu": 4, "cuda": 2}
ANCHOR = 10  # steps of the short bare call
ANCHOR_PAIRS = 8  # of it and the full one
CASES = 8


def random_policies(space: Space, count: int, seed: int = 0) -> Iterator[Policy]:
    """Yields different policies, none of them the full run, each from parameters at random."""
    rng, seen = np.random.default_rng(seed), set[str]()
    while len(seen) < count:
        policy = space.decode({name: drawn(rng, values) for name, values in space.distributions.items()})
        if policy.digest not in seen and (policy.masks or policy.nfe < policy.T):
            seen.add(policy.digest)
            yield policy


def drawn(rng: np.random.Generator, values: BaseDistribution) -> Any:  # noqa: ANN401
    """Returns a value at random."""
    if isinstance(values, CategoricalDistribution):
        return values.choices[rng.integers(len(values.choices))]
    assert isinstance(values, (IntDistribution, FloatDistribution)), "optuna has no others"
    low, high = float(values.low), float(values.high)
    whole = isinstance(values, IntDistribution)
    if values.log:
        edge = 0.5 if whole else 0.0
        found = float(np.exp(rng.uniform(np.log(low - edge), np.log(high + edge))))
    else:
        step = 1.0 if whole else (values.step or 0.0)
        found = low + step * rng.integers(round((high - low) / step) + 1) if step else rng.uniform(low, high)
    return min(max(round(found), int(low)), int(high)) if whole else found


def profiled(pipe: Any, study: Study, rounds: int) -> Profile:  # noqa: ANN401
    """Returns the profile of a study's pipeline, its groups those of the study's space."""
    call = study.file.call
    run = profile(
        pipe,
        search_cases(study, pipe)[:CASES],
        call.arguments,
        call.batch,
        steps=call.num_inference_steps,
        groups=Space(study.space, pipe, call.num_inference_steps).groups,
        solvers=study.space.steps.scheduler,
        rounds=rounds,
        similar=0,
    )
    while True:
        try:
            next(run)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]


def rows(pipe: Any, study: Study, model: CostModel, policies: Sequence[Policy], pairs: int) -> Iterator[dict[str, Any]]:  # noqa: ANN401
    """Yields each policy's predicted and measured speed-up, as JSON values."""
    call, device = study.file.call, torch.device(pipe.device)
    arguments = arguments_of(search_cases(study, pipe)[:CASES], call.arguments, call.batch)

    def ratio(first: Contender, second: Contender, count: int) -> Interval:
        """Returns how many times longer the first takes."""
        taken = list(time_interleaved(first, second, arguments, range(count), device))
        return paired_ratio([pair.first.total_ms for pair in taken], [pair.second.total_ms for pair in taken])

    with Bench(pipe) as bench:
        anchor = Contender(bench, None, min(ANCHOR, call.num_inference_steps))
        warm_up(anchor, arguments, device)
        longer = ratio(Contender(bench, None, call.num_inference_steps), anchor, ANCHOR_PAIRS).value
        print(f"the full bare call takes {longer:.3f} times as long as one of {anchor.steps} steps", flush=True)
        for policy in policies:
            predicted, took_ms = prediction(model, policy)
            shorter = ratio(anchor, Contender(bench, policy, 0), pairs)
            yield {
                "policy": policy.digest[:12],
                "solver": policy.sampling.scheduler.name,
                "steps": policy.sampling.num_inference_steps,
                "nfe": policy.nfe,
                "reuses": {name: sum(name in step.reuses for step in policy.plan()) for name in policy.groups},
                "mixes": sum(0 < lam < 1 for lam in policy.mixing),
                "predicted": predicted,
                "measured": asdict(shorter * longer),
                "error": predicted / (shorter.value * longer) - 1,
                "prediction_ms": took_ms,
            }


def prediction(model: CostModel, policy: Policy) -> tuple[float, float]:
    """Returns a policy's predicted speed-up, and the time that this took in ms."""
    start = time.perf_counter()
    return model.speedup(policy), 1e3 * (time.perf_counter() - start)


def summary(found: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Returns the size of the relative errors, the rank correlation, and the time of a prediction."""
    errors = [abs(row["error"]) for row in found]
    predicted, measured = [row["predicted"] for row in found], [row["measured"]["value"] for row in found]
    return {
        "policies": len(found),
        "median_absolute_error": median(errors),
        "p90_absolute_error": float(np.quantile(errors, 0.9)),
        "median_error": median(row["error"] for row in found),
        "spearman": spearman(predicted, measured),
        "prediction_ms": median(row["prediction_ms"] for row in found),
        "longest_prediction_ms": max(row["prediction_ms"] for row in found),
    }


def spearman(a: Sequence[float], b: Sequence[float]) -> float:
    """Returns the rank correlation of two series."""
    from torchmetrics.functional import spearman_corrcoef

    return float(spearman_corrcoef(torch.tensor(a, dtype=torch.float64), torch.tensor(b, dtype=torch.float64)))


def measure(source: str, device: str, count: int, pairs: int, rounds: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Returns a model's summary and its rows.

    Arguments:
        source: The model.
        device: Where it runs.
        count: Policies.
        pairs: Timed pairs per policy.
        rounds: Of the profile.
    """
    study, start = load_study(STUDIES[source]), time.perf_counter()
    pipe = load_pipeline(source, device=device)
    found = profiled(pipe, study, rounds)
    print(f"{source}: profiled in {time.perf_counter() - start:.0f} s", flush=True)
    space = Space(study.space, pipe, study.file.call.num_inference_steps)
    taken: list[dict[str, Any]] = []
    for row in rows(pipe, study, CostModel.of(found), list(random_policies(space, count)), pairs):
        taken.append({"model": source, **row})
        shown = f"predicted {row['predicted']:6.2f}, measured {row['measured']['value']:6.2f}, error {row['error']:+.1%}"
        print(f"{source} {len(taken):3d} of {count}: {shown}", flush=True)
    costs = found.model_dump(mode="json", include={"costs", "groups", "combinations", "guidance_share"}, exclude_none=True)
    return {**summary(taken), "profile": costs}, taken


def main() -> None:
    """Measures, and writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", choices=list(PAIRS))
    parser.add_argument("--models", nargs="+", default=list(STUDIES), choices=list(STUDIES))
    parser.add_argument("--policies", type=int, default=100, help="of each model")
    parser.add_argument("--pairs", type=int, help="timed pairs of a policy and the bare pipeline; 4 on a CPU, 2 on a GPU")
    parser.add_argument("--rounds", type=int, default=5, help="of the profile")
    given = parser.parse_args()
    pairs = given.pairs or PAIRS[given.device]
    results = {name: measure(name, given.device, given.policies, pairs, given.rounds) for name in given.models}
    models = " ".join(given.models)
    machine = machine_info(load_pipeline(given.models[0], device=given.device))
    result = {
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": f"python -m benchmarks.cost_model --device {given.device} --models {models} --policies {given.policies} "
        f"--pairs {pairs} --rounds {given.rounds}",
        "machine": machine.model_dump(mode="json", exclude_none=True),
        "models": {name: found for name, (found, _) in results.items()},
        "rows": [row for _, taken in results.values() for row in taken],
    }
    path = save(result, f"cost-model-{given.device}")
    for name, (found, _) in results.items():
        print(
            f"{name}: median absolute error {found['median_absolute_error']:.1%}, 90th percentile "
            f"{found['p90_absolute_error']:.1%}, rank correlation {found['spearman']:.4f}, a prediction takes "
            f"{found['prediction_ms']:.2f} ms ({found['longest_prediction_ms']:.2f} at most)",
            flush=True,
        )
    print(f"Written: {path.name}")


if __name__ == "__main__":
    main()
