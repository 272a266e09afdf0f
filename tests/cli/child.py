"""``frdiff-tune`` in a process of its own, which is interrupted as by Ctrl-C."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

MAIN = "from frdiff_tune.cli import main; main()"


def heed_interrupts() -> None:
    """Undoes what a shell does to jobs in the background, and they to their children: ignoring Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def dashboard(*arguments: object) -> Iterator[str]:
    """Runs a dashboard; yields its address as soon as its pictures are drawn.

    Arguments:
        arguments: Of ``frdiff-tune dashboard``.
    """
    command = [sys.executable, "-c", MAIN, "dashboard", *map(str, arguments), "--port", "0", "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=heed_interrupts) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            address = re.search(r"http://127\.0\.0\.1:\d+/dashboard/studies/\d+", line)
            assert address, line
            assert "trials have pictures" in process.stdout.readline()
            yield address[0]
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 0
        finally:
            process.kill()
