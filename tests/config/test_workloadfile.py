# SPDX-License-Identifier: MIT
"""Workload files as people write them: what is read, and every fault at once with its line."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from support.paths import REPOSITORY

from kmlbench.config.campaign import load_config
from kmlbench.config.schema import WORKLOAD_FILE, workload_schema_json
from kmlbench.config.workloadfile import read_workload_file
from kmlbench.errors import InputError
from kmlbench.workloads.definition import dump, load

GOOD = """\
about = "a queue"
unit = "message"
packages = ["queue-server"]
trusted = ["lib/queue/*"]
prepare = [["/usr/bin/mkdir", "{directory}/data"]]

[files]
"queue.conf" = '''
listen {socket};
[not a table]
'''

[server]
argv = ["{prefix}/sbin/queue", "-c", "{directory}/queue.conf"]
ready = "socket"

[client]
argv = ["{prefix}/bin/fill", "-n", "{work}", "{socket}"]
work = [
    100,
    300,
]
rounds = 3
expect = ['^sent {work}$']

[[readings]]
metric = "throughput"
pattern = '^([0-9.]+) messages per second'

[[readings]]
metric = "latency_p99"
json = "latency.p99"
times = 0.001

[[checks]]
argv = ["/usr/bin/queue-length"]
expect = '^0$'
"""

TWELVE = """\
abuot = "a queue"
packages = ["Queue Server"]
prepare = [["mkdir"]]
trusted = ["/etc/shadow"]
[files]
"../escape" = ""
[server]
argv = ["/usr/sbin/queue", "{sockett}"]
ready = "soon"
[client]
argv = ["{prefix}/bin/fill"]
work = [300, 100]
rounds = 0
expect = ["("]
[[readings]]
metric = "speed"
pattern = "no group"
[[checks]]
argv = ["/usr/bin/queue-length"]
"""

FAULTS = (
    "1: abuot: unknown key; did you mean 'about'?",
    "2: packages: 1: 'Queue Server' is not the name of a Debian package",
    "3: prepare: 1: 'mkdir' has to be an absolute path, or to begin with '{prefix}/'",
    "4: trusted: 1: '/etc/shadow' is not a path relative to /usr",
    "6: files: ../escape: not a plain file name, or one that the suite uses itself",
    "8: server: argv: '/usr/sbin/queue' has to begin with '{prefix}/', such as {prefix}/bin/redis-server",
    "8: server: argv: unknown placeholder {sockett}; did you mean '{socket}'?",
    "9: server: ready: unknown: 'soon'; known: output, port, socket",
    "11: client: argv: no {work} in it, so no run is told how much to do",
    "12: client: work: the second amount is the longer one, and 100 is not more than 300",
    "13: client: rounds: 0 is not between 1 and 1000",
    "14: client: expect: 1: not a regular expression: missing ), unterminated subpattern at position 0",
    "16: readings: 1: metric: unknown: 'speed'; known: latency_max, latency_mean, latency_p50, latency_p90, "
    "latency_p95, latency_p99, throughput, units",
    "17: readings: 1: pattern: has to have exactly one group: the number",
    "18: checks: 1: the key 'expect' is missing",
)


def written(directory: Path, text: str, name: str = "queue.toml") -> Path:
    path = directory / name
    path.write_text(text)
    return path


def faults(path: Path) -> list[str]:
    with pytest.raises(InputError) as caught:
        read_workload_file(path)
    assert "docs/workload-files.md" in caught.value.remedy
    return [fault.removeprefix(f"{path}:") for fault in caught.value.faults]


def test_a_file_is_read_and_told_again_as_the_same(tmp_path: Path) -> None:
    definition = read_workload_file(written(tmp_path, GOOD))
    assert (definition.name, definition.client.work, definition.client.threads) == ("queue", (100, 300), 1)
    assert definition.measured == ("bin/fill", "sbin/queue")
    assert definition.programs == ("bin/fill", "sbin/queue", "lib/queue/*")
    assert load("queue", dump(definition)) == definition


def test_a_file_with_fifteen_faults_gives_fifteen_messages_with_their_lines(tmp_path: Path) -> None:
    assert faults(written(tmp_path, TWELVE)) == list(FAULTS)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("[client]", "[[client]]", "17: client: must be a table"),
        ('about = "a queue"', "about = 7", "1: about: must be text"),
        ("rounds = 3", 'rounds = "3"', "23: client: rounds: must be a whole number"),
        (
            'argv = ["/usr/bin/queue-length"]',
            "argv = []",
            "36: checks: 1: argv: a command has at least a program",
        ),
        (
            "    100,\n    300,\n",
            "    1, 2, 3\n",
            "19: client: work: must be a list of one or two whole numbers from 1 on",
        ),
        (
            "    100,\n    300,\n",
            "    true\n",
            "19: client: work: must be a list of one or two whole numbers from 1 on",
        ),
        (
            "rounds = 3",
            "marks = 9",
            "23: client: marks: a program that marks its windows has one amount of work",
        ),
        (
            'ready = "socket"',
            'ready = "port"',
            "15: server: ready: no {port} in its argv or in files: it will listen elsewhere",
        ),
        ('ready = "socket"', 'ready = "output"', "15: server: ready: output needs a pattern"),
        ('ready = "socket"', "ready = []", "15: server: ready: must be text"),
        (
            'ready = "socket"',
            'ready = "socket"\npattern = "up"',
            "16: server: pattern: a server is ready by its socket or by a pattern, not by both",
        ),
        (
            'metric = "throughput"',
            'metric = "throughput"\njson = "a"',
            "26: readings: 1: either a pattern or a json path says where the number is",
        ),
        ('metric = "latency_p99"', 'metric = "throughput"', "30: readings: 2: throughput is read twice"),
        (
            '"queue.conf" =',
            "socket =",
            "8: files: socket: not a plain file name, or one that the suite uses itself",
        ),
        ('unit = "message"', 'name = "queue"', "2: name: unknown key: the name is that of the file"),
    ],
)
def test_each_fault_has_its_line_and_its_reason(tmp_path: Path, old: str, new: str, fault: str) -> None:
    assert GOOD.count(old) == 1
    assert faults(written(tmp_path, GOOD.replace(old, new))) == [fault]


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("getpid.toml", "there is a workload 'getpid' already"),
        ("Queue-2.toml", "is no name for a workload"),
        ("calls_queue.toml", "would be read as another workload's calls"),
        ("queue_4_threads.toml", "would be read as another workload's calls, threads or transport"),
        ("oltp_insert_tls.toml", "would be read as another workload's calls, threads or transport"),
        ("queue.yaml", "ends with .toml, not '.yaml'"),
    ],
)
def test_a_name_that_means_something_else_is_a_fault(tmp_path: Path, name: str, fault: str) -> None:
    (only,) = faults(written(tmp_path, GOOD, name))
    assert fault in only


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"[client\n", ":1: not TOML: "),
        (b"a = 1\na = 2\n", ":2: not TOML: Cannot overwrite a value"),
        (b"a = [1,\n", ": not TOML: "),
        (b"a = '\xff'\n", ": not UTF-8 text (byte 5)"),
        (b"#" * 70_000, ": longer than 64 KiB"),
        (b"a = " + b"[" * 5000, ": not TOML: "),
    ],
)
def test_what_is_no_such_file_is_told(tmp_path: Path, content: bytes, fault: str) -> None:
    path = tmp_path / "queue.toml"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_workload_file(path)
    assert fault in caught.value.faults[0]
    with pytest.raises(InputError, match="cannot be read: No such file"):
        read_workload_file(tmp_path / "missing.toml")


VALUES = st.recursive(
    st.one_of(st.booleans(), st.integers(-2, 5), st.floats(allow_nan=False), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=2)
    ),
    max_leaves=5,
)


@given(data=st.data())
def test_whatever_stands_in_a_file_it_is_read_or_its_faults_are_told(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    content = tomllib.loads(GOOD)
    place: dict[str, object] = content
    key = data.draw(st.sampled_from(sorted(content)))
    inner = content[key]
    if isinstance(inner, dict) and data.draw(st.booleans()):
        place, key = inner, data.draw(st.sampled_from(sorted(inner)))
    place[key] = data.draw(VALUES)
    path = tmp_path_factory.mktemp("files") / "queue.toml"
    path.write_bytes(tomli_w.dumps(content).encode(errors="replace"))
    try:
        definition = read_workload_file(path)
    except InputError as error:
        told = error.faults
    else:
        told = ()
        assert load("queue", dump(definition)) == definition
    assert all(fault.startswith(f"{path}:") for fault in told)


def test_the_schema_in_the_repository_is_the_one_that_is_generated() -> None:
    """`kmlbench host schema --workload > workload.schema.json` writes it."""
    assert (REPOSITORY / WORKLOAD_FILE).read_text() == workload_schema_json()


VALIDATOR = Draft202012Validator(json.loads(workload_schema_json()))


def test_the_schema_finds_what_it_can() -> None:
    VALIDATOR.validate(tomllib.loads(GOOD))
    found = {error.json_path for error in VALIDATOR.iter_errors(tomllib.loads(TWELVE))}
    assert {"$", "$.server.ready", "$.client.rounds", "$.readings[0].metric", "$.checks[0]"} <= found


def hosts(directory: Path, more: str) -> Path:
    text = (REPOSITORY / "hosts.yaml").read_text()
    path = directory / "hosts.yaml"
    path.write_text(text.replace("\n  blocks: ", f"\n{more}\n  blocks: ", 1))
    return path


def test_hosts_yaml_names_files_beside_itself(tmp_path: Path) -> None:
    written(tmp_path, GOOD)
    campaign = load_config(hosts(tmp_path, "  workload_files: [queue.toml]")).campaign
    assert campaign.levels[-1] == "queue"
    assert campaign.programs["queue"].unit == "message"


def test_faults_of_files_come_with_those_of_hosts_yaml(tmp_path: Path) -> None:
    written(tmp_path, TWELVE)
    written(tmp_path, GOOD, "second.toml")
    files = "workload_files: [queue.toml, second.toml, second.toml, ./second.toml, 7, missing.toml]"
    with pytest.raises(InputError) as caught:
        load_config(hosts(tmp_path, f"  {files}\n  loops: 0"))
    told = "\n".join(caught.value.faults)
    assert f"{tmp_path}/queue.toml:{FAULTS[0]}" in told
    assert "'second.toml' is listed twice" in told
    assert "there is a workload 'second' already" in told
    assert "every entry must be a path" in told
    assert "missing.toml: cannot be read" in told
    assert "loops: 0 is not between" in told
