"""A terminal of 80 columns: a program runs in it, and what it has shown is read."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from collections.abc import Sequence
from pathlib import Path

COLUMNS, ROWS = 80, 40
CONTROL = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[@-Z\\-_]")
"""Codes that move the cursor, colour or erase."""


def run_in_terminal(command: Sequence[str], folder: Path | None = None) -> tuple[int, str]:
    """Runs a program and returns its exit code and all that it has written, control codes among it.

    Arguments:
        command: Program and arguments.
        folder: Where it runs; None: here.
    """
    own, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": str(COLUMNS), "LINES": str(ROWS)}
    with subprocess.Popen(command, stdin=its, stdout=its, stderr=its, env=environment, cwd=folder) as process:
        os.close(its)
        written = b"".join(iter(lambda: _read(own), b""))
    os.close(own)
    return process.wait(), written.decode("utf-8")


def _read(own: int) -> bytes:
    try:
        return os.read(own, 1 << 16)
    except OSError:  # how Linux says that the other end was closed
        return b""


def lines(written: str) -> list[str]:
    """Returns the lines that were written, without control codes."""
    return [CONTROL.sub("", line) for line in re.split(r"\r*\n|\r", written)]
