# SPDX-License-Identifier: MIT
"""Prepares an SSH host for campaigns, checks it, and removes what was installed.

The manifest on the host (provision.manifest) is written before anything else and lists our files: only these
are ever replaced or removed, and only if their content is unchanged.
"""

from __future__ import annotations

import io
import re
import tarfile
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kmlbench.errors import HostError, TrialError
from kmlbench.hosts.base import require_success
from kmlbench.model import Host, Kernel, Prefix
from kmlbench.provision import conditions, manifest
from kmlbench.provision.changes import (
    Changes,
    HostState,
    Lack,
    missing_packages,
    mode,
    planned_changes,
    proof_lacks,
)
from kmlbench.provision.changes import lacks as software_lacking
from kmlbench.provision.manifest import BASE, Manifest
from kmlbench.provision.payload import DATA, Belongings, Copied, Sent
from kmlbench.provision.remote_files import survey, tree
from kmlbench.workloads import probe

TIMEOUT_S = 600.0

SHORT_TIMEOUT_S = 60.0

STAGE = f"{BASE}/.stage"

NEW_DATA = f"{BASE}/.data"

PARTIAL = ".kmlbench-partial"

# Standard input: MODE SOURCE PATH, one file per line. A file appears atomically, by a rename.
_INSTALL = f"""
set -eu
while read -r mode source path; do
    install --mode="$mode" -- "$source" "$path{PARTIAL}"
    mv -f -- "$path{PARTIAL}" "$path"
done
"""

# Standard input: MODE PATH, one directory per line.
_MAKE = 'set -eu; while read -r mode path; do mkdir -p --mode="$mode" -- "$path"; done'

# Standard input: one path per line.
_REMOVE = "xargs --no-run-if-empty --delimiter='\\n' rm -f --"

# A package without a candidate has "(none)", one that apt does not know is left out.
_CANDIDATE = re.compile(r"^([a-z0-9.+-]+):\n  Installed: .*\n  Candidate: (?!\(none\))", re.MULTILINE)

