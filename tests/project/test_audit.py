# SPDX-License-Identifier: MIT
"""`make audit` against a service of known holes that is played here: what is asked, what becomes of it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from support.paths import REPOSITORY

LOCKED = dict(re.findall(r"(?m)^([\w.-]+)==(\S+)", (REPOSITORY / "requirements.lock").read_text()))
HOLE = {"id": "PYSEC-2026-1", "summary": "lets everybody in", "affected": []}

pytestmark = pytest.mark.slow


class Service(ThreadingHTTPServer):
    """Speaks the protocol of OSV. The package `holed` has a hole; a `broken` service has no answers."""

    def __init__(self, *, holed: str = "", broken: bool = False) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.holed = holed
        self.broken = broken
        self.asked: dict[str, str] = {}


class Answer(BaseHTTPRequestHandler):
    server: Service

    def do_POST(self) -> None:
        query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        name = query["package"]["name"]
        self.server.asked[name] = query["version"]
        body = json.dumps({"vulns": [HOLE]} if name == self.server.holed else {}).encode()
        self.send_response(500 if self.server.broken else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """The test prints what matters."""


@contextmanager
def served(service: Service) -> Iterator[dict[str, str]]:
    """The environment in which pip-audit asks that service."""
    thread = threading.Thread(target=service.serve_forever, daemon=True)
    thread.start()
    try:
        url = f"http://127.0.0.1:{service.server_port}/v1/query"
        yield {**os.environ, "PIP_AUDIT_VULNERABILITY_SERVICE": "osv", "PIP_AUDIT_OSV_URL": url}
    finally:
        service.shutdown()
        service.server_close()


def audit(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "--silent", "audit"],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_every_locked_package_is_asked_for() -> None:
    service = Service()
    with served(service) as environment:
        done = audit(environment)
    assert done.returncode == 0, done
    assert "No known vulnerabilities found" in done.stderr
    assert service.asked == {
        name.lower().replace("_", "-").replace(".", "-"): version for name, version in LOCKED.items()
    }


def test_a_hole_is_told_and_is_a_failure() -> None:
    with served(Service(holed="paramiko")) as environment:
        done = audit(environment)
    assert done.returncode != 0
    assert re.search(rf"paramiko\s+{re.escape(LOCKED['paramiko'])}\s+PYSEC-2026-1", done.stdout)


def test_no_answer_is_a_failure() -> None:
    with served(Service(broken=True)) as environment:
        done = audit(environment)
    assert done.returncode != 0
    assert "No known" not in done.stderr
