# SPDX-License-Identifier: MIT
"""Keys and files that hosts.yaml names, through the front door: all that is wrong is told before a start."""

from __future__ import annotations

import base64
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.ssh_server import listening, new_key

from kmlbench import process
from kmlbench.cli.main import main, run_benchmark
from kmlbench.hosts.kind_ssh import SshHostSpec
from kmlbench.run import preflight

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
        text = "".join(f"    {key}: {value}\n" for key, value in fields.items())
        return f"  {name}:\n    kind: ssh\n    kernel: {kernel}\n{text}"

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

    monkeypatch.setattr(preflight, "check_machine", refuse)
    shutil.copytree(keys, tmp_path, dirs_exist_ok=True)
    kind, encoded, *_ = (tmp_path / "good.pub").read_text().split()
    return Desk(directory=tmp_path, host_key=f"{kind} {encoded}")


def _locked(path: Path, *kind: str) -> None:
    argv = ("ssh-keygen", "-q", *(kind or ("-t", "ed25519")), "-N", "a passphrase", "-f", str(path))
    process.check(argv, timeout_s=60)


def _of_a_token(good: Path, path: Path) -> None:
    """A private key of a kind that needs a token."""
    head, *body, foot = good.read_text().splitlines()
    content = base64.b64decode("".join(body)).replace(b"ssh-ed25519", b"sk-ssh-ed25")
    path.write_text("\n".join([head, base64.b64encode(content).decode(), foot, ""]))
    path.chmod(0o600)


