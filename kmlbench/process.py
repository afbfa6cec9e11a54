# SPDX-License-Identifier: MIT
"""Commands on this machine: the only place, besides kmlbench.hosts, that starts processes."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType
from typing import IO

from kmlbench.errors import BuildError, CommandTimeout, MachineError
from kmlbench.model import CommandResult
from kmlbench.paths import setup_remedy

TAIL_LINES = 20

TERMINATION_GRACE_S = 10.0

# What a child of ours may take to shut down its guests and servers in good order.
INTERRUPTION_GRACE_S = 60.0

PR_SET_PDEATHSIG = 1

# Waits for a command, and kills its whole process group once the controller ($1) is gone: USR1 arrives when
# it dies; if it died before setpriv, it is no longer our parent. TERM is for the command alone.
_GUARD = """
trap 'kill -KILL 0' USR1
trap : TERM
[ "$PPID" = "$1" ] || exit 1
shift
"$@" &
child=$!
while wait "$child"; status=$?; kill -0 "$child" 2>/dev/null; do :; done
exit "$status"
"""


# Where Debian's own tools are; what a user's PATH puts before them is not known to any content key.
SYSTEM_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"

# How to reach a mirror, and where there is room: they decide whether a build ends, not what it makes.
PASSED_ON = (
    "http_proxy",
    "https_proxy",
    "ftp_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "TMPDIR",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """All variables that a command sees, and its umask (octal; None: this process's)."""

    variables: Mapping[str, str]
    umask: int | None = None


def build_environment(variables: Mapping[str, str] | None = None) -> Environment:
    """The same for every user: what is built does not depend on who builds it. `variables` are added."""
    passed = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    fixed = {"PATH": SYSTEM_PATH, "HOME": "/nonexistent", "LC_ALL": "C.UTF-8", "TZ": "UTC"}
    return Environment(variables={**passed, **fixed, **(variables or {})}, umask=0o022)


def run(
    argv: Sequence[str],
    *,
    timeout_s: float,
    cwd: Path | None = None,
    env: Environment | None = None,
    log: Path | None = None,
) -> CommandResult:
    """Run `argv` to its end; a non-zero exit is a result.

    `env` replaces this process's environment. With `log`, both streams are appended there and are
    empty in the result. The command and its children die with this process, with the calling thread, and
    at the deadline.

    Raises MachineError if the program is missing, CommandTimeout after `timeout_s` seconds.
    """
    surroundings = env or Environment(variables=os.environ)
    command = (*_tied(), require(argv[0], path=surroundings.variables.get("PATH")), *argv[1:])
    started = time.monotonic()
    with ExitStack() as stack:
        sink = stack.enter_context(log.open("ab")) if log else subprocess.PIPE
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=surroundings.variables,
            umask=-1 if surroundings.umask is None else surroundings.umask,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT if log else sink,
            start_new_session=True,
        )
        stdout, stderr = _finish(process, argv, timeout_s=timeout_s)
    return CommandResult(
        argv=tuple(argv),
        returncode=process.returncode,
        stdout=stdout.decode(errors="replace"),
        stderr=stderr.decode(errors="replace"),
        elapsed_s=time.monotonic() - started,
    )


def check(
    argv: Sequence[str],
    *,
    timeout_s: float,
    cwd: Path | None = None,
    env: Environment | None = None,
    log: Path | None = None,
) -> CommandResult:
    """Like `run`, but a non-zero exit raises BuildError with the end of the command's output."""
    result = run(argv, timeout_s=timeout_s, cwd=cwd, env=env, log=log)
    if result.returncode != 0:
        output = tail(log) if log else _last_lines(result.stdout + result.stderr)
        raise BuildError(
            f"`{shlex.join(argv)}` ended with {result.returncode}:\n{output}",
            remedy=f"read {log}" if log else "fix the cause above and run the command again",
        )
    return result


@contextmanager
def child(act: Callable[..., None], *arguments: object) -> Iterator[tuple[Connection, BaseProcess]]:
    """A Python process that calls `act` with an end of a pipe and `arguments`; our end, and the process.

    SIGTERM raises KeyboardInterrupt in it, once. It gets one when this block ends, and when this thread dies.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    started = context.Process(target=_child, args=(os.getpid(), act, theirs, *arguments))
    with ours:
        started.start()
        theirs.close()
        try:
            yield ours, started
        finally:
            started.terminate()
            # Whoever writes to a pipe that is full waits for its reader.
            ours.close()
            started.join(INTERRUPTION_GRACE_S)
            started.kill()
            started.join()


def _child(parent: int, act: Callable[..., None], connection: Connection, *arguments: object) -> None:
    # Ctrl-C in the terminal of the parent is the parent's affair.
    os.setsid()
    signal.signal(signal.SIGTERM, _interrupt)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() == parent:
        act(connection, *arguments)


def _interrupt(number: int, frame: FrameType | None) -> None:
    del frame
    signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def require(program: str, *, path: str | None = None) -> str:
    """Where `program` is in `path`, or in PATH. Raises MachineError if it is not installed."""
    # A user's PATH often leaves out the directories of mke2fs and chroot.
    located = shutil.which(program, path=f"{path or os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
    if located is None:
        raise MachineError(f"the program {program} is not installed on this machine", remedy=setup_remedy())
    return located


def tail(path: Path, *, lines: int = TAIL_LINES) -> str:
    """The last lines of a text file, or a note that it is empty."""
    return _last_lines(path.read_text(errors="replace"), lines=lines) if path.exists() else "(no output)"


def _last_lines(text: str, *, lines: int = TAIL_LINES) -> str:
    return "\n".join(text.rstrip().splitlines()[-lines:]) or "(no output)"


def _tied() -> tuple[str, ...]:
    """Arguments that make a command and its children die with the thread that starts it, even by SIGKILL."""
    return (require("setpriv"), "--pdeathsig", "USR1", "--", "/bin/sh", "-c", _GUARD, "sh", str(os.getpid()))


def _finish(
    process: subprocess.Popen[bytes], argv: Sequence[str], *, timeout_s: float
) -> tuple[bytes, bytes]:
    try:
        stdout, stderr = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired as error:
        raise CommandTimeout(
            f"`{shlex.join(argv)}` did not end within {timeout_s:.0f} s",
            remedy="the usual reason is a busy machine: run it again with nothing else running",
        ) from error
    finally:
        _end_group(process)
    return stdout or b"", stderr or b""


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """Leave no child behind, whatever ended the wait (deadline, Ctrl-C, an error)."""
    if process.poll() is not None:
        return
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(timeout=TERMINATION_GRACE_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    for stream in (process.stdout, process.stderr):
        _close(stream)


def _close(stream: IO[bytes] | None) -> None:
    if stream is not None:
        stream.close()


QEMU = "qemu-system-x86_64"
