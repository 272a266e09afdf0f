"""Every parameter vector is a policy, and every policy of a space is found again: ten thousand draws per encoding.

Of each encoding a space that has no other; with everything else that a shipped space may vary, and with the fits of a recorded
run. A vector is drawn uniformly, decoded, checked by the policy's own rules, encoded, and decoded again.

    python -m benchmarks.encodings demo-dit --draws 10000

Nothing is timed: it may run beside anything.
"""

import argparse
from collections.abc import Iterator
from typing import Any

import optuna
from joblib import Parallel, delayed

from benchmarks.record import heading, save, shown
from frdiff_tune.policy import Policy
from frdiff_tune.search import setting
from frdiff_tune.search.encodings import ENCODINGS
from frdiff_tune.search.space import Space
from frdiff_tune.search.study import Study, load_study

CHUNK = 500


def _space(study: Study, encoding: str) -> Space:
    pipe = setting.open_pipeline(study)
    cases = setting.search_cases(study, pipe)
    keyframes = study.space.keyframes.model_copy(update={"encodings": (encoding,)})
    file = study.space.model_copy(update={"keyframes": keyframes})
    steps, seen = study.file.call.num_inference_steps, setting.trajectory_of(study, pipe, cases)
    return Space(file, pipe, steps, walk=setting.walk_of(study, pipe, cases), trajectory=seen)


def _checked(name: str, encoding: str, seed: int, draws: int) -> dict[str, int]:
    """Returns how many draws were a valid policy, came back, and how many policies there were."""
    import torch

    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space = _space(load_study(name), encoding)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    valid, back, digests = 0, 0, set()
    for _ in range(draws):
        policy = space.decode(study.ask(space.distributions).params)
        valid += Policy.model_validate_json(policy.model_dump_json(by_alias=True)) == policy
        params = space.encode(policy)
        back += params is not None and space.decode(params) == policy
        digests.add(policy.digest)
    return {"draws": draws, "valid": valid, "encoded_back": back, "policies": len(digests)}


def measure(study: Study, draws: int, jobs: int) -> Iterator[dict[str, Any]]:
    """Yields a row per encoding."""
    for encoding in ENCODINGS:
        chunks = [min(CHUNK, draws - first) for first in range(0, draws, CHUNK)]
        tasks = (delayed(_checked)(str(study.path), encoding, seed, size) for seed, size in enumerate(chunks))
        found: list[dict[str, int]] = Parallel(n_jobs=jobs)(tasks)
        yield {"encoding": encoding, **{key: sum(each[key] for each in found) for key in found[0]}}


def main() -> None:
    """Checks the spaces of the studies that the command line names; writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("studies", nargs="+", help="bare names or paths; they need not have been tuned")
    parser.add_argument("--draws", type=int, default=10_000, help="of each encoding")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    given = parser.parse_args()
    for name in given.studies:
        study = load_study(name)
        command = f"python -m benchmarks.encodings {name} --draws {given.draws}"
        head = heading(study, setting.open_pipeline(study), command, 0)
        print(save({**head, "rows": list(shown(measure(study, given.draws, given.jobs)))}, f"encodings-{study.name}"))


if __name__ == "__main__":
    main()
