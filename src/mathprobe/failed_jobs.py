"""The failed jobs of a Snakemake run, each with the last lines of its log."""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path
from typing import Any

LINES = 15  # of each log
JOBS = 5  # whose logs are shown
SELECTING = "Select jobs to execute..."
COMMAND = re.compile(r"Command '.*'(?= (returned|died))", re.DOTALL)


class FailedJobs:
    """A filter of Snakemake's logger, which collects failed jobs.

    It also removes the commands of failed jobs from error messages, because they
    contain long specifications, names finished jobs by their messages, and drops the
    lines about the scheduler.
    """

    def __init__(self, dryrun: bool = False) -> None:
        """Start without failed jobs.

        In a dry run, jobs have no messages, so that Snakemake prints their resources.
        """
        self.dryrun = dryrun
        self.jobs: dict[int, dict[str, Any]] = {}  # by number
        self.messages: dict[int, str] = {}  # of all jobs

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to log a record; collect its failed jobs, and shorten it."""
        event, facts = getattr(record, "event", None), vars(record)
        if event == "job_info":
            self.messages[facts["jobid"]] = facts["rule_msg"]
            if self.dryrun:
                facts["rule_msg"] = None
        elif event == "job_error":
            facts["shellcmd"] = ""
            self.jobs[facts["jobid"]] = facts
        elif event == "group_error":
            for job in facts["job_error_info"]:
                logs = [*job["log"], *facts["aux_logs"]]
                self.jobs[job["jobid"]] = {**job, "log": logs}
        elif event == "job_finished":  # at a later attempt
            self.jobs.pop(facts["job_id"], None)
            if message := self.messages.get(facts["job_id"]):
                record.msg = f"Finished job {facts['job_id']}: {message}"
        elif event == "error":
            record.msg = COMMAND.sub("The command", str(record.msg))
        return event != "job_started" and record.msg != SELECTING

    def report(self) -> str:
        """Return the outputs of the failed jobs, and the last lines of their logs."""
        lines = [f"{len(self.jobs)} failed:"]
        for number, job in enumerate(self.jobs.values()):
            lines.append(f"\n{_folder(job['output'])} ({job['rule_name']})")
            for log in job["log"] if number < JOBS else ():
                lines += [f"  {log}:", *(f"    {line}" for line in _tail(Path(log)))]
        return "\n".join(lines)


def _folder(outputs: list[str]) -> str:
    """Return the output of a job, or the folder of its outputs."""
    return outputs[0] if len(outputs) == 1 else os.path.commonpath(outputs)


def _tail(path: Path) -> list[str]:
    """Return the last lines of a log, none of a notebook.

    Of a progress bar, it is the last state.
    """
    if path.suffix == ".ipynb":
        return []  # its JSON ends with metadata
    try:
        text = path.read_bytes().decode("utf-8", "replace")
    except OSError as error:
        return [f"({error.strerror})"]
    lines = [line.rpartition("\r")[2] for line in text.rstrip().split("\n")]
    return lines[-LINES:] if text.strip() else ["(empty)"]
