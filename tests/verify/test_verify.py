# SPDX-License-Identifier: MIT
"""`kmlbench verify` names whatever was changed behind its back, and complains of nothing else."""

from __future__ import annotations

import json
import random
import re
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
import pytest
from run.test_campaign import Rig
from run.test_campaign import whole as in_order
from support.fake_host import Exchange
from support.host_sessions import slower
from support.synthetic_campaigns import build, edit, stored_campaign

from kmlbench.cli.main import main
from kmlbench.model import Boot
from kmlbench.plan.comparisons import STOCK_USR
from kmlbench.report import write
from kmlbench.report.render import Piece, Place
from kmlbench.results import lines, reader
from kmlbench.verify import page_diff

pytestmark = pytest.mark.slow

DIFFERS, BAD_INPUT = 7, 2


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A campaign with its raw output and its report."""
    rig = Rig(directory=tmp_path_factory.mktemp("whole"), blocks=2)
    directory = rig.run().directory
    write.write_report(directory)
    return directory


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / whole.name))


def test_a_campaign_that_nobody_touched(whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    samples = sum(len(outcome.samples) for outcome in reader.read_campaign(whole).completed)
    assert main(["verify", str(whole)]) == 0
    printed = capsys.readouterr()
    assert f"{samples} numbers of 8 trials match the raw output" in printed.out
    assert "not compared" not in printed.err


def replaced(path: Path, pattern: str, new: str) -> None:
    text = path.read_text()
    assert re.search(pattern, text), (path, pattern)
    path.write_text(re.sub(pattern, new, text, count=1))


def a_digit_in_the_reports_table(path: Path) -> None:
    replaced(path / "report.html", r"(SYSCALL, clock[^<]*</th><td>)\d", r"\g<1>9")


def a_digit_in_a_sentence(path: Path) -> None:
    replaced(path / "report.html", r"blocks: 2; boots", "blocks: 5; boots")


def a_figure_in_the_report(path: Path) -> None:
    replaced(path / "report.html", r'(<img src="data:image/svg\+xml;base64,.{2000})(.)', r"\g<1>+\2")


def a_row_less_in_the_report(path: Path) -> None:
    replaced(path / "report.html", r'<tr class="cell">.*?</tr>', "")


def a_points_place_in_a_figure(path: Path) -> None:
    replaced(path / "figures" / "getpid-cpu_total.svg", r'(<use [^>]*x=")\d', r"\g<1>9")


def a_figures_data(path: Path) -> None:
    replaced(path / "figures" / "getpid-cpu_total.csv", r"(stock:/usr,point,)0", r"\g<1>1")


def a_figure_less(path: Path) -> None:
    (path / "figures" / "getpid-cpu_total-dark.svg").unlink()


def a_figure_more(path: Path) -> None:
    (path / "figures" / "speedup.svg").write_text("<svg/>")


def another_matplotlib_in_one_drawing(path: Path) -> None:
    """Of the other drawings, one is changed."""
    replaced(
        path / "figures" / "getpid-cpu_total-dark.svg", rf"Matplotlib v{mpl.__version__}", "Matplotlib v3.0.1"
    )
    a_points_place_in_a_figure(path)


def no_matplotlib_in_any_drawing(path: Path) -> None:
    for drawing in (path / "figures").glob("*.svg"):
        drawing.write_text(drawing.read_text().replace("Matplotlib v", ""))


def all_but_one_drawing_of_another_matplotlib(path: Path) -> None:
    for drawing in (path / "figures").glob("*.svg"):
        drawing.write_text(drawing.read_text().replace(f"Matplotlib v{mpl.__version__}", "Matplotlib v3.0.1"))
    replaced(path / "figures" / "getpid-cpu_total.svg", "Matplotlib v", "")


def a_sample_in_parquet(path: Path) -> None:
    frame = pd.read_parquet(path / "samples.parquet")
    frame["value"] = [2 * value if row == 7 else value for row, value in enumerate(frame["value"])]
    frame.to_parquet(path / "samples.parquet", index=False)


def a_row_less_in_parquet(path: Path) -> None:
    frame = pd.read_parquet(path / "samples.parquet")
    frame.iloc[:-1].to_parquet(path / "samples.parquet", index=False)


def no_parquet_any_more(path: Path) -> None:
    content = (path / "samples.parquet").read_bytes()
    (path / "samples.parquet").write_bytes(content[:-30])


def outcome(path: Path, change: Callable[[dict[str, object]], None]) -> None:
    """Forge the first outcome, with a seal that fits, and derive everything from it."""
    first, *others = (path / "outcomes.jsonl").read_text().splitlines(keepends=True)
    record = json.loads(first)
    del record["crc32"]
    change(record)
    (path / "outcomes.jsonl").write_text("".join([lines.seal(record) + "\n", *others]))
    write.write_report(path)


def a_forged_sample(path: Path) -> None:
    outcome(path, lambda record: record["samples"][3].update(value=1.5))  # type: ignore[index]


def a_sample_less(path: Path) -> None:
    outcome(path, lambda record: record["samples"].pop())  # type: ignore[attr-defined]


def a_sample_more(path: Path) -> None:
    outcome(path, lambda record: record["samples"].append(record["samples"][0]))  # type: ignore[index, attr-defined]


def a_forged_proof(path: Path) -> None:
    outcome(path, lambda record: record["proof"].update(kernel_release="6.12"))  # type: ignore[attr-defined]


def first_trial(path: Path) -> Path:
    return path / "raw" / reader.read_campaign(path).completed[0].trial.id


def a_digit_in_raw_output(path: Path) -> None:
    # The median of the repetitions: another of them would change no number.
    stdout = first_trial(path) / "00-run" / "stdout"
    text = stdout.read_text()
    stdout.write_text(re.sub(r"\d{5,}", lambda match: str(int(match[0]) + 70), text))


def a_repetition_that_changes_no_number(path: Path) -> None:
    stdout = first_trial(path) / "00-run" / "stdout"
    text = stdout.read_text()
    number = max(re.findall(r"\d{5,}", text), key=int)
    stdout.write_text(text.replace(number, str(int(number) + 1), 1))


def a_line_of_standard_error(path: Path) -> None:
    (first_trial(path) / "00-run" / "stderr").write_text("warning: overclocked\n")


def a_file_more_in_raw_output(path: Path) -> None:
    (first_trial(path) / "00-run" / "remark").write_text("all good\n")


def raw_output_of_something_else(path: Path) -> None:
    (first_trial(path) / "00-run" / "stdout").write_text("Segmentation fault\n")


def a_digit_of_measure(path: Path) -> None:
    replaced(first_trial(path) / "measure.json", r'("cpu_ns": ?)\d', r"\g<1>9")


def another_privilege(path: Path) -> None:
    replaced(first_trial(path) / "01-privilege" / "stdout", r'"release": "6', '"release": "7')


def a_forged_configuration(path: Path) -> None:
    (path / "raw" / "boot-0001" / "config").write_text("CONFIG_SMP=y\n")


def another_processor(path: Path) -> None:
    (path / "raw" / "boot-0001" / "cpuinfo").write_text("nonsense")


def a_processor_more(path: Path) -> None:
    replaced(path / "raw" / "boot-0001" / "cpuinfo", "^", "processor\t: 2\n")


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (
            a_digit_in_the_reports_table,
            r"report.html: .*table '.*', row 'SYSCALL.*', column 'stock:/usr': '9.*derived",
        ),
        (a_digit_in_a_sentence, r"report.html: What ran where: 'blocks: 5.*' is there, 'blocks: 2"),
        (a_figure_in_the_report, r"report.html: .*, figure: one drawing is there, one drawing is derived"),
        (a_row_less_in_the_report, r"report.html: .*: 'libc, clock, .*' is there"),
        (a_points_place_in_a_figure, r"figures/getpid-cpu_total.svg:\d+: "),
        (
            another_matplotlib_in_one_drawing,
            r"figures/getpid-cpu_total-dark.svg is by Matplotlib 3.0.1$",
        ),
        (no_matplotlib_in_any_drawing, r"figures/getpid-cpu_total-change-dark.svg:\d+: "),
        (
            all_but_one_drawing_of_another_matplotlib,
            r"by Matplotlib 3.0.1 and figures/getpid-cpu_total.svg is by Matplotlib unnamed$",
        ),
        (a_figures_data, r"figures/getpid-cpu_total.csv:2: 'stock:/usr,point,1"),
        (a_figure_less, r"figures/getpid-cpu_total-dark.svg is not there"),
        (a_figure_more, r"figures/speedup.svg is not a figure of this campaign"),
        (a_sample_in_parquet, r"samples.parquet: row 7, column value: "),
        (a_row_less_in_parquet, r"samples.parquet: the stored and the derived file have \d+ rows"),
        (no_parquet_any_more, r"samples.parquet: is not a Parquet file"),
        (
            a_forged_sample,
            r"outcomes.jsonl: trial 0000-.*: has client getpid_\w+ 1.5 \w+ .*, raw/ says client",
        ),
        (a_sample_less, r"outcomes.jsonl: trial 0000-.*: lacks "),
        (a_sample_more, r"outcomes.jsonl: trial 0000-.*: has .*, which raw/ does not say"),
        (a_forged_proof, r"outcomes.jsonl: trial 0000-.*: its proof is .*'6.12'.*raw/ says"),
        (a_digit_in_raw_output, r"outcomes.jsonl: trial 0000-.*getpid_\w+ .*, raw/ says client"),
        (raw_output_of_something_else, r"trial 0000-.* is not the output of a completed trial: "),
        (
            a_repetition_that_changes_no_number,
            r"raw/0000-.*/00-run/stdout: was modified after the trial ended: its SHA-256 is [0-9a-f]+, not",
        ),
        (a_line_of_standard_error, r"raw/0000-.*/00-run/stderr: was modified after the trial ended"),
        (a_file_more_in_raw_output, r"raw/0000-.*/00-run/remark: was not there when the trial ended"),
        (a_digit_of_measure, r"outcomes.jsonl: trial 0000-.*cpu_total .*, raw/ says client cpu_total"),
        (another_privilege, r"outcomes.jsonl: trial 0000-.*its proof is .*raw/ says .*'7"),
        (a_forged_configuration, r"raw/boot-0001/facts.json: config_\w+ is "),
        (another_processor, r"raw/boot-0001/facts.json: cpu_model is 'QEMU.*', its cpuinfo says 'unknown'"),
        (a_processor_more, r"raw/boot-0001/facts.json: cpus is '2', its cpuinfo says '3'"),
    ],
)
def test_what_was_changed_is_named(
    copy: Path, damage: Callable[[Path], None], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    damage(copy)
    assert main(["verify", str(copy)]) == DIFFERS
    printed = capsys.readouterr()
    assert re.search(named, printed.err, re.MULTILINE), printed.err
    assert "remedy: " in printed.err
    assert printed.out == ""


COMMIT = "c0ffee" * 6 + "c0ff"


@pytest.mark.parametrize(
    ("recorded", "remedy"),
    [
        (COMMIT, f"with the version that wrote it: git checkout {COMMIT}\n"),
        (
            f"{COMMIT}-dirty",
            f"with the version that wrote it: git checkout {COMMIT}, then redo the changes that are "
            "not in that commit\n",
        ),
        ("unknown", "with the version that wrote it, which is not known\n"),
    ],
)
def test_a_difference_says_how_to_have_the_program_again(
    copy: Path, recorded: str, remedy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(copy / "campaign.json", lambda record: record.update(git_commit=recorded))
    a_digit_of_measure(copy)
    assert main(["verify", str(copy)]) == DIFFERS
    assert remedy in capsys.readouterr().err


@pytest.mark.parametrize(
    ("gone", "remedy"),
    [
        ("raw/*/00-run/stdout", "copy the whole campaign directory again"),
        ("raw/*/measure.json", "copy the whole campaign directory again"),
        ("raw/*/commands.json", "copy the whole campaign directory again"),
        ("report.html", "run `kmlbench report DIR` first"),
        ("report.json", "run `kmlbench report DIR` first"),
        ("samples.parquet", "run `kmlbench report DIR` first"),
    ],
)
def test_what_is_not_there_is_bad_input(
    copy: Path, gone: str, remedy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in copy.glob(gone):
        path.unlink()
    assert main(["verify", str(copy)]) == BAD_INPUT
    printed = capsys.readouterr().err
    assert Path(gone).name in printed
    assert f"remedy: {remedy}" in printed


def test_no_damage_of_raw_output_or_parquet_is_a_traceback(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Seeded: a bit of one file is flipped; it is named, or it changes no number."""
    trial = first_trial(copy)
    files = [path for path in trial.rglob("*") if path.is_file()] + [copy / "samples.parquet"]
    rng = random.Random(5)
    codes = []
    for number in range(8):
        file = files[number % len(files)]
        content = file.read_bytes()
        if content:
            position = rng.randrange(len(content))
            flipped = bytes([content[position] ^ 1 << rng.randrange(8)])
            file.write_bytes(content[:position] + flipped + content[position + 1 :])
        codes.append(main(["verify", str(copy)]))
        file.write_bytes(content)
    assert set(codes) <= {0, BAD_INPUT, DIFFERS}
    assert DIFFERS in codes
    assert "Traceback" not in capsys.readouterr().err


