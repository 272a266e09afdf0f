"""Where study and space files are: a bare name is a shipped file, a path is the user's own."""

from pathlib import Path

from frdiff_tune.errors import FrdiffError
from frdiff_tune.search.toml_file import nearest

PACKAGE = Path(__file__).resolve().parent.parent


def shipped(folder: str) -> dict[str, Path]:
    """Returns the files that travel with the package, by bare name.

    Arguments:
        folder: ``studies`` or ``search_spaces``; inside the package in a wheel, beside it in a checkout.
    """
    for parent in (PACKAGE, PACKAGE.parent):
        files = {path.stem: path for path in (parent / folder).glob("*.toml")}
        if files:
            return dict(sorted(files.items()))
    return {}


def find(name: str | Path, folder: str, error: type[FrdiffError]) -> Path:
    """Returns the file that a name or a path means; a file at that path comes first.

    Arguments:
        name: ``sdxl``, or ``my/spaces/sdxl.toml``.
        folder: ``studies`` or ``search_spaces``.
        error: What to raise if there is no such file.

    Raises:
        FrdiffError: Of kind ``error``, listing the shipped names.
    """
    path, known = Path(name).expanduser(), shipped(folder)
    if path.is_file():
        return path
    if path.stem in known and path in (Path(path.stem), Path(folder) / f"{path.stem}.toml"):
        return known[path.stem]
    raise error(
        f"`{name}` must be the path of a .toml file or one of the shipped {folder.replace('_', ' ')} "
        f"{', '.join(known)}. {nearest(path.stem, known)}"
    )
