"""Commands in processes that are forked from one which has imported torch.

They start in milliseconds, and end like those of `python -m mathprobe`.
"""

import multiprocessing
import os
import resource
import time
from pathlib import Path

from mathprobe import cli

FORKSERVER = multiprocessing.get_context("forkserver")
FORKSERVER.set_forkserver_preload(["pytest", "mathprobe.studies.linalg.training"])


class Command(FORKSERVER.Process):
    """A command whose output is in a file; `limit` is of the size of files (bytes)."""

    def __init__(self, arguments: list, log: Path, limit: int | None = None) -> None:
        super().__init__()
        self.arguments, self.log, self.limit = arguments, log, limit
        self.log.touch()
        self.start()

    def run(self) -> None:
        """Run the command in the new process."""
        with self.log.open("a", encoding="utf-8") as log:
            for stream in (1, 2):
                os.dup2(log.fileno(), stream)
        if self.limit:
            _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (self.limit, hard))
        cli.main([str(argument) for argument in self.arguments])

    def send(self, number: int) -> None:
        """Send a signal to the process."""
        os.kill(self.pid, number)

    def wait_for(self, text: str) -> None:
        """Wait until the command has printed a text."""
        while text not in self.log.read_text("utf-8"):
            assert self.is_alive(), self.output()
            time.sleep(0.05)

    def output(self) -> str:
        """Wait until the process has ended, and return its output."""
        self.join()
        return self.log.read_text("utf-8")
