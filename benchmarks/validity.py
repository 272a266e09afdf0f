"""How far fitted steps hold: LPIPS at other guidance scales and sizes than those of the fit.

    python -m benchmarks.validity demo demo-dit

The policy is that of ``few_calls``, "fitted steps, searched grid", fitted at the study's own call. Each other call is compared
with the full run of the same call, and so are as many plain steps of the model's own scheduler.
"""

import argparse
from typing import Any

from benchmarks.methods import METHODS
from benchmarks.record import heading, save
from frdiff_tune.measure.validity import validity
from frdiff_tune.policy import Policy
from frdiff_tune.search.fitting import drain
from frdiff_tune.search.setting import cache_folder, held_out_cases, open_pipeline
from frdiff_tune.search.study import load_study

METHOD = "fitted steps, searched grid"


def measure(name: str, counts: list[int]) -> dict[str, Any]:
    """Returns the result of a study.

    Arguments:
        name: The study's.
        counts: Network calls of the policies.
    """
    study = load_study(name)
    pipe = open_pipeline(study)
    cases = held_out_cases(study, pipe, 1)
    rows = []
    for calls in counts:
        (_, policy), *_ = METHODS[METHOD].policies(pipe, study, calls)
        assert isinstance(policy, Policy), "it is fitted"
        call, batch = study.file.call, study.file.cases.quality_batch
        options: dict[str, Any] = {"steps": call.num_inference_steps, "call": call.arguments, "quality_batch": batch}
        for row in drain(validity(pipe, policy, cases, cache_dir=cache_folder(), **options)):
            print(name, calls, row, flush=True)
            rows.append({"network_calls": calls, **row.model_dump(mode="json")})
    command = f"python -m benchmarks.validity {name} --calls {' '.join(map(str, counts))}"
    return {**heading(study, pipe, command, len(cases)), "fitted_call": study.file.call.arguments, "rows": rows}


def main() -> None:
    """Measures the studies that are named and writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("studies", nargs="+")
    parser.add_argument("--calls", nargs="+", type=int, default=[6, 10])
    given = parser.parse_args()
    for name in given.studies:
        save(measure(name, given.calls), f"validity-{name}")


if __name__ == "__main__":
    main()
