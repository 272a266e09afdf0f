"""A process that tunes and is killed in the middle of a trial; run by ``test_tuning``.

    python -m tests.search.killed FOLDER TRIAL SAMPLER
"""

import sys
import time
from pathlib import Path

from frdiff_tune.policy import Policy
from frdiff_tune.search import tune
from tests.search.recorded import recorded, study_at
from tests.tiny import tiny_dit


def main(folder: Path, trial: int, sampler: str) -> None:
    """Tunes until block 1 of the trial of that number, then waits to be killed."""
    study = study_at(folder, "demo-dit", trials=14, sampler=sampler)
    pipe = tiny_dit("v_prediction")
    seen: list[str] = []

    def wait(policy: Policy, b: int) -> None:
        seen.extend([policy.digest] if policy.digest not in seen else [])
        if len(seen) == trial and b == 1:
            (folder / "soon").write_text(policy.digest)
            (folder / "soon").rename(folder / "now")  # the parent kills as soon as it sees the file
            time.sleep(600)

    for _ in tune(study, pipe=pipe, evaluator=recorded(study, pipe, wait)):
        pass


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
