# SPDX-License-Identifier: MIT
"""A scheduler and workers in processes of their own, for tests of clusters."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.paths import PYTHONPATH, SUPPORT

SCHEDULER = ("-m", "dask", "scheduler", "--host", "127.0.0.1", "--no-dashboard")

# A shell starts what runs in its background with SIGINT ignored, and these tests with it.
WORKER = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from kmlbench.cli.main import main; sys.exit(main())"
)


@contextmanager
def scheduler() -> Iterator[str]:
    """The address of a scheduler."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    argv = (sys.executable, *SCHEDULER, "--port", str(port))
    with subprocess.Popen(argv, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL) as process:
        try:
            yield f"tcp://127.0.0.1:{port}"
        finally:
            process.kill()


@contextmanager
def worker(address: str, directory: Path, *, processor: str = "") -> Iterator[subprocess.Popen[str]]:
    """A `kmlbench worker`, as on a machine of its own; with a processor, on hosts that worker_child.py plays.

    Such workers read and write DIRECTORY's parent.
    """
    runtime = directory / "runtime"
    runtime.mkdir(parents=True)
    played = (str(SUPPORT / "worker_child.py"), str(directory.parent), processor)
    program = played if processor else ("-c", WORKER, "worker")
    environment = {**os.environ, "PYTHONPATH": PYTHONPATH, "XDG_RUNTIME_DIR": str(runtime)}
    if processor:
        environment["XDG_CACHE_HOME"] = str(directory / "cache")
    with subprocess.Popen(
        (sys.executable, *program, address), env=environment, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()
