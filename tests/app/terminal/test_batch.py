"""`baton batch`, `baton evidence` and `baton demo` as a person or a program calls them, on the demo pair."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from baton_reasoning.app.cli import main
from baton_reasoning.app.terminal import batch_folder, evidence
from baton_reasoning.app.terminal.batch_folder import BatchFolder
from baton_reasoning.core.batch.running.recipes import arms_of
from baton_reasoning.core.demo_pair import BATCH_PROBLEMS, DEMO_SETTINGS, LARGE_MODEL, SMALL_MODEL
from baton_reasoning.core.errors import SettingsError, StoreError
from baton_reasoning.core.files import private_folder
from baton_reasoning.core.store.store import Store
from baton_reasoning.core.thinking.registry import PACKAGE, POLICIES
from tests.app.terminal.conftest import Baton
from tests.patience import PATIENCE

pytestmark = pytest.mark.slow

TWO = ("--limit", "2", "--parallel", "2", "--context", "1024")


def test_a_file_is_solved_graded_and_reported(tmp_path: Path, baton: Baton) -> None:
    out = tmp_path / "out"
    done = baton("batch", "run", str(BATCH_PROBLEMS), "--arm", "small", "--arm", "large", *TWO, "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].startswith("batch: 2 problems, 1 seed, 2 at once")
    assert "Large only minus Small only" in done.stdout
    assert {path.name for path in out.iterdir()} >= {"results.csv", "results.jsonl", "report.html", "report.json"}


def test_for_a_program_every_line_is_json_and_the_last_is_the_report(tmp_path: Path, baton: Baton) -> None:
    done = baton("batch", "run", str(BATCH_PROBLEMS), "--arm", "large", *TWO, "--out", str(tmp_path / "out"), "--json")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["arm"] for line in lines[:-1]] == ["large", "large"]
    assert lines[-1]["report"]["arms"][0]["done"] == 2


def test_a_batch_that_is_done_is_only_reported_again(tmp_path: Path, baton: Baton) -> None:
    out = str(tmp_path / "out")
    first = baton("batch", "run", str(BATCH_PROBLEMS), "--arm", "large", *TWO, "--out", out, "--json")
    again = baton("batch", "resume", out, "--json")
    assert again.returncode == 0, again.stderr
    assert len(again.stdout.splitlines()) == 1
    assert again.stdout.splitlines()[-1] == first.stdout.splitlines()[-1]


def test_errors_end_a_batch_with_the_way_to_try_again(tmp_path: Path, baton: Baton) -> None:
    problems = tmp_path / "problems.jsonl"
    short = json.loads(BATCH_PROBLEMS.read_text(encoding="utf-8").splitlines()[0])
    problems.write_text("\n".join(map(json.dumps, (short, short | {"id": "long", "problem": "7 + 8 " * 1000}))))
    out = str(tmp_path / "out")
    done = baton("batch", "run", str(problems), "--arm", "large", *TWO, "--out", out)
    assert done.returncode == 1, done.stderr
    assert f"1 error. The report has the reasons. To try again: baton batch resume {out}" in done.stderr
    assert baton("batch", "resume", out, "--large", "missing.gguf").returncode == 2
    report = json.loads(baton("batch", "report", out, "--json").stdout)["report"]
    assert report["arms"][0]["failed"] == 1, "no model was there to try again"


def test_a_resumed_batch_keeps_how_many_problems_it_runs_at_once(tmp_path: Path, baton: Baton) -> None:
    long = {"problem": "7 + 8 " * 1000, "answer": "1"}
    file, out = written(tmp_path / "p.jsonl", json.dumps(long)), str(tmp_path / "out")
    model = ("--context", "1024", "--json")
    begun = ("run", file, "--arm", "large", "--parallel", "2", "--out", out)
    for words, parallel in ((begun, 2), (("resume", out), 2), (("resume", out, "--parallel", "3"), 3)):
        done = baton("batch", *words, *model)
        assert json.loads(done.stdout.splitlines()[-1])["report"]["parallel"] == parallel


def test_what_another_program_is_writing_is_neither_waited_for_nor_called_stopped(tmp_path: Path, baton: Baton) -> None:
    out = tmp_path / "out"
    run = ("batch", "run", str(BATCH_PROBLEMS), "--arm", "large", *TWO, "--out", str(out), "--no-history")
    assert baton(*run).returncode == 0
    with BatchFolder(out).store() as store:
        batch = BatchFolder(out).batch(store)
        store.batches.add_arm(batch.id, replace(batch.arms[0], name="again"), [0])
        store.batches.claim(batch.id)  # as the program that runs this test, which is alive
    done = baton("batch", "resume", str(out))
    assert done.returncode == 1
    assert "Stopped" not in done.stderr
    assert f"Another program is writing 1 answer. When it is done: baton batch report {out}" in done.stderr


def test_answers_are_graded_again_without_running_anything(tmp_path: Path, baton: Baton) -> None:
    out = str(tmp_path / "out")
    assert baton("batch", "run", str(BATCH_PROBLEMS), "--arm", "large", *TWO, "--out", out).returncode == 0
    again = baton("batch", "grade", out, "--grade", "regex:no such words", "--json")
    assert again.returncode == 0, again.stderr
    assert "2 answers were graded again" in again.stderr
    assert json.loads(again.stdout)["report"]["arms"][0]["wrong"] == 2


def test_another_large_model_is_an_arm_that_runs_when_the_first_is_done(tmp_path: Path, baton: Baton) -> None:
    arms = ("--arm", "large", "--small", "demo", "--large", "demo", "--large", str(SMALL_MODEL))
    done = baton("batch", "run", str(BATCH_PROBLEMS), *arms, *TWO, "--out", str(tmp_path / "out"), "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout.splitlines()[-1])["report"]
    assert [arm["name"] for arm in report["arms"]] == ["large", f"large, {SMALL_MODEL.stem}"]
    assert [arm["done"] for arm in report["arms"]] == [2, 2]


@pytest.mark.long
def test_two_small_and_two_large_models_are_compared_in_one_batch(tmp_path: Path, baton: Baton) -> None:
    """The files of the demo pair in exchanged roles: another small and another large model."""
    arms = ("--arm", "small", "--arm", "large", "--arm", "paper")
    others = ("--small", "demo", "--small", str(LARGE_MODEL), "--large", "demo", "--large", str(SMALL_MODEL))
    done = baton("batch", "run", str(BATCH_PROBLEMS), *arms, *others, *TWO, "--out", str(tmp_path / "out"), "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout.splitlines()[-1])["report"]
    small, large = SMALL_MODEL.stem, LARGE_MODEL.stem
    expected = {"small", "large", "paper", f"small, {large}", f"large, {small}", f"paper, {large}", f"paper, {small}"}
    assert {arm["name"] for arm in report["arms"]} == expected | {f"paper, {large}, {small}"}
    assert all(arm["done"] == 2 and not arm["failed"] for arm in report["arms"])
    assert set(report["other_smalls"]) == {str(LARGE_MODEL)}
    assert all(arm["seconds_to_end"] and arm["accuracy_in_time"] for arm in report["arms"] if arm["correct"])


def written(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_large_model_that_is_missing_is_named_before_the_first_one_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    problems, out = tmp_path / "p.jsonl", tmp_path / "out"
    problems.write_text('{"problem": "2 + 2?", "answer": "4"}', encoding="utf-8")
    arguments = ["batch", "run", str(problems), "--out", str(out), "--small", "demo", "--large", "demo"]
    assert main([*arguments, "--large", str(tmp_path / "missing.gguf")]) == 2
    assert "missing.gguf" in capsys.readouterr().err.splitlines()[-1]
    assert not list(out.iterdir()), "nothing was begun"


def test_a_folder_that_is_deleted_meanwhile_is_named(tmp_path: Path) -> None:
    folder = BatchFolder(tmp_path / "out")
    with folder.reserved():
        folder.refuse_lost()
        shutil.rmtree(folder.path)
        with pytest.raises(StoreError, match="out is gone, and with it the results"):
            folder.refuse_lost()


def test_the_columns_and_what_can_be_graded_are_named_before_the_run(tmp_path: Path, baton: Baton) -> None:
    file = written(tmp_path / "p.csv", "question,answer,level\nHow many?,3,1\nHow few?,,2\n")
    done = baton("batch", "run", file, "--arm", "large", "-n", "4", *TWO, "--out", str(tmp_path / "out"))
    assert "Read 2 problems, 1 with an answer, 1 cannot be graded." in done.stderr
    assert "The answer is the column “answer” (known by its name)." in done.stderr
    assert "kept as metadata: level" in done.stderr


def test_a_batch_that_cannot_be_graded_needs_to_be_confirmed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], baton: Baton
) -> None:
    file = written(tmp_path / "p.jsonl", '{"problem": "How many?"}')
    assert main(["batch", "run", file, "--out", str(tmp_path / "out")]) == 2
    assert (
        "nothing can be graded. Name the column with --column answer=NAME, or add --grade none"
        in capsys.readouterr().err
    )
    assert not (tmp_path / "out").exists()
    done = baton(
        "batch", "run", file, "--grade", "none", "--arm", "large", "-n", "4", *TWO, "--out", str(tmp_path / "out")
    )
    assert done.returncode == 0, done.stderr
    assert "1 unscored" in done.stdout


def test_the_columns_of_problem_answer_and_id_can_be_named(tmp_path: Path, baton: Baton) -> None:
    file = written(tmp_path / "p.csv", "a,b,c\nfirst,2 + 2?,4\n")
    columns = ("--column", "problem=b", "--column", "answer=c", "--column", "id=a")
    model = ("--arm", "large", "-n", "4", *TWO)
    done = baton("batch", "run", file, *columns, *model, "--out", str(tmp_path / "out"), "--json")
    result = json.loads(done.stdout.splitlines()[0])
    assert (result["id"], result["problem"], result["expected"]) == ("first", "2 + 2?", "4")
    done = baton("batch", "run", file, *columns, *model, "--grade", "none", "--out", str(tmp_path / "none"), "--json")
    assert json.loads(done.stdout.splitlines()[0])["expected"] is None


def test_an_answer_column_that_is_not_there_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = written(tmp_path / "p.csv", "question,answer\nHow many?,3\n")
    assert main(["batch", "run", file, "--column", "answer=nope", "--out", str(tmp_path / "out")]) == 2
    assert "no column “nope”. Choose one of: question, answer." in capsys.readouterr().err


def test_a_resumed_batch_runs_with_its_own_models(tmp_path: Path, baton: Baton) -> None:
    """And with its context: not with the demo pair, which would be the pair chosen in the window."""
    file, out = written(tmp_path / "p.jsonl", json.dumps({"problem": "7 + 8 " * 1000, "answer": "1"})), tmp_path / "out"
    begun = ("run", file, "--arm", "large", "--small", "demo", "--large", str(SMALL_MODEL), "--out", str(out))
    assert baton("batch", *begun, "--context", "1024").returncode == 1
    resumed = baton("batch", "resume", str(out))
    assert "Baton demo small: 1,024 tokens of context" in resumed.stderr
    assert "To try again" in resumed.stderr


@pytest.mark.long
def test_of_two_batches_for_one_folder_only_one_begins(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "baton_reasoning", "batch", "run", str(BATCH_PROBLEMS), "--arm", "large", *TWO]
    both = [
        subprocess.Popen([*command, "--out", str(tmp_path / "out")], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    said = [each.communicate(timeout=PATIENCE)[1].decode() for each in both]
    assert sorted(each.returncode for each in both) == [0, 2]
    taken = ("holds a batch already", "Another command is starting a batch")
    assert sum(any(each in words for each in taken) for words in said) == 1
    lines = (tmp_path / "out" / "results.jsonl").read_text("utf-8").splitlines()
    assert len(lines) == 2


def test_of_two_programs_that_found_a_folder_free_only_one_takes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have looked before either has written."""
    both_have_looked = threading.Barrier(2)

    def wait(folder: Path) -> None:
        both_have_looked.wait(PATIENCE)
        private_folder(folder)

    monkeypatch.setattr(batch_folder, "private_folder", wait)
    outcomes: list[str] = []

    def reserve() -> None:
        try:
            with BatchFolder(tmp_path / "out").reserved():
                outcomes.append("taken")
                both_have_tried.wait(PATIENCE)
        except SettingsError as error:
            outcomes.append(error.message)
            both_have_tried.wait(PATIENCE)

    both_have_tried = threading.Barrier(2)
    threads = [threading.Thread(target=reserve) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == [f"Another command is starting a batch in {tmp_path / 'out'}.", "taken"]


@pytest.mark.skipif(os.name != "posix", reason="Windows has other permissions")
@pytest.mark.parametrize("has_own_store", [False, True])
def test_only_the_owner_may_read_the_folder_of_a_batch(tmp_path: Path, has_own_store: bool) -> None:
    folder = BatchFolder(tmp_path / "out", has_own_store)
    with folder.reserved():
        (file,) = folder.path.iterdir()
        assert folder.path.stat().st_mode & 0o777 == 0o700
        assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("has_own_store", [False, True])
def test_a_folder_is_taken_over_if_the_command_that_was_starting_its_batch_was_killed(
    tmp_path: Path, baton: Baton, has_own_store: bool
) -> None:
    out = tmp_path / "out"
    code = """if True:
        import os, pathlib, sys
        from baton_reasoning.app.terminal.batch_folder import BatchFolder
        folder = BatchFolder(pathlib.Path(sys.argv[1]), has_own_store=bool(sys.argv[2]))
        with folder.reserved(), folder.store():
            os._exit(9)"""
    assert subprocess.run([sys.executable, "-c", code, out, "yes" if has_own_store else ""]).returncode == 9
    refused = baton("batch", "resume", str(out))
    assert refused.returncode == 2
    assert "has not begun: the command that was starting it has ended. Repeat that command." in refused.stderr
    run = ("batch", "run", str(BATCH_PROBLEMS), "--arm", "large", "-n", "4", *TWO, "--out", str(out))
    done = baton(*run, *(["--no-history"] if has_own_store else []))
    assert done.returncode == 0, done.stderr
    assert baton("batch", "resume", str(out)).returncode == 0


def test_a_folder_in_which_a_batch_is_being_started_is_neither_taken_nor_resumed(tmp_path: Path, baton: Baton) -> None:
    out = tmp_path / "out"
    with BatchFolder(out).reserved():
        for words in (("run", str(BATCH_PROBLEMS), "--out", str(out)), ("resume", str(out))):
            refused = baton("batch", *words)
            assert refused.returncode == 2
            assert f"Another command is starting a batch in {out}. Wait for it; if there is none, delete" in (
                refused.stderr
            )


def test_a_folder_is_free_again_if_the_batch_could_not_begin(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert (
        main(["batch", "run", str(BATCH_PROBLEMS), "--small", "missing.gguf", "--large", "demo", "--out", str(out)])
        == 2
    )
    assert list(out.iterdir()) == []


def test_a_batch_is_run_again_from_its_report_however_long_its_results_are(
    tmp_path: Path, baton: Baton, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    arms = ("--arm", "baton", "--seeds", "2", "--seed", "7", "--set", "n1=9")
    assert (
        baton(
            "batch", "run", str(BATCH_PROBLEMS), *arms, "--limit", "1", "--parallel", "1", "--out", str(first)
        ).returncode
        == 0
    )
    most = (first / "report.json").stat().st_size
    monkeypatch.setattr("baton_reasoning.core.files.LARGEST_TEXT", most)
    with (first / "results.jsonl").open("a", encoding="utf-8") as results:
        results.write("\n" * most)
    again = baton(
        "batch", "again", str(first / "report.json"), "--parallel", "1", "--context", "1024", "--out", str(second)
    )
    assert again.returncode == 0, again.stderr
    texts = []
    for folder in (first, second):
        lines = [json.loads(line) for line in (folder / "results.jsonl").read_text("utf-8").split("\n") if line]
        texts.append([(line["id"], line["arm"], line["seed"], line["text"], line["outcome"]) for line in lines])
    assert len(texts[0]) == 2
    assert texts[0] == texts[1]


def test_a_folder_for_results_may_be_in_the_home_folder(
    tmp_path: Path, baton: Baton, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shell leaves the tilde of --out=~/results as it is, and the configuration file knows no shell."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    file = written(tmp_path / "p.csv", "problem,answer\n1 + 1?,2\n")
    assert baton("batch", "run", file, "--arm", "small", "-n", "4", "--no-history", "--out=~/results").returncode == 0
    assert (tmp_path / "home" / "results" / "report.json").exists()
    assert not (tmp_path / "~").exists()


def test_results_of_this_folder_are_in_one_with_a_name(
    tmp_path: Path, baton: Baton, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path / "p.csv", "problem,answer\n1 + 1?,2\n")
    assert baton("batch", "run", ".", "--arm", "small", "-n", "4").returncode == 0
    assert (tmp_path / "results" / "report.json").exists()


def test_a_file_that_is_not_of_a_batch_is_not_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = written(tmp_path / "results.csv", "mine")
    assert main(["batch", "run", str(BATCH_PROBLEMS), "--out", str(tmp_path)]) == 2
    assert f"{mine} exists already. Name another folder with --out." in capsys.readouterr().err
    assert Path(mine).read_text() == "mine"


def test_a_report_that_is_none_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = written(tmp_path / "report.json", "{}")
    assert main(["batch", "again", report, "--out", str(tmp_path / "out")]) == 2
    assert "cannot be read as a report. Name the report.json of a batch" in capsys.readouterr().err


def test_a_folder_with_a_batch_is_not_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Store.open(tmp_path / batch_folder.STORE_FILE) as store:
        store.batches.create("mine", {}, [], [])
    assert main(["batch", "run", str(BATCH_PROBLEMS), "--out", str(tmp_path)]) == 2
    assert f"Continue it with baton batch resume {tmp_path}, or name another --out." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("batch problems.csv", "No such command 'problems.csv'"),
        ("batch run", "Missing argument 'FILE'"),
        ("batch run missing.csv", "cannot be read"),
        ("batch run x.csv --arm luck", "'luck' is not one of"),
        ("batch run x.csv --arm large=other.gguf", "names a model, which only 'drafted' takes"),
        ("batch run x.csv --grade regex", "--grade cannot be 'regex'. Choose one of auto, exact,"),
        ("batch run x.csv --grade regex:(", "is not valid"),
        ("batch run x.csv --column gold", "Write problem=NAME, answer=NAME or id=NAME."),
        ("batch resume", "Missing argument 'DIR'"),
        ("batch resume nowhere", "nowhere holds no batch. Name the folder that baton batch run wrote into."),
        ("batch resume nowhere --arm small", "No such option"),
        ("batch report nowhere", "nowhere holds no batch"),
        ("batch report nowhere -o elsewhere", "No such option"),
        ("batch grade nowhere", "nowhere holds no batch"),
        ("batch grade nowhere --grade luck", "--grade cannot be 'luck'"),
        ("batch grade nowhere --grade none", "--grade cannot be 'none'"),
        ("batch again", "Missing argument 'REPORT'"),
        ("batch again report.json", "Missing option '-o' / '--out'"),
        ("batch again report.json -o out", "report.json cannot be read"),
        ("batch again report.json -o out --arm small", "No such option"),
        ("batch failures", "Missing argument 'DIR|ID'"),
        ("batch failures nowhere", "no batches whose id begins with nowhere"),
        ("batch value nowhere --sample 0", "0 is not in the range x>=1"),
        ("demo 99", "no ready problem 99"),
    ],
)
def test_what_cannot_be_done_is_told_in_a_sentence(
    line: str,
    words: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(line.split()) == 2
    (sentence,) = capsys.readouterr().err.splitlines()
    assert words in sentence


def test_evidence_compares_arms_and_the_random_one_at_equal_share(
    tmp_path: Path, baton: Baton, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evidence, "ARMS", ("small", "baton", "random"))
    done = baton("evidence", "--limit", "1", "--seeds", "1", "--out", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    begin = next(n for n, line in enumerate(lines) if line.startswith("policy")) + 1
    assert [line.split("  ")[0] for line in lines[begin : begin + 3]] == [
        "Small only",
        "Keywords",
        "Random as Keywords",
    ]
    assert "random as baton: p = " in done.stderr


def test_evidence_times_the_arms_at_the_cost_of_a_real_pair(
    tmp_path: Path, baton: Baton, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evidence, "ARMS", ("small", "large", "baton"))
    out = str(tmp_path / "out")
    line = ("evidence", "--limit", "2", "--seeds", "1", "--problem-seed", "7", "--out", out)
    begun = baton(*line)
    assert begun.returncode == 0, begun.stderr
    other = baton("evidence", "--limit", "1", "--out", out)
    assert other.returncode == 2
    assert "holds a batch with other problems, arms or seeds. Repeat the command that began it" in other.stderr
    done = baton(*line, "--cost", "2", "--timed", "1")
    assert done.returncode == 0, done.stderr
    assert "Accuracy of 2 problems; times of 1 at a cost of 1:2:" in done.stdout
    header, *rows = done.stdout.splitlines()[-5:]
    assert header.split("  ")[-1].strip() == "time / large alone"
    assert rows[-1].split()[0] == "small"
    assert {row.split()[0] for row in rows} == {"small", "large", "drafted", "baton"}
    assert next(row for row in rows if row.startswith("large")).endswith(" 1.00 (1.00–1.00)")
    written = (tmp_path / "out" / "cost-2" / "results.jsonl").read_text("utf-8").splitlines()
    assert {row["arm"] for row in map(json.loads, written)} == {"small", "large", "drafted", "baton"}
    graded = (tmp_path / "out" / "results.jsonl").read_text("utf-8").splitlines()
    assert json.loads(written[0])["problem"] == json.loads(graded[0])["problem"], "one of the problems that were graded"
    again = baton(*line, "--cost", "2")
    assert again.returncode == 0, again.stderr
    assert "time / large alone" in again.stdout


def test_a_costly_pair_that_cannot_be_written_is_one_sentence(
    tmp_path: Path, baton: Baton, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evidence, "ARMS", ("small", "large"))
    taken = tmp_path / "cache"
    taken.write_text("a file, where a folder should be", encoding="utf-8")
    monkeypatch.setenv("XDG_CACHE_HOME", str(taken))
    done = baton("evidence", "--limit", "1", "--seeds", "1", "--cost", "2", "--out", str(tmp_path / "out"))
    assert done.returncode == 2
    assert "The costly pair cannot be written into" in done.stderr
    assert "XDG_CACHE_HOME names another folder" in done.stderr


@pytest.mark.long
def test_evidence_compares_all_arms_and_the_random_one_at_equal_share(tmp_path: Path, baton: Baton) -> None:
    done = baton("evidence", "--limit", "1", "--seeds", "1", "--all", "--out", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "out" / "report.json").read_text("utf-8"))
    expected = [arm.name for arm in arms_of((*evidence.ARMS, *evidence.OTHER_ARMS), DEMO_SETTINGS)]
    assert [arm["name"] for arm in report["arms"]] == expected
    assert all(arm["done"] == 1 for arm in report["arms"])
    assert "random as baton: p = " in done.stderr


def test_evidence_has_an_arm_of_every_policy() -> None:
    arms = arms_of((*evidence.ARMS, *evidence.OTHER_ARMS, evidence.DRAFTED), DEMO_SETTINGS)
    own = {name for name, policy in POLICIES.items() if policy.__module__.startswith(PACKAGE)}  # no plug-ins
    assert {arm.settings.policy.policy for arm in arms} == own


def test_the_demo_shows_three_ways_and_who_was_right(baton: Baton) -> None:
    done = baton("demo", "1")
    assert done.returncode == 0, done.stderr
    small, both, large = re.findall(r"[^:.]+: [^.]+ [✓✗]\.", done.stdout.splitlines()[-1])
    assert small.startswith("Small alone: ")
    assert re.match(r" With \d+% from the large model: ", both)
    assert large.startswith(" Large alone: ")


@pytest.mark.parametrize(
    "text",
    [
        '{"problem": "%s", "answer": "1"}\n',
        '[{"problem": "%s", "answer": "1"}]',
        '{\n "test": [\n  {\n   "problem": "%s",\n   "answer": "1"\n  }\n ]\n}\n',
        'problem,answer\n"%s",1\n',
        "Frage;Antwort\n%s;1\n",
        "Aufgabe\tLösung\n%s\t1\n",
    ],
)
def test_problems_come_from_standard_input_in_the_usual_formats(
    text: str, tmp_path: Path, baton: Baton, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(text % "1 + 0?"))
    done = baton("batch", "run", "-", "--arm", "small", "--context", "1024", "--out", str(tmp_path / "out"), "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[0])["expected"] == "1"
