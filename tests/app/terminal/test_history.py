"""Answers and batches of the terminal are in the window's history."""

from __future__ import annotations

import io
import json
import sys
from contextlib import ExitStack

import pytest

from baton_reasoning.app.cli import main
from baton_reasoning.app.terminal.solve import recorded
from baton_reasoning.app.terminal.streams import ExitCode
from baton_reasoning.core.demo_pair import BATCH_PROBLEMS, DemoProblem
from baton_reasoning.core.paths import Paths
from baton_reasoning.core.run import RunSettings
from baton_reasoning.core.store.conversations import StoredExchange
from baton_reasoning.core.store.runs import RunState
from baton_reasoning.core.store.store import Store
from tests.core.store.made import a_run, concluded
from tests.fakes.full_disk import a_full_disk

pytestmark = pytest.mark.slow

PROBLEM = DemoProblem(60_836)


@pytest.fixture(autouse=True)
def paths(tmp_path, monkeypatch):
    paths = Paths.under(tmp_path)
    monkeypatch.setattr(Paths, "of_user", lambda: paths)
    return paths


class Keyboard(io.StringIO):
    """Standard input at which a person sits."""

    def isatty(self) -> bool:
        return True


def listed(capsys: pytest.CaptureFixture[str]) -> list[dict[str, str]]:
    capsys.readouterr()
    assert main(["history", "list", "--json"]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_an_answer_is_listed_shown_found_and_exported(paths, tmp_path, capsys):
    assert main(["solve", PROBLEM.question, "--no-history", "-n", "5"]) == 3
    assert listed(capsys) == []
    assert main(["solve", PROBLEM.question]) == 0
    (entry,) = listed(capsys)
    assert entry["kind"] == "answer"
    with Store.open(paths.store) as store:
        conversation = store.conversations.open(entry["id"])
        assert concluded(store, conversation.exchanges[0].id).state is RunState.ENDED
    assert main(["history", "show", entry["id"][:8]]) == 0
    shown = capsys.readouterr().out
    assert PROBLEM.question in shown
    assert f"\\boxed{{{PROBLEM.answer}}}" in shown
    assert "large share" in shown
    assert "</think>" not in shown
    assert main(["history", "search", "even", "60836"]) == 0
    assert entry["id"][:8] in capsys.readouterr().out
    assert main(["history", "search", "times"]) == 0, "a word of the reasoning"
    assert "times" in capsys.readouterr().out
    assert main(["history", "search", "elephant"]) == 1
    assert capsys.readouterr() == ("", "baton: No conversation has all these words.\n")
    for ending in ("json", "md", "html"):
        file = tmp_path / f"answer.{ending}"
        assert main(["history", "export", entry["id"][:8], str(file)]) == 0
        assert "60836" in file.read_text(encoding="utf-8")
    file.write_text("mine", encoding="utf-8")
    assert main(["history", "export", entry["id"], str(file)]) == 2
    assert file.read_text(encoding="utf-8") == "mine"
    assert main(["history", "export", entry["id"], str(file), "--force"]) == 0
    assert "60836" in file.read_text(encoding="utf-8")


@pytest.mark.parametrize("is_full", [False, True], ids=["a store that cannot be opened", "a full disk"])
def test_an_answer_that_cannot_be_kept_is_printed_and_said_to_be_missing(paths, capsys, is_full):
    with ExitStack() as disk:
        if is_full:
            disk.enter_context(a_full_disk())
        else:
            paths.store.mkdir(parents=True)
        assert main(["solve", PROBLEM.question]) == ExitCode.FAILED, "the history lacks it"
    said = capsys.readouterr()
    assert f"\\boxed{{{PROBLEM.answer}}}" in said.out
    assert "The answer is not in the history." in said.err
    assert "othing is lost" not in said.err


def test_a_disk_that_fills_while_an_answer_is_written_is_said(paths, capsys):
    with ExitStack() as disk, recorded("What is 2 + 2?", RunSettings(), is_kept=True) as recording:
        disk.enter_context(a_full_disk())
        assert len(list(recording.of(a_run(steps=400)))) == len(a_run(steps=400))
    assert recording.failed
    (said,) = capsys.readouterr().err.splitlines()
    assert "The answer is not in the history." in said
    assert "othing is lost" not in said


def test_the_history_can_be_read_on_a_full_disk(paths, capsys):
    with Store.open(paths.store) as store:
        store.conversations.put("c", StoredExchange("e", None, "How many?")).result()
    with a_full_disk():
        assert [entry["name"] for entry in listed(capsys)] == ["How many?"]


def test_entries_are_deleted_after_a_yes(paths, capsys, monkeypatch):
    with Store.open(paths.store) as store:
        for id in ("aa11", "aa22", "bb33"):
            store.conversations.put(id, StoredExchange(f"e{id}", None, f"How many {id}?")).result()

    def answers(line: str) -> None:
        monkeypatch.setattr(sys, "stdin", Keyboard(f"{line}\n"))

    assert main(["history", "rm", "aa"]) == 2, "two begin so"
    answers("n")
    assert main(["history", "rm", "aa1"]) == 1
    assert len(listed(capsys)) == 3
    answers("y")
    assert main(["history", "rm", "aa1", "bb33"]) == 0
    said = capsys.readouterr()
    assert (
        "Delete the answer aa11 “How many aa11?” (1 problem); the answer bb33 “How many bb33?” (1 problem)?" in said.err
    )
    assert said.out == ""
    assert [entry["id"] for entry in listed(capsys)] == ["aa22"]
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    assert main(["history", "rm", "aa22"]) == 2
    assert "Nobody can be asked here. Add --yes." in capsys.readouterr().err
    assert main(["history", "rm", "aa22", "--yes"]) == 0
    assert listed(capsys) == []


def test_a_yes_that_is_set_for_downloads_deletes_nothing(paths, capsys, monkeypatch, tmp_path):
    with Store.open(paths.store) as store:
        store.conversations.put("aa11", StoredExchange("e", None, "How many?")).result()
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    monkeypatch.setenv("BATON_YES", "1")
    assert main(["history", "rm", "aa11"]) == 2
    assert [entry["id"] for entry in listed(capsys)] == ["aa11"]
    config = tmp_path / "config.toml"
    config.write_text("[history.rm]\nyes = true\n", encoding="utf-8")
    assert main(["--config", str(config), "history", "rm", "aa11"]) == 0


def test_a_batch_is_in_the_history_and_its_folder_names_it(tmp_path, capsys):
    out = str(tmp_path / "out")
    line = ["batch", "run", str(BATCH_PROBLEMS), "--arm", "small", "--limit", "2", "--parallel", "2", "--out", out]
    assert main(line) == 0
    assert not (tmp_path / "out" / "batch.sqlite").exists()
    (entry,) = listed(capsys)
    assert (entry["kind"], entry["size"]) == ("batch", "2 of 2")
    assert main(["history", "show", entry["id"]]) == 0
    assert "2 problems" in capsys.readouterr().out
    assert main(["batch", "resume", out]) == 0
    assert main(line) == 2, "the folder holds a batch"
    assert main([*line[:-1], str(tmp_path / "other"), "--no-history"]) == 0
    assert (tmp_path / "other" / "batch.sqlite").exists()
    assert len(listed(capsys)) == 1
