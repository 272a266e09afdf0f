"""Policies in a repository of the Hugging Face hub: fetched into the hub's cache, pushed as a folder."""

import re
from pathlib import Path
from typing import Any

from frdiff_tune.errors import PolicyError

FILE = "policy.json"
"""Name of a policy's file in a repository, unless another one is given."""
REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
"""What names a repository: its owner and its name."""


def is_repository(path: str | Path, filename: str | None) -> bool:
    """Whether a policy is to be fetched from the hub: no file of that name is there, and it names a repository.

    Arguments:
        path: What was given.
        filename: A file's name within it, if it was given.
    """
    text = str(path)
    if Path(text).is_file():
        return False
    return filename is not None or (REPOSITORY.fullmatch(text) is not None and not text.endswith(".json"))


def fetch(repository: str, filename: str | None = None, revision: str | None = None) -> Path:
    """Returns the path of a policy's file, fetched unless the hub's cache holds it.

    Arguments:
        repository: As ``user/repo``.
        filename: Of the file; None: ``policy.json``.
        revision: Branch, tag or commit; None: the newest.

    Raises:
        PolicyError: If it is not to be had.
    """
    from huggingface_hub import hf_hub_download

    name = filename or FILE
    try:
        return Path(hf_hub_download(repository, name, revision=revision))
    except Exception as error:  # the hub's client raises its own, its HTTP library's and the system's
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise PolicyError(
            f"`{repository}` must be a policy file, or a repository of the hub that holds {name!r}, but: {said} "
            "Check the path, or the name and, for a private one, `hf auth login`."
        ) from error


def push(folder: Path, repository: str, *, private: bool = False, message: str = "Add a policy") -> str:
    """Uploads a folder, makes the repository where it is missing, and returns where the result is seen.

    Arguments:
        folder: With the policy and its card.
        repository: As ``user/repo``.
        private: Whether a new repository is seen by its owner alone.
        message: Of the commit.

    Raises:
        PolicyError: If the name is none, or the hub refuses.
    """
    from huggingface_hub import HfApi

    if not REPOSITORY.fullmatch(repository):
        raise PolicyError(f"`repository` must be an owner and a name but got {repository!r}. Write it as user/repo.")
    api: Any = HfApi()
    try:
        api.create_repo(repository, private=private, exist_ok=True)
        return str(api.upload_folder(repo_id=repository, folder_path=folder, commit_message=message).commit_url)
    except Exception as error:  # as above
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise PolicyError(
            f"`{repository}` could not be written: {said} Log in with `hf auth login`, then try again."
        ) from error
