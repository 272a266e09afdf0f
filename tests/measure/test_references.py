import multiprocessing
import os
import signal
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from frdiff_tune.errors import MeasureError
from frdiff_tune.measure import Case, Drawn, reference_latents, references, weights_fingerprint
from frdiff_tune.measure.bench import Bench
from frdiff_tune.measure.drawn import draw_latents
from frdiff_tune.measure.references import stored
from tests.tiny import tiny_dit, tiny_sd

PICTURES = np.arange(2 * 4 * 4 * 3, dtype=np.uint8).reshape(2, 4, 4, 3)
FORK = multiprocessing.get_context("fork")


def slow(folder: Path) -> NDArray[np.uint8]:
    with open(folder / "made", "a") as file:
        file.write("once\n")
    time.sleep(0.3)
    return PICTURES


def ask(folder: Path) -> None:
    assert np.array_equal(stored(folder, "ab" * 32, lambda: slow(folder)), PICTURES)


def die_while_writing(folder: Path) -> None:
    from joblib._store_backends import FileSystemStoreBackend

    rename = FileSystemStoreBackend._move_item

    def move(source: str, target: str) -> None:
        if "output" in target:
            os.kill(os.getpid(), signal.SIGKILL)
        rename(source, target)

    FileSystemStoreBackend._move_item = staticmethod(move)
    ask(folder)


def test_two_processes_make_one_once(tmp_path: Path) -> None:
    processes = [FORK.Process(target=ask, args=(tmp_path,)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    assert (tmp_path / "made").read_text() == "once\n"


def test_a_killed_writer_leaves_no_half_file(tmp_path: Path) -> None:
    process = FORK.Process(target=die_while_writing, args=(tmp_path,))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert len(list(tmp_path.rglob("output.pkl.*"))) == 1 and not list(tmp_path.rglob("output.pkl"))
    ask(tmp_path)
    ask(tmp_path)
    assert (tmp_path / "made").read_text() == "once\nonce\n"
    assert not list(tmp_path.rglob("output.pkl.*")) and len(list(tmp_path.rglob("output.pkl"))) == 1


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MeasureError, match="must be a folder that can be written"):
        stored(tmp_path / "file", "ab", lambda: PICTURES)


class Counted:
    """Counts the denoiser's calls of a pipeline."""

    def __init__(self, pipe: Any) -> None:  # noqa: ANN401
        self.calls = 0
        pipe.unet.register_forward_pre_hook(self._count)

    def _count(self, *_: object) -> None:
        self.calls += 1

    def since(self) -> int:
        calls, self.calls = self.calls, 0
        return calls


def same(a: Drawn, b: Drawn) -> bool:
    assert a.latents is not None and b.latents is not None
    return np.array_equal(a.pictures, b.pictures) and np.array_equal(a.latents, b.latents)


def test_made_once_per_content(tmp_path: Path) -> None:
    pipe: Any = tiny_sd()
    parts = [[Case({"prompt": "a fox"}, 0), Case({"prompt": "an owl"}, 1)], [Case({"prompt": "a bee"}, 2)]]
    counted = Counted(pipe)

    def made(steps: int = 3, parts: list[list[Case]] = parts, **call: float) -> list[Drawn]:
        return list(references(Bench(pipe), parts, steps, call, tmp_path))

    first = made()
    assert counted.since() == 6 and [len(drawn) for drawn in first] == [2, 1]
    assert all(same(a, b) for a, b in zip(first, made(), strict=True)) and counted.since() == 0
    made(steps=4)
    assert counted.since() == 8
    made(guidance_scale=3.0)
    assert counted.since() == 6
    made(parts=[parts[0][:1]])
    assert counted.since() == 3
    pipe.scheduler.register_to_config(timestep_spacing="leading")
    made()
    assert counted.since() == 6
    with torch.no_grad():
        pipe.unet.conv_in.weight.mul_(1.1)
    made()
    assert counted.since() == 6


@pytest.mark.parametrize("make", [tiny_sd, tiny_dit])
def test_latents_of_every_step_are_kept_on_request(tmp_path: Path, make: Any) -> None:  # noqa: ANN401
    pipe: Any = make()
    name, values = ("prompt", ["a fox", "an owl"]) if make is tiny_sd else ("class_labels", [1, 2])
    parts = [[Case({name: value}, seed) for seed, value in enumerate(values)]]
    (drawn,) = references(Bench(pipe), parts, 3, {}, tmp_path)
    (latents,) = reference_latents(Bench(pipe), parts, 3, {}, tmp_path)
    assert drawn.latents is not None and latents.shape == (3, *drawn.latents.shape)
    assert np.array_equal(latents[-1], drawn.latents) and not np.array_equal(latents[0], latents[1])
    pipe.scheduler.step = None  # nothing can be drawn any more: it is read
    (again,) = reference_latents(Bench(pipe), parts, 3, {}, tmp_path)
    assert np.array_equal(again, latents)


class Apart:
    """A painter whose scheduler's steps give three of something that is none of its two pictures."""

    def ready(self) -> None:
        self.solver = SimpleNamespace(step=lambda: (torch.zeros(3, 4),))

    def scheduler(self) -> Any:  # noqa: ANN401
        return self.solver

    def __call__(self, **arguments: Any) -> Any:  # noqa: ANN401
        self.solver.step()
        return SimpleNamespace(images=np.zeros((2, 4, 4, 3)))


def test_latents_that_belong_to_no_picture_are_refused() -> None:
    with pytest.raises(MeasureError, match="those of this pipeline give none that belong to its pictures"):
        draw_latents(Apart(), [Case({"prompt": "a fox"}, seed) for seed in (0, 1)], {})


def test_fingerprint() -> None:
    pipe: Any = tiny_dit()
    before = weights_fingerprint(pipe)
    assert before == weights_fingerprint(tiny_dit()) != weights_fingerprint(tiny_dit(seed=1))
    with torch.no_grad():
        pipe.vae.decoder.layers[0].bias += 1e-3
    assert weights_fingerprint(pipe) != before
    narrow: Any = tiny_dit()
    assert weights_fingerprint(narrow.to(torch.bfloat16)) != before
