# SPDX-License-Identifier: MIT
"""A program that runs on a host beside others, in a directory of its own: started, stopped, and its log."""

from __future__ import annotations

from collections.abc import Sequence

from kmlbench.errors import TrialError
from kmlbench.model import CommandResult, Host

RUNTIME = "/run/kmlbench"

STOP_S = 120

COMMAND_S = 120.0

_STOP = """
kill -TERM "$1"
while [ -d "/proc/$1" ] && ! grep -q "^State:.Z" "/proc/$1/status"; do sleep 0.3; done
"""

_KILL = """
read -r pid < "$1/started" && kill -KILL "$pid" || exit 0
while [ -d "/proc/$pid" ] && ! grep -q "^State:.Z" "/proc/$pid/status"; do sleep 0.3; done
"""

# The parent directory belongs to all servers: the last one removes it.
_REMOVE = 'rm -rf "$1"; rmdir "${1%/*}" 2>/dev/null'

_WRITE = 'umask 077; cat > "$1" && chown "$2" "$1"'

# setsid runs in the background, so it does not fork and $! is the server itself.
_DETACH = """
directory=$1; shift
setsid "$@" </dev/null >>"$directory/log" 2>&1 &
echo $! > "$directory/started"
echo $!
"""


def launch(host: Host, directory: str, argv: Sequence[str]) -> int:
    """Start a program in the background; its PID. Raises TrialError(stage="start server")."""
    shell = ["sh", "-c", _DETACH, "sh", directory, *argv]
    result = require(host.run(shell, timeout_s=COMMAND_S))
    if not result.stdout.strip().isascii() or not result.stdout.strip().isdigit():
        raise TrialError(f"starting {argv[0]} printed {result.stdout!r}, not a PID", stage="start server")
    return int(result.stdout)


def write(host: Host, path: str, *, owner: str, text: str) -> None:
    """A file that only its owner can read."""
    argv = ["sh", "-c", _WRITE, "sh", path, owner]
    require(host.run(argv, timeout_s=COMMAND_S, stdin=text.encode()))


def stop(host: Host, directory: str, pid: int) -> None:
    """End the program by SIGTERM. Raises TrialError(stage="stop server") when it had to be killed."""
    argv = ["timeout", str(STOP_S), "sh", "-c", _STOP, "sh", str(pid)]
    result = host.run(argv, timeout_s=STOP_S + COMMAND_S)
    if result.returncode:
        tail = log_tail(host, directory)
        kill(host, directory)
        raise TrialError(
            f"the server did not stop within {STOP_S} s of SIGTERM (exit {result.returncode}) and was "
            f"killed; end of its log:\n{tail}",
            stage="stop server",
        )


def kill(host: Host, directory: str) -> None:
    """Kill the server that was started in `directory`, if any; its data is removed next."""
    argv = ["timeout", str(STOP_S), "sh", "-c", _KILL, "sh", directory]
    host.run(argv, timeout_s=STOP_S + COMMAND_S)


def remove(host: Host, directory: str) -> None:
    """Remove the directory, whatever is in it."""
    host.run(["sh", "-c", _REMOVE, "sh", directory], timeout_s=COMMAND_S)


def log_tail(host: Host, directory: str) -> str:
    """The end of what the program printed."""
    result = host.run(["tail", "--lines=15", f"{directory}/log"], timeout_s=COMMAND_S)
    return result.stdout.rstrip() or "(the log is empty)"


def require(result: CommandResult) -> CommandResult:
    """The result of a command that must succeed. Raises TrialError(stage="start server")."""
    if result.returncode:
        program = result.argv[0] if result.argv else "a command"
        raise TrialError(
            f"{program} ended with {result.returncode} while the server was set up: {result.stderr.strip()}",
            stage="start server",
        )
    return result
