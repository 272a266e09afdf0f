"""Policy files: what is written is read back bit for bit, whole or not at all."""

import json
import struct
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from frdiff_tune.errors import PolicyError
from frdiff_tune.policy import Policy, json_schema
from frdiff_tune.policy.schema import SCHEMA_FILE, schema_text
from tests.policy.toy import toy_policy

AWKWARD = (1.0, 0.1 + 0.2, 1.0, 5e-10)


def test_floats_survive_exactly(tmp_path: Path) -> None:
    policy = toy_policy(mixing=AWKWARD, forecast={"score": ((), (1 / 3,), (), (2.000000000000001, -1e-17))})
    policy.save(tmp_path / "policy.json")
    back = Policy.load(tmp_path / "policy.json")
    assert back == policy
    assert [struct.pack("d", lam) for lam in back.mixing] == [struct.pack("d", lam) for lam in policy.mixing]
    assert back.sampling.scheduler.config == {"trained_betas": None}


def test_a_file_may_be_read_by_whom_the_umask_lets(tmp_path: Path) -> None:
    toy_policy().save(tmp_path / "policy.json")
    (tmp_path / "plain").touch()
    assert (tmp_path / "policy.json").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_file_obeys_the_published_schema(tmp_path: Path) -> None:
    toy_policy().save(tmp_path / "policy.json")
    tree = json.loads((tmp_path / "policy.json").read_text())
    jsonschema.Draft202012Validator.check_schema(json_schema())
    jsonschema.validate(tree, json_schema())
    with pytest.raises(jsonschema.ValidationError, match="colour"):
        jsonschema.validate({**tree, "colour": 1}, json_schema())


def test_committed_schema_is_the_code_s() -> None:
    assert SCHEMA_FILE.read_text() == schema_text(), "write it anew: frdiff-tune schema > frdiff_tune/policy/policy.schema.json"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"schema_version": 1, "model": {', "breaks off or is malformed at line 1"),
        ("[1, 2]", "must hold a JSON object but got a list"),
        ("{}", "`schema_version` must be an integer but got None"),
        ('{"schema_version": true}', "`schema_version` must be an integer but got True"),
        ('{"schema_version": 7}', "`schema_version` must be at most 2 but got 7"),
        ('{"schema_version": 0}', "`schema_version` must be 1 to 2 but got 0"),
        ('{"schema_version": 1}', "`model` must be given but is missing"),
    ],
)
def test_bad_files_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "policy.json"
    path.write_text(text)
    with pytest.raises(PolicyError, match=message):
        Policy.load(path)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="nowhere.json"):
        Policy.load(tmp_path / "nowhere.json")


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "policy.json"
    toy_policy().save(path)
    whole = path.read_text().rstrip()
    for length in range(0, len(whole), 7):
        path.write_text(whole[:length])
        with pytest.raises(PolicyError):
            Policy.load(path)


FULL_DISK = """
import resource, signal, sys
from frdiff_tune.errors import PolicyError
from frdiff_tune.policy import Policy
policy = Policy.load(sys.argv[1])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
try:
    policy.save(sys.argv[1])
except PolicyError as error:
    print(error)
"""


def test_full_disk_leaves_the_old_file_whole(tmp_path: Path) -> None:
    """No file of this process may grow past 100 bytes: the write fails as on a full disk."""
    path = tmp_path / "policy.json"
    toy_policy().save(path)
    before = path.read_bytes()
    done = subprocess.run([sys.executable, "-c", FULL_DISK, str(path)], capture_output=True, text=True, check=True)
    assert "could not be written" in done.stdout
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
