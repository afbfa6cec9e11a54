# SPDX-License-Identifier: MIT
"""What a host must be like, beside the files that are installed on it: asked by one script that only reads.

The SSH server is asked as well: a trial needs a stream to the database server's port, and a session may begin
before the last one is gone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

from kmlbench.errors import CommandTimeout, HostError
from kmlbench.hosts.base import require_success
from kmlbench.model import Host, Server
from kmlbench.provision.changes import Lack
from kmlbench.results.confinement import PROFILES, confinement

TIMEOUT_S = 60.0

RUN_MIB, TMP_MIB = 512, 64

# A port on which nothing listens: whether it may be opened is what counts.
NOBODYS_PORT = 1

OVERLAP_S = "0.5"

_LINE = re.compile(r"([a-z_]+)=(.*)")

# `mount PATH`: the options of the file system on which it is, or would be.
SCRIPT = r"""
PATH=$PATH:/usr/sbin:/sbin
export LC_ALL=C
say() { name=$1; set -f; set -- $2; set +f; printf '%s=%s\n' "$name" "$*"; }
mounted() {
    place=$1
    while [ ! -e "$place" ]; do place=${place%/*}; [ -n "$place" ] || place=/; done
    say "mount_$2" "$(findmnt -n -o OPTIONS --target "$place" 2>/dev/null | head -n 1)"
}
say machine "$(uname -m)"
say user "$(id -u mysql 2>/dev/null)"
say pymysql "$(/usr/bin/python3 -c "$1" >/dev/null 2>&1 && echo yes)"
say run_free "$(df --output=avail --block-size=1M /run 2>/dev/null | tail -n 1)"
say tmp_free "$(df --output=avail --block-size=1M /tmp 2>/dev/null | tail -n 1)"
mounted /trusted trusted
mounted /usr usr
mounted /var/lib/kmlbench base
mounted /run run
profiles=/sys/kernel/security/apparmor/profiles
say apparmor "$(grep -E '^(/usr/sbin/)?(mysqld|mariadbd) ' $profiles 2>/dev/null)"
say selinux "$(cat /sys/fs/selinux/enforce 2>/dev/null)"
exit 0
"""

# Only looked up: importing it takes seconds in an emulated guest.
HAS_PYMYSQL = "import importlib.util, sys; sys.exit(importlib.util.find_spec('pymysql') is None)"

WRITTEN = {"trusted": "/trusted", "usr": "/usr", "base": "/var/lib/kmlbench", "run": "/run"}

RUN_FROM = ("trusted", "usr")

Answers = Mapping[str, str]


def ask(host: Host) -> Answers:
    """The answers of a host by name; an unanswered question is left out. Raises HostError."""
    result = host.run(("sh", "-c", SCRIPT, "sh", HAS_PYMYSQL), timeout_s=TIMEOUT_S)
    lines = require_success(host, result, "asking for its conditions").stdout.splitlines()
    matches = [match for line in lines if (match := _LINE.fullmatch(line))]
    return {match[1]: match[2].strip() for match in matches if match[2].strip()}


def lacks_in(answers: Answers, server: Server) -> Iterator[Lack]:
    """What these answers lack for a campaign with `server`."""
    if (machine := answers.get("machine", "x86_64")) != "x86_64":
        yield Lack(what=f"its processor is {machine}, not x86_64", remedy="use an x86-64 machine")
    if "user" not in answers:
        what = "there is no user mysql to run the server as"
        yield Lack(what=what, remedy="adduser --system --group --no-create-home mysql")
    if "pymysql" not in answers:
        what = "/usr/bin/python3 has no pymysql, which the second client needs"
        yield Lack(what=what, remedy="apt-get install python3-pymysql")
    yield from _space(answers)
    yield from _mounts(answers)
    yield from _confinement(answers, server)


def lacks_of_connection(host: Host) -> Iterator[Lack]:
    """What its SSH server does not allow. Raises HostError if the host is gone."""
    try:
        host.dial(NOBODYS_PORT).close()
    except HostError as error:
        if "prohibited" in str(error).lower():
            what = "its SSH server forwards no ports, and the database server is reached through it"
            yield Lack(what=what, remedy="AllowTcpForwarding yes (and no PermitOpen none) in its sshd_config")
    with ThreadPoolExecutor(max_workers=1) as pool:
        other = pool.submit(host.run, ("sleep", OVERLAP_S), timeout_s=TIMEOUT_S)
        try:
            host.run(("true",), timeout_s=TIMEOUT_S)
            other.result()
        except CommandTimeout:
            raise
        except HostError as error:
            if "refused" not in str(error):
                raise
            what = "its SSH server allows one session at a time: one that begins early is refused"
            yield Lack(what=what, remedy="MaxSessions 10 in its sshd_config")


def _space(answers: Answers) -> Iterator[Lack]:
    for name, place, need, why, remedy in (
        ("run_free", "/run", RUN_MIB, "the server's data needs", "mount -o remount,size=2G /run"),
        ("tmp_free", "/tmp", TMP_MIB, "the server's temporary files need", "remove what fills /tmp"),
    ):
        free = answers.get(name, "")
        if free.isascii() and free.isdigit() and int(free) < need:
            yield Lack(what=f"{place} has {free} MiB free; {why} {need} MiB there", remedy=remedy)


def _mounts(answers: Answers) -> Iterator[Lack]:
    for name, place in WRITTEN.items():
        options = answers.get(f"mount_{name}", "").split(",")
        if "ro" in options:
            what = f"{place} is on a file system that is mounted read-only"
            yield Lack(what=what, remedy=f"mount -o remount,rw it, or mount a writable one at {place}")
        if name in RUN_FROM and "noexec" in options:
            what = f"{place} is on a file system that is mounted noexec: no program runs from there"
            yield Lack(what=what, remedy="mount -o remount,exec it")


def _confinement(answers: Answers, server: Server) -> Iterator[Lack]:
    """A profile is for the server's path below /usr: the copy below /trusted would run without."""
    text = f"{answers.get('apparmor', '')}\n{answers.get('selinux', '')}"
    program, confined = f"/usr/sbin/{PROFILES[server]}", confinement(text, server)
    if "AppArmor" in confined:
        profile = f"/etc/apparmor.d/usr.sbin.{PROFILES[server]}"
        yield Lack(
            what=f"AppArmor confines {program} and not its copy below /trusted ({confined})",
            remedy=f"ln -s {profile} /etc/apparmor.d/disable/ and apparmor_parser -R {profile}",
        )
    if "SELinux" in confined:
        yield Lack(
            what=f"SELinux is enforcing: {program} and its copy below /trusted may run in different domains",
            remedy="setenforce 0 on both hosts for the campaign",
        )
