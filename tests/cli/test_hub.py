"""Policies in a repository of the hub, by the hub's own client against a server on this machine."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from frdiff_tune.policy import Policy
from frdiff_tune.policy.hub import is_repository
from frdiff_tune.report.card import card
from tests.cli.child import MAIN
from tests.cli.conftest import Run
from tests.policy.hub_server import hub
from tests.report.toy import MACHINE, MEASURED, PROVENANCE, toy_policy

MEASURED_POLICY = toy_policy("110100", mixing=(1.0, 1.0, 0.0, 1.0, 0.0, 0.0)).replace(
    measured=MEASURED, machine=MACHINE, provenance=PROVENANCE
)
Do = Callable[..., subprocess.CompletedProcess[str]]
Server = tuple[Do, dict[tuple[str, str], bytes], list[dict[str, object]]]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A function that runs ``frdiff-tune`` where the hub is on this machine; that hub's files; its new repositories."""
    with hub() as (address, files, made):
        environment = {**os.environ, "HF_ENDPOINT": address, "HF_HOME": str(tmp_path / "hub"), "HF_TOKEN": "hf_own"}
        environment |= {"HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_XET": "1"}

        def run(*arguments: object) -> subprocess.CompletedProcess[str]:
            command = [sys.executable, "-c", MAIN, *map(str, arguments)]
            return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path)

        yield run, files, made


def test_a_pushed_policy_is_applied_by_the_name_of_its_repository(server: Server, tmp_path: Path) -> None:
    do, files, made = server
    MEASURED_POLICY.save(tmp_path / "own.json")
    pushed = do("push", "own.json", "me/fast", "--private")
    assert pushed.returncode == 0, pushed.stderr
    assert "apply_policy(pipe, 'me/fast')" in pushed.stdout and "/me/fast/commit/" in pushed.stdout
    assert made[0]["visibility"] == "private" and {name for name, _ in files} == {"me/fast"}
    assert {path for _, path in files} == {"policy.json", "README.md", "schedule.png"}
    assert b"2.50x faster" in files["me/fast", "README.md"]
    shown = do("show", "me/fast")
    assert shown.returncode == 0 and MEASURED_POLICY.digest in shown.stdout.replace("\n", "").replace(" ", ""), shown.stderr


def test_what_the_hub_does_not_have_is_said_with_both_ways_out(server: Server) -> None:
    do, files, _ = server
    missing = do("show", "me/none")
    assert missing.returncode == 2 and "must be a policy file, or a repository of the hub" in missing.stderr
    assert "Traceback" not in missing.stderr
    files["me/other", "README.md"] = b"no policy"
    empty = do("show", "me/other")
    assert empty.returncode == 2 and "'policy.json'" in empty.stderr


def test_a_card_is_written_to_look_at_and_nothing_is_uploaded(server: Server, tmp_path: Path) -> None:
    do, files, made = server
    MEASURED_POLICY.save(tmp_path / "own.json")
    written = do("push", "own.json", "me/fast", "-o", "card")
    assert written.returncode == 0, written.stderr
    assert (files, made) == ({}, [])
    assert Policy.load(tmp_path / "card" / "policy.json") == MEASURED_POLICY
    text = (tmp_path / "card" / "README.md").read_text(encoding="utf-8")
    assert text.startswith("---\nlibrary_name: frdiff-tune") and "value: 2.5\n" in text and "value: 0.0036\n" in text
    assert "| machine | Some CPU (2 cores)" in text and "0.0036 (0.002 to 0.0061) on 32 held-out pictures" in text


def test_a_policy_without_figures_and_a_name_that_is_none_are_refused(tmp_path: Path, run: Run) -> None:
    toy_policy("1101").save(tmp_path / "bare.json")
    bare = run("push", tmp_path / "bare.json", "me/fast")
    assert bare.exit_code == 2 and "frdiff-tune check" in bare.stderr
    MEASURED_POLICY.save(tmp_path / "own.json")
    named = run("push", tmp_path / "own.json", "fast")
    assert named.exit_code == 2 and "user/repo" in named.stderr


def test_files_come_before_repositories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "me").mkdir()
    toy_policy("1101").save("me/fast")
    assert Policy.load("me/fast").keyframes == "1101" and not is_repository("me/fast", None)
    assert is_repository("me/slow", None) and is_repository("a-b/c.d", None) and is_repository("own.json", "policy.json")
    for path in ("own.json", "runs/policy.json", "a/b/c", "/policy", "./me"):
        assert not is_repository(path, None), path


def test_the_card_of_a_model_from_the_hub_names_it() -> None:
    own = MEASURED_POLICY.model.model_copy(update={"source": "some/model", "pipeline": "StableDiffusionImg2ImgPipeline"})
    text = card(MEASURED_POLICY.replace(model=own), "me/fast")
    assert "base_model: some/model" in text and "type: image-to-image" in text
    assert "base_model" not in card(MEASURED_POLICY, "me/fast")