def test_a_campaign_is_the_same_under_another_name(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    renamed = copy.rename(copy.parent / "for the review")
    assert main(["verify", str(renamed)]) == 0
    assert "not compared" not in capsys.readouterr().err


def test_a_campaign_of_before_the_digests_says_what_is_not_verified(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(copy / "outcomes.jsonl", lambda record: record.pop("raw"))
    a_line_of_standard_error(copy)
    assert main(["verify", str(copy)]) == 0
    assert "8 trials have no SHA-256 of their raw output" in capsys.readouterr().err


def test_figures_of_another_matplotlib_are_compared_by_their_data(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for drawing in (copy / "figures").glob("*.svg"):
        drawing.write_text(drawing.read_text().replace(f"Matplotlib v{mpl.__version__}", "Matplotlib v3.0.1"))
    assert main(["verify", str(copy)]) == 0
    assert "drawn by Matplotlib 3.0.1" in capsys.readouterr().err
    a_figures_data(copy)
    assert main(["verify", str(copy)]) == DIFFERS


def test_a_campaign_without_the_probes_answers_says_what_it_cannot_verify(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(copy / "outcomes.jsonl", lambda record: record.pop("raw"))
    for path in copy.glob("raw/*/01-privilege"):
        shutil.rmtree(path)
    assert main(["verify", str(copy)]) == 0
    assert "8 of 8 trials did not keep the output of the privilege probe" in capsys.readouterr().err


@pytest.mark.parametrize("make", [build, stored_campaign])
def test_a_campaign_whose_raw_output_was_left_out(
    tmp_path: Path, make: Callable[[Path], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", str(make(tmp_path))]) == BAD_INPUT
    assert "commands.json: cannot be read" in capsys.readouterr().err


def test_a_difference_in_mark_up_alone_has_its_line() -> None:
    derived = [Piece(place=Place(), text="<p>\n"), Piece(place=Place(section="Facts"), text="<i>1</i>")]
    assert page_diff.page_difference("<p>\n<b>1</b>", derived) == "line 2 differs in its mark-up"
    assert page_diff.page_difference("<p>\n<i>1</i>", derived) is None
    assert page_diff.page_difference("<p>\n<i>2</i>", derived) == "Facts: '2' is there, '1' is derived"
    assert page_diff.page_difference("<p>\n<i>1</i>\n", derived) == "line 2 differs in its mark-up"


def edit_json(path: Path, change: Callable[[Any], object]) -> None:
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))


def rows_of(report: Any) -> Any:
    return part_of(report)["tables"][0]["groups"][0]["rows"]


def part_of(report: Any) -> Any:
    """The costs of a call, of getpid."""
    (part,) = (part for part in report["sections"] if part["identifier"] == part["workload"] == "getpid")
    return part


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (
            lambda report: rows_of(report)[0]["cells"][0].update(text="9"),
            r"getpid: getpid, table 'getpid: .*', row 'SYSCALL, .*', column 'stock:/usr': '9' is there, ",
        ),
        (
            lambda report: rows_of(report).pop(),
            r"getpid: getpid, table 'getpid: .*', row 'unknown call, clock, .*': .* is derived",
        ),
        (
            lambda report: part_of(report).update(note="fast"),
            r"getpid: getpid, note: 'fast' is there, 'SYSCALL: .*",
        ),
        (
            lambda report: report["chapters"][0]["answer"].update(sentence="it is faster"),
            r"getpid, sentence: 'it is faster' is there, 'getpid: ",
        ),
        (
            lambda report: report["proofs"][3].update(cpls="3"),
            r"proofs, row 'kml:/trusted', column 'cpls': '3' is there, '0' is derived",
        ),
        (lambda report: report["counts"].update(completed=7), r"counts, completed: '7' is there, '8'"),
    ],
)
def test_a_number_of_the_reports_data_has_its_section_table_row_and_column(
    copy: Path, change: Callable[[Any], object], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    edit_json(copy / "report.json", change)
    assert main(["verify", str(copy)]) == DIFFERS
    assert re.search(f"report.json: {named}", capsys.readouterr().err)


@pytest.fixture(scope="module")
def a_control(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An A/A control that fits the campaign `whole`, elsewhere, whose blocks differ."""

    def script(boot: Boot) -> list[Exchange]:
        return [slower(exchange, 1 + boot.index**2 / 100) for exchange in in_order(boot)]

    directory = tmp_path_factory.mktemp("control")
    return Rig(directory=directory, script=script, blocks=2, control=STOCK_USR).run().directory


def with_control(copy: Path, control: Path) -> Path:
    """The campaign's report made beside a control that lies elsewhere and is named."""
    named = Path(shutil.copytree(control, copy.parent / "elsewhere" / "control"))
    assert main(["report", str(copy), "--control", str(named)]) == 0
    assert f"{control.name}, 2 blocks: its half-width" in (copy / "report.html").read_text()
    return named


def test_a_control_that_came_later_does_not_matter(copy: Path, a_control: Path) -> None:
    shutil.copytree(a_control, copy.parent / "later")
    assert main(["verify", str(copy)]) == 0
    write.write_report(copy)
    assert f"{a_control.name}, 2 blocks" in (copy / "report.html").read_text()
    assert main(["verify", str(copy)]) == 0


def test_a_named_control_is_used_again_also_when_it_moved(
    copy: Path, a_control: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    named = with_control(copy, a_control)
    assert main(["verify", str(copy)]) == 0
    moved = named.rename(copy.parent / named.name)
    assert main(["verify", str(copy)]) == 0
    moved = moved.rename(copy.parent / "renamed")
    assert main(["verify", str(copy)]) == 0
    shutil.rmtree(moved)
    assert main(["verify", str(copy)]) == BAD_INPUT
    printed = capsys.readouterr().err
    assert "the A/A control that the report names is missing" in printed
    assert "remedy: copy it back" in printed


def test_another_control_in_the_place_of_the_first_is_a_difference(
    copy: Path, a_control: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    named = with_control(copy, a_control)
    (named / "outcomes.jsonl").write_text("")
    assert main(["verify", str(copy)]) == DIFFERS
    assert "A/A ±" in capsys.readouterr().err


def test_a_place_that_is_no_path_is_bad_input(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for place in ("x" * 5000, "a\0b", "../" * 300):
        noise = {"place": place}
        edit_json(copy / "report.json", partial(dict.update, noise=noise))
        assert main(["verify", str(copy)]) == BAD_INPUT
    assert "is missing" in capsys.readouterr().err


def test_a_control_that_the_page_alone_denies_is_a_difference(
    copy: Path, a_control: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(a_control, copy.parent / "later")
    write.write_report(copy)
    assert json.loads((copy / "report.json").read_text())["noise"]["place"] == "../later"
    replaced(copy / "report.html", r'<meta name="kmlbench-control"[^>]*>\n', "")
    assert main(["verify", str(copy)]) == DIFFERS
    assert "report.html: line 7 differs in its mark-up" in capsys.readouterr().err
