"""Modules of the user's own."""

import importlib
import sys
from pathlib import Path
from types import ModuleType


def own_module(name: str) -> ModuleType:
    """Imports a module that is installed, or lies in the folder where the program was started.

    Arguments:
        name: As an ``import`` statement has it.

    Raises:
        ImportError: If there is none; whatever else the module raises is raised as it is.
    """
    folder = str(Path.cwd())
    sys.path.insert(0, folder)  # a console script does not look where it was started
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(folder)
