# SPDX-License-Identifier: MIT
"""Hosts with which no connection can come about, and hosts that do not answer: how often they are asked."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import paramiko
import pytest
from support.ssh_server import listening, new_key

from kmlbench.errors import HostError
from kmlbench.hosts.login import Login

BANNER = b"SSH-2.0-Old\r\n"


@contextmanager
def answering(answer: Callable[[socket.socket], None]) -> Iterator[tuple[int, list[float]]]:
    """A port where each connection gets this answer and ends; when they came."""
    times: list[float] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    times.append(time.monotonic())
                    with connection, suppress(OSError):
                        answer(connection)

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield listener.getsockname()[1], times
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def offering(lists: list[str]) -> Callable[[socket.socket], None]:
    """A server that offers these algorithms, in the order of RFC 4253, section 7.1."""
    message = paramiko.Message()
    message.add_byte(b"\x14")
    message.add_bytes(b"c" * 16)
    for words in [*lists, "", ""]:
        message.add_string(words)
    message.add_boolean(False)
    message.add_int(0)
    payload = message.asbytes()
    padding = 8 - (len(payload) + 5) % 8 + 8
    packet = (len(payload) + padding + 1).to_bytes(4, "big") + bytes([padding]) + payload + b"\0" * padding

    def answer(connection: socket.socket) -> None:
        connection.sendall(BANNER + packet)
        while connection.recv(4096):
            pass

    return answer


GOOD = [
    "curve25519-sha256@libssh.org",
    "ssh-ed25519",
    "aes128-ctr",
    "aes128-ctr",
    "hmac-sha2-256",
    "hmac-sha2-256",
]
NONE = ["none", "none"]


def refusal(directory: Path, port: int, *, deadline_s: float = 20) -> str:
    key = new_key(directory)
    host_key = key.with_name("key.pub").read_text()
    login = Login(address="127.0.0.1", port=port, user="root", key=key, host_key=host_key)
    with pytest.raises(HostError) as caught, login.client(deadline_s=deadline_s):
        pass
    return str(caught.value)


@pytest.mark.parametrize(
    ("place", "bad", "title"),
    [
        (0, "diffie-hellman-group1-sha1", "key exchange"),
        (1, "ssh-dss", "host key"),
        (2, "3des-old", "cipher"),
    ],
)
def test_no_algorithm_in_common_ends_at_once_and_names_them(
    tmp_path: Path, place: int, bad: str, title: str
) -> None:
    lists = [
        f"{bad},kex-strict-s-v00@openssh.com" if index == place else words for index, words in enumerate(GOOD)
    ]
    with answering(offering([*lists, *NONE])) as (port, times):
        text = refusal(tmp_path, port)
    assert len(times) == 1
    assert f"cannot be talked to: no {title} in common: it offers {bad}; here is " in text
    assert GOOD[place] in text
    assert "remedy: allow one of these in the host's /etc/ssh/sshd_config" in text


def test_another_version_of_the_protocol_ends_at_once(tmp_path: Path) -> None:
    with answering(lambda connection: connection.sendall(b"SSH-1.5-Ancient\r\n")) as (port, times):
        assert "Incompatible version (1.5 instead of 2.0)" in refusal(tmp_path, port)
    assert len(times) == 1


@pytest.mark.slow
def test_a_host_that_hangs_up_is_asked_less_and_less_often(tmp_path: Path) -> None:
    with answering(lambda connection: connection.close()) as (port, times):
        assert "did not answer within 3 s" in refusal(tmp_path, port, deadline_s=3)
    assert 2 <= len(times) <= 7


def test_the_known_kind_of_key_is_preferred_and_several_keys_are_known(tmp_path: Path) -> None:
    with listening(tmp_path, lambda _, channel: channel.close()) as server:
        other = new_key(tmp_path, "other").with_name("other.pub").read_text()
        rsa = paramiko.RSAKey.generate(2048)
        known = tmp_path / "known"
        known.write_text(f"* {other}* ssh-rsa {rsa.get_base64()}\n* {server.host_key}")
        login = Login(address="127.0.0.1", port=server.port, user="root", key=server.key, known_hosts=known)
        with login.client(deadline_s=20) as client:
            assert client.get_transport() is not None
        known.write_text(f"* {other}")
        with pytest.raises(HostError, match="presents a different host key"), login.client(deadline_s=20):
            pass