@pytest.mark.parametrize(
    ("key", "cause"),
    [
        ("locked", "Key is password-protected"),
        ("locked.pem", "private key is encrypted"),
        ("token", "Unsupported key type"),
        ("none", "No such file or directory"),
        ("directory", "Is a directory"),
        ("good.pub", "Unable to load PEM file"),
        ("~/none", "No such file or directory"),
    ],
)
def test_a_private_key_that_cannot_be_used(
    desk: Desk, key: str, cause: str, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.write(oak=f"key: {key}")
    shown = Path.home() / "none" if key == "~/none" else desk.directory / key
    hosts = ["--hosts", str(desk.hosts)]
    for run, words in ((run_benchmark, ["--dry-run"]), (main, ["host", "check", "oak"])):
        assert run([*words, *hosts]) == 2
        printed = capsys.readouterr().err
        place = f"{desk.hosts}:8: host 'oak': key: the private key {shown} cannot be used: "
        assert re.search(f"{re.escape(place)}.*{cause}", printed)
        assert f"  remedy: {UNUSABLE}\n" in printed


def test_a_private_key_that_others_may_read(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.write(elm="key: open")
    assert desk.dry_run() == 2
    printed = capsys.readouterr().err
    assert (
        f":16: host 'elm': key: others may read the private key {desk.directory}/open (mode 0644)" in printed
    )
    assert f"remedy: chmod 600 {desk.directory}/open" in printed


@pytest.mark.parametrize("host_key", BROKEN_HOST_KEYS)
def test_a_host_key_that_is_none(desk: Desk, host_key: str, capsys: pytest.CaptureFixture[str]) -> None:
    desk.write(elm=f"host_key: {host_key}")
    assert desk.dry_run() == 2
    printed = capsys.readouterr().err
    assert f":17: host 'elm': host_key: '{host_key[:60]}' is not a public host key\n  remedy: give" in printed


@pytest.mark.parametrize(
    ("kept", "cause", "remedy"),
    [
        (None, "cannot be used: No such file or directory", "give an OpenSSH known_hosts file"),
        ("", "has no key of [127.0.0.1]:1", "log in once with `ssh -p 1 root@127.0.0.1`"),
        ("127.0.0.1:1 {}", "has no key of [127.0.0.1]:1", "log in once"),
        (
            "@cert-authority * {}",
            "has only a certificate authority for [127.0.0.1]:1",
            "give the host's own key",
        ),
        (
            "@revoked [127.0.0.1]:1 {0}\n[127.0.0.1]:* {0}",
            "revokes the key of [127.0.0.1]:1",
            "give the host a new",
        ),
        ("[127.0.0.1]:1 ssh-ed25519 A", "cannot be used: ", "give an OpenSSH known_hosts file"),
    ],
)
def test_known_hosts_without_the_host(
    desk: Desk, kept: str | None, cause: str, remedy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if kept is not None:
        (desk.directory / "known").write_text(kept.format(desk.host_key) + "\n")
    desk.write(oak="known_hosts: known")
    assert desk.dry_run() == 2
    printed = capsys.readouterr().err
    assert ":9: host 'oak': known_hosts: " in printed
    assert f"{desk.directory}/known {cause}" in printed
    assert f"remedy: {remedy}" in printed


def test_known_hosts_with_the_host(desk: Desk) -> None:
    for name in ("[127.0.0.1]:1", "127.0.0.1", "elm,[127.0.0.?]:*", "*"):
        (desk.directory / "known").write_text(f"@cert-authority * {desk.host_key}\n{name} {desk.host_key}\n")
        desk.write(oak="known_hosts: known")
        assert desk.dry_run() == 0


def test_everything_is_told_at_once_with_its_line(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    gate = "jump: {address: gate, user: me, key: open, known_hosts: none}"
    desk.write(oak=f"key: none\nknown_hosts: none\n{gate}", elm="key: locked\nhost_key: ssh-ed25519 AAAA")
    assert desk.dry_run("--bloks") == 2
    printed = capsys.readouterr().err
    first, *faults, remedy = printed.splitlines()
    assert first == "run-benchmark: --bloks: unknown option; did you mean --blocks?"
    for fault, begin in zip(
        faults,
        (
            "8: host 'oak': key: the private key ",
            "9: host 'oak': known_hosts: the known_hosts file ",
            "10: host 'oak': jump: key: others may read ",
            "10: host 'oak': jump: known_hosts: the known_hosts file ",
            "17: host 'elm': key: the private key ",
            "18: host 'elm': host_key: 'ssh-ed25519 AAAA' is ",
        ),
        strict=True,
    ):
        assert fault.startswith(f"{desk.hosts}:{begin}")
    assert remedy.count(UNUSABLE) == 1
    assert remedy.endswith("; see `run-benchmark --help`")


def test_a_host_behind_another_is_looked_up_by_its_own_name(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    (desk.directory / "known").write_text(f"gate {desk.host_key}\n")
    gate = "jump: {address: gate, user: me, key: good, known_hosts: known}"
    desk.write(oak=f"known_hosts: known\n{gate}")
    assert desk.dry_run() == 2
    printed = capsys.readouterr().err
    assert printed.count(" has no key of ") == printed.count(" has no key of [127.0.0.1]:1") == 1
    assert "log in once with `ssh -J me@gate:22 -p 1 root@127.0.0.1`" in printed


def test_a_host_that_the_campaign_leaves_out_does_not_stop_it(desk: Desk) -> None:
    desk.write(more=desk._host("ash", "stock", "key: none", 3))
    assert desk.dry_run() == 0
    assert main(["host", "check", "ash", "--hosts", str(desk.hosts)]) == 2


@pytest.mark.slow
def test_doctor_tells_what_a_key_is_and_goes_on(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.write(oak="key: locked", elm="host_key: ssh-ed25519 AAAA")
    assert main(["doctor", "--hosts", str(desk.hosts)]) == 4
    printed = capsys.readouterr().out
    assert f"oak\n  root@127.0.0.1:1: the private key {desk.directory}/locked cannot be used: Key" in printed
    assert f"    remedy: {UNUSABLE}\n" in printed
    assert "elm\n  root@127.0.0.1:2: 'ssh-ed25519 AAAA' is not a public host key" in printed


def test_hosts_that_are_not_the_known_ones_end_the_campaign_before_it_begins(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(preflight, "check_machine", lambda *_, **__: None)
    (desk.directory / "server").mkdir()
    with listening(desk.directory / "server", lambda *_: None) as server:
        desk.write(port=server.port)
        results = desk.directory / "results"
        assert run_benchmark(["--hosts", str(desk.hosts), "--results", str(results)]) == 4
    assert "presents a different host key" in capsys.readouterr().err
    assert not results.exists()


@pytest.mark.slow
def test_a_host_that_refuses_connections_says_so(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.write()
    connection = SshHostSpec.connection
    monkeypatch.setattr(SshHostSpec, "connection", lambda spec, _: connection(spec, 0.1))
    assert main(["doctor", "--hosts", str(desk.hosts)]) == 4
    printed = capsys.readouterr().out
    assert "root@127.0.0.1:1 did not answer within 0 s: Connection refused\n" in printed
