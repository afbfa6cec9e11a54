# SPDX-License-Identifier: MIT
"""Keys and files that hosts.yaml names, through the front door: all that is wrong is told before a start."""

from __future__ import annotations

import base64
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from sshserver import new_key

from kmlbench import commands, machines, preflight
from kmlbench.cli import main, run_benchmark

UNUSABLE = "give the file of an unencrypted SSH key that you can read"
CAMPAIGN = "campaign: {stock: oak, kml: elm, server: mysql, workloads: [getpid], blocks: 1, scale: 1}\n"
NEGATIVE = base64.b64encode(b"\0\0\0\x07ssh-rsa" + b"\0\0\0\1\xff" * 2).decode()
BROKEN_HOST_KEYS = (f"ssh-rsa {NEGATIVE}", "ecdsa-sha2-x AAAA", "ssh-ed25519 AAAA")


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """A directory with a good key and a hosts.yaml of the hosts oak and elm."""

    directory: Path
    host_key: str

    @property
    def hosts(self) -> Path:
        return self.directory / "hosts.yaml"

    def write(self, *, oak: str = "", elm: str = "", more: str = "", port: int = 1) -> None:
        """Each host as its lines say, where those stand for the ones of a good host."""
        described = {"oak": ("stock", oak, port), "elm": ("kml", elm, 2)}
        text = "".join(self._host(name, *host) for name, host in described.items())
        self.hosts.write_text(f"hosts:\n{text}{more}{CAMPAIGN}")

    def _host(self, name: str, kernel: str, lines: str, port: int) -> str:
        fields = {
            "address": "127.0.0.1",
            "port": str(port),
            "user": "root",
            "key": "good",
            "host_key": self.host_key,
        }
        for line in filter(None, lines.split("\n")):
            key, _, value = line.partition(": ")
            if key == "known_hosts":
                del fields["host_key"]
            fields[key] = value
        told = "".join(f"    {key}: {value}\n" for key, value in fields.items())
        return f"  {name}:\n    kind: ssh\n    kernel: {kernel}\n{told}"

    def dry_run(self, *options: str) -> int:
        return run_benchmark(["--hosts", str(self.hosts), "--dry-run", *options])


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with keys, one of each kind."""
    directory = tmp_path_factory.mktemp("keys")
    good = new_key(directory, "good")
    (directory / "open").write_bytes(good.read_bytes())
    (directory / "open").chmod(0o644)
    (directory / "directory").mkdir()
    _locked(directory / "locked")
    _locked(directory / "locked.pem", "-t", "rsa", "-m", "PEM")
    _of_a_token(good, directory / "token")
    return directory


@pytest.fixture
def desk(tmp_path: Path, keys: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """Nothing of a campaign may be started."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("something was started")

    monkeypatch.setattr(preflight, "check", refuse)
    shutil.copytree(keys, tmp_path, dirs_exist_ok=True)
    kind, encoded, *_ = (tmp_path / "good.pub").read_text().split()
    return Desk(directory=tmp_path, host_key=f"{kind} {encoded}")


def _locked(path: Path, *kind: str) -> None:
    argv = ("ssh-keygen", "-q", *(kind or ("-t", "ed25519")), "-N", "a passphrase", "-f", str(path))
    commands.check(argv, timeout_s=60)


def _of_a_token(good: Path, path: Path) -> None:
    """A private key of a kind that needs a token."""
    head, *body, foot = good.read_text().splitlines()
    content = base64.b64decode("".join(body)).replace(b"ssh-ed25519", b"sk-ssh-ed25")
    path.write_text("\n".join([head, base64.b64encode(content).decode(), foot, ""]))
    path.chmod(0o600)


def test_doctor_tells_what_a_key_is_and_goes_on(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.write(oak="key: locked", elm="host_key: ssh-ed25519 AAAA")
    assert main(["doctor", "--hosts", str(desk.hosts)]) == 4
    told = capsys.readouterr().out
    assert f"oak\n  root@127.0.0.1:1: the private key {desk.directory}/locked cannot be used: Key" in told
    assert f"    remedy: {UNUSABLE}\n" in told
    assert "elm\n  root@127.0.0.1:2: 'ssh-ed25519 AAAA' is not a public host key" in told


def test_a_host_that_refuses_connections_says_so(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.write()
    connection = machines.connection
    monkeypatch.setattr(machines, "connection", lambda spec, _: connection(spec, 0.1))
    assert main(["doctor", "--hosts", str(desk.hosts)]) == 4
    told = capsys.readouterr().out
    assert "root@127.0.0.1:1 did not answer within 0 s: Connection refused\n" in told
