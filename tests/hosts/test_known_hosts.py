# SPDX-License-Identifier: MIT
"""known_hosts and ~/.ssh/config mean what OpenSSH says they mean: ssh-keygen and ssh are asked."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.ssh_server import new_key

from kmlbench import process
from kmlbench.hosts.known_hosts import keys_in, known_name
from kmlbench.hosts.login import Login

HOSTS = ("oak.example.org", "OAK.Example.org", "bad.example.org", "example.org", "::1", "fe80::1%eth0", "a.b")
PORTS = (22, 2222)
PATTERNS = (
    *(
        "*.example.org {}",
        "*.example.org,!bad.example.org {}",
        "oak.example.org,192.0.2.7 {}",
        "OAK.EXAMPLE.ORG {}",
    ),
    *(
        "[oak.example.org]:2222 {}",
        "[*.example.org]:2222 {}",
        "[*]:* {}",
        "o?k.example.org {} a comment",
        "* {}",
    ),
    *(
        "::1 {}",
        "[::1]:2222 {}",
        "fe80::1%eth0 {}",
        "!* {}",
        "@revoked * {}",
        "@cert-authority *.org {}",
        "#* {}",
    ),
    *(
        "[oa]k.example.org {}",
        "oak.example.org\t{}",
        "  oak.example.org  {}",
        "@other * {}",
        "a.b {}",
        "a*b {}",
        "\n",
    ),
)


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = new_key(tmp_path_factory.mktemp("key")).with_name("key.pub")
    return " ".join(path.read_text().split()[:2])


def found_by_ssh(path: Path, host: str, port: int) -> list[str]:
    """The markers and keys that ssh-keygen finds; ssh looks for the plain name as well, in lower case."""
    authorities: list[str] = []
    for name in dict.fromkeys((host if port == 22 else f"[{host}]:{port}", host)):
        argv = ("ssh-keygen", "-F", name, "-f", str(path))
        lines = process.run(argv, timeout_s=30).stdout.splitlines()
        text = [line for line in lines if not line.startswith("#")]
        if any(not line.startswith("@cert-authority") for line in text):
            return text
        authorities = authorities or text
    return authorities


@pytest.mark.slow
@pytest.mark.parametrize("hashed", [False, True])
def test_every_pattern_means_what_it_means_to_ssh(tmp_path: Path, key: str, hashed: bool) -> None:
    for number, pattern in enumerate(PATTERNS):
        path = tmp_path / f"known-{number}"
        path.write_text(pattern.format(key) + "\n")
        if hashed:
            # It leaves a file alone in which a line means nothing to it.
            process.run(("ssh-keygen", "-q", "-H", "-f", str(path)), timeout_s=30)
        for host in HOSTS if number % 3 == 0 or not hashed else HOSTS[:2]:
            for port in PORTS:
                lines = found_by_ssh(path, host.lower(), port)
                result = keys_in(path, host, port)
                marked = [line.split()[0] for line in lines if line.startswith("@")]
                assert (result.revoked, result.authorities) == (
                    marked.count("@revoked"),
                    marked.count("@cert-authority"),
                ), (pattern, host, port)
                assert len(result.keys) == len(lines) - len(marked), (pattern, host, port)


def test_of_several_keys_each_is_good_but_the_revoked_one(tmp_path: Path, key: str) -> None:
    other = " ".join(new_key(tmp_path, "other").with_name("other.pub").read_text().split()[:2])
    path = tmp_path / "known"
    path.write_text(f"oak {key}\n*,!elm {other}\n@revoked o* {key}\n")
    result = keys_in(path, "oak", 22)
    assert [f"{key.get_name()} {key.get_base64()}" for key in result.keys] == [other]
    assert result.revoked == 1
    assert not keys_in(path, "elm", 22).keys


def test_a_key_of_a_kind_that_is_not_known_is_passed_over(tmp_path: Path, key: str) -> None:
    path = tmp_path / "known"
    path.write_text(f"oak ssh-new AAAA\noak {key}\n")
    assert [each.get_name() for each in keys_in(path, "oak", 22).keys] == ["ssh-ed25519"]


def test_the_name_of_a_host_is_in_lower_case_and_has_its_port() -> None:
    assert (known_name("OAK.org", 22), known_name("::1", 2222)) == ("oak.org", "[::1]:2222")


@pytest.mark.parametrize("alias", ["oak", "Oak", "elm-1", "fir", "192.0.2.7"])
def test_an_alias_of_ssh_is_named_with_what_it_means(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, alias: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    config = tmp_path / ".ssh" / "config"
    config.parent.mkdir()
    config.write_text(
        "Host oak\n  HostName 10.0.0.7\n  Port 2222\n  User bench\nHost elm-*\n  HostName %h.lan\n"
    )
    argv = ("ssh", "-G", "-F", str(config), alias)
    meant = dict(
        line.split(maxsplit=1)
        for line in process.check(argv, timeout_s=30).stdout.splitlines()
        if " " in line
    )
    login = Login(address=alias, user="root", key=new_key(tmp_path), host_key="ssh-ed25519 AAAA")
    faults = [error for name, error in login.faults() if name == "address"]
    assert bool(faults) is (meant["hostname"] != alias.lower())
    for error in faults:
        assert f"'{alias}' is an alias in {config}" in str(error)
        assert f"hostname {meant['hostname']}" in str(error)


def test_a_configuration_that_cannot_be_read_names_no_alias(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "config").write_text('Match exec "true"\n  HostName other\nHost "\n')
    login = Login(address="oak", user="root", key=new_key(tmp_path), host_key="ssh-ed25519 AAAA")
    assert [name for name, _ in login.faults() if name == "address"] == []
