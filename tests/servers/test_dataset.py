# SPDX-License-Identifier: MIT
"""The stream that PyMySQL takes for a socket, and what loading says when it cannot."""

from __future__ import annotations

import socket

import pytest
from support.fake_host import FakeHost

from kmlbench.errors import TrialError
from kmlbench.model import Prefix
from kmlbench.servers import dataset
from kmlbench.servers.dataset import StreamSocket
from kmlbench.servers.server import ServerHandle

HANDLE = ServerHandle(
    pid=1,
    prefix=Prefix.USR,
    directory="/run/kmlbench/1",
    socket="/run/kmlbench/1/socket",
    port=13306,
    user="kmlbench",
    database="kmlbench",
    password="secret",
    password_file="/run/kmlbench/1/password",
)


def test_a_read_waits_for_all_the_bytes_it_asks_for() -> None:
    near, far = socket.socketpair()
    with near, far, StreamSocket(near).makefile("rb") as reader:
        far.sendall(b"abc")
        far.sendall(b"defgh")
        assert reader.read(7) == b"abcdefg"
        far.close()
        assert reader.read(7) == b"h"


def test_what_is_sent_arrives_and_a_timeout_is_one() -> None:
    near, far = socket.socketpair()
    with near, far:
        stream = StreamSocket(near)
        stream.sendall(b"hello")
        assert far.recv(9) == b"hello"
        stream.settimeout(0.01)
        with pytest.raises(TimeoutError), stream.makefile("rb") as reader:
            reader.read(1)
        stream.close()
        assert near.fileno() == -1


def test_only_bytes_are_read() -> None:
    near, far = socket.socketpair()
    with near, far, pytest.raises(ValueError, match="bytes"):
        StreamSocket(near).makefile("r")


def test_a_stream_that_ends_at_once_fails_the_trial() -> None:
    near, far = socket.socketpair()
    far.close()
    with near, pytest.raises(TrialError) as caught:
        dataset.load_tables("wisconsin", FakeHost(streams=[near]), HANDLE)
    assert caught.value.stage == "load"


def test_an_unknown_data_set_is_refused() -> None:
    with pytest.raises(TrialError, match="'tpcc'"):
        dataset.load_tables("tpcc", FakeHost(), HANDLE)