_REMOVE_EMPTY = (
    'while read -r path; do rmdir -- "$path" 2>/dev/null || [ ! -d "$path" ] || echo "$path"; done'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaned:
    """What `clean` did: files removed, files kept because they were modified, and directories not empty."""

    removed: tuple[str, ...]
    changed: tuple[str, ...]
    in_use: tuple[str, ...]


def survey_host(host: Host, wanted: Belongings) -> HostState:
    """The state of the host. Raises HostError."""
    paths = {*wanted.directories, *wanted.sources, *(item.path for item in wanted.items), DATA}
    return HostState(manifest=installed(host), seen=survey(host, sorted(paths)))


def installed(host: Host) -> Manifest | None:
    """The manifest on the host. Raises HostError if it is damaged."""
    result = host.run(("cat", manifest.PATH), timeout_s=SHORT_TIMEOUT_S)
    return manifest.parse_manifest(result.stdout, host=host.name) if result.returncode == 0 else None


def lacking(host: Host, wanted: Belongings, state: HostState) -> tuple[Lack, ...]:
    """Everything that blocks preparing the host and that `prepare` cannot fix. Changes nothing."""
    unavailable = _unavailable(host, missing_packages(wanted, state))
    return (
        *software_lacking(wanted, state, unavailable),
        *conditions.lacks_in(conditions.ask(host), wanted.server),
        *conditions.lacks_of_connection(host),
    )


def check_proof(host: Host, kernel: Kernel) -> tuple[Lack, ...]:
    """Which programs of a prepared host do not run at the privilege level of their cell."""
    log = host.run(("sh", "-c", "dmesg | grep 'kml: ' | tail -n 1"), timeout_s=SHORT_TIMEOUT_S).stdout.strip()
    lacks = [proof_lacks(kernel, prefix, _level(host, prefix), log) for prefix in Prefix]
    return tuple(lack for lack in lacks if lack is not None)


def prepare_host(host: Host, wanted: Belongings, state: HostState) -> Changes:
    """Install what is missing. Raises HostError that lists every blocker, before anything is changed."""
    if lacks := lacking(host, wanted, state):
        raise HostError(
            f"{host.name} cannot be prepared, and nothing was changed:\n"
            + "\n".join(f"  {lack.what}" for lack in lacks),
            remedy="; ".join(dict.fromkeys(lack.remedy for lack in lacks)),
        )
    changes = planned_changes(wanted, state)
    if changes.lines:
        listed = _listed(wanted, state, changes)
        _run(host, "mkdir", "-p", "--mode=0755", BASE)
        _write(host, listed)
        _lines(host, _MAKE, (f"{mode(path)} {path}" for path in changes.directories))
        _install(host, changes)
        if changes.initialise:
            _write(host, _initialise(host, wanted, listed))
        if left := planned_changes(wanted, survey_host(host, wanted)).lines:
            raise HostError(f"{host.name}: not everything was installed; still missing: {left[0]}")
    return changes


def clean(host: Host) -> Cleaned:
    """Remove unmodified files that the manifest lists, then the manifest and our empty directories."""
    listed = installed(host)
    if listed is None:
        return Cleaned(removed=(), changed=(), in_use=())
    _run(host, "rm", "-rf", "--", STAGE, NEW_DATA)
    seen = survey(host, sorted(listed.files))
    changed = tuple(path for path, file in seen.items() if file.sha256 != listed.files[path])
    removed = tuple(path for path in listed.files if path in seen and path not in changed)
    names = (path for path in listed.files if path not in changed)
    _lines(host, _REMOVE, (each for path in names for each in (path, path + PARTIAL)))
    remaining = replace(listed, files={path: listed.files[path] for path in changed})
    if changed:
        _write(host, remaining)
    else:
        _run(host, "rm", "-f", "--", manifest.PATH)
    in_use = _lines(host, _REMOVE_EMPTY, sorted(listed.directories, reverse=True))
    return Cleaned(removed=removed, changed=changed, in_use=() if changed else tuple(in_use))


def _level(host: Host, prefix: Prefix) -> int:
    try:
        return probe.parse_privilege(probe.ask(host, prefix)).cpl
    except TrialError as error:
        raise HostError(
            f"{host.name}: {prefix.path('lib/kmlbench/cpl')} does not run: {error}",
            remedy=f"check whether {prefix} is mounted noexec, and whether its C library is too old",
        ) from error


def _unavailable(host: Host, packages: Sequence[str]) -> frozenset[str]:
    """Those of these packages that the host's own apt cannot install; none where there is no apt."""
    if not packages:
        return frozenset()
    result = host.run(("env", "LC_ALL=C", "apt-cache", "policy", *packages), timeout_s=SHORT_TIMEOUT_S)
    if result.returncode:
        return frozenset()
    known = set(_CANDIDATE.findall(result.stdout))
    return frozenset(packages) - known


def _listed(wanted: Belongings, state: HostState, changes: Changes) -> Manifest:
    """The manifest after the installation: what is already ours, and what will be."""
    old = state.manifest or Manifest(server=wanted.server)
    sent = {item.path: item.sha256 for item in wanted.items if isinstance(item, Sent)}
    sums = {
        item.path: item.sha256 if isinstance(item, Sent) else _sum(item, sent, state)
        for item in changes.items
    }
    directories = dict.fromkeys((*old.directories, *changes.directories))
    return replace(old, files={**old.files, **sums}, directories=tuple(directories))


def _sum(item: Copied, sent: Mapping[str, str], state: HostState) -> str:
    return sent[item.source] if item.source in sent else state.seen[item.source].sha256


def _write(host: Host, listed: Manifest) -> None:
    with tempfile.TemporaryDirectory(prefix="kmlbench-") as directory:
        local = Path(directory) / "manifest.json"
        local.write_text(listed.dump())
        local.chmod(0o644)
        host.put(local, manifest.PATH)


def _install(host: Host, changes: Changes) -> None:
    """Files are sent in one archive, which lies next to the manifest until they are in place."""
    _run(host, "rm", "-rf", "--", STAGE)
    _run(host, "mkdir", "--mode=0700", "--", STAGE)
    sent = [item for item in changes.items if isinstance(item, Sent)]
    unpack = ("tar", "--extract", "--no-same-owner", f"--directory={STAGE}")
    require_success(host, host.run(unpack, timeout_s=TIMEOUT_S, stdin=_archive(sent)), "installing")
    _lines(
        host,
        _INSTALL,
        (
            f"{item.mode} {STAGE}{item.path} {item.path}"
            if isinstance(item, Sent)
            else f"0755 {item.source} {item.path}"
            for item in changes.items
        ),
    )
    _run(host, "rm", "-rf", "--", STAGE)


def _archive(items: Sequence[Sent]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for item in items:
            archive.add(item.local, arcname=item.path.lstrip("/"))
    return stream.getvalue()


def _initialise(host: Host, wanted: Belongings, listed: Manifest) -> Manifest:
    """Create the pristine data, and add them to the manifest."""
    _run(host, "rm", "-rf", "--", NEW_DATA)
    _run(host, "install", "--directory", "--owner=mysql", "--group=mysql", "--mode=0750", NEW_DATA)
    argv = ("sh", "-s", "--", NEW_DATA)
    made = host.run(argv, timeout_s=TIMEOUT_S, stdin=wanted.initialise.encode())
    require_success(host, made, f"initialising the data of {wanted.server}")
    files, directories = tree(host, NEW_DATA)
    _run(host, "mv", "-T", "--", NEW_DATA, DATA)
    return replace(
        listed,
        files={**listed.files, **{_final(path): sha256 for path, sha256 in files.items()}},
        directories=(*listed.directories, *(_final(path) for path in directories)),
    )


def _final(path: str) -> str:
    return DATA + path.removeprefix(NEW_DATA)


def _lines(host: Host, script: str, lines: Iterable[str]) -> list[str]:
    """Run a script that reads lines; the lines that it prints."""
    text = "".join(f"{line}\n" for line in lines)
    result = host.run(("sh", "-c", script), timeout_s=TIMEOUT_S, stdin=text.encode())
    return require_success(host, result, "changing its files").stdout.splitlines()


def _run(host: Host, *argv: str) -> None:
    require_success(host, host.run(argv, timeout_s=TIMEOUT_S), "changing its files")
