"""FRDiff's Auto-FR on an embedded model: the gates that gradient descent learns, which ``benchmarks.search`` compares.

    python -m benchmarks.autofr demo demo-dit

Seconds are of this machine, with nothing else running.
"""

import time
from itertools import islice
from typing import Any

from benchmarks.record import heading, run
from frdiff_tune.search.autofr import PASSES, PRICES, SEEN, learn_keyframes
from frdiff_tune.search.setting import open_pipeline, search_cases, walk_of
from frdiff_tune.search.study import Study


def measure(study: Study) -> dict[str, Any]:
    """Returns the gates of a study's model, as JSON values."""
    pipe, call = open_pipeline(study), study.file.call
    cases, steps = search_cases(study, pipe), call.num_inference_steps
    options: dict[str, Any] = {"steps": steps, "T": walk_of(study, pipe, cases).T(steps)}
    rows = []
    for price in PRICES:
        begun = time.monotonic()
        learning = learn_keyframes(pipe, cases[:SEEN], call.arguments, price=price, **options)
        for step, found in enumerate(islice(learning, PASSES)):
            print(price, step, found.computed, f"{found.error:.2e}", f"{time.monotonic() - begun:.0f} s", flush=True)
        seconds = round(time.monotonic() - begun, 1)
        gates = [round(gate, 4) for gate in found.gates]
        rows.append({"price": price, "passes": PASSES, "pictures": PASSES * SEEN, "seconds": seconds, "gates": gates})
    return {**heading(study, pipe, f"python -m benchmarks.autofr {study.name}", SEEN), "rows": rows}


if __name__ == "__main__":
    run(__doc__, "autofr", measure)
