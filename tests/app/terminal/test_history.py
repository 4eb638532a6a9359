"""Answers and batches of the terminal are in the window's history, and models review them there.

The slips and turns of the demo pair's answers are known, as are the chances of the batch that is reviewed.
"""

import io
import json
import re
import signal
import sys
from contextlib import ExitStack, contextmanager, suppress

import pytest

from baton_reasoning.app.terminal import review_commands
from baton_reasoning.app.terminal.history import open_history
from baton_reasoning.app.terminal.solve import recorded
from baton_reasoning.core.analysis.opinion import SecondOpinion
from baton_reasoning.core.conversation import Exchange
from baton_reasoning.core.demo_pair import BATCH_PROBLEMS, LARGE_MODEL, READY_PROBLEMS, SMALL_MODEL, DemoProblem
from baton_reasoning.core.grading.grader import Grader
from baton_reasoning.core.run import RunSettings
from baton_reasoning.core.store.runs import DAMAGED, RunState
from baton_reasoning.core.store.store import Store
from baton_reasoning.core.thinking.events import OpinionGiven, ValuesEstimated
from baton_reasoning.core.thinking.trace_json import event_from_json, event_to_json
from tests.app.terminal.conftest import DEMO, Keyboard
from tests.core.batch.counting import damage, known_batch, known_pair
from tests.core.store.made import a_run, concluded, save
from tests.fakes import mixed
from tests.fakes.full_disk import a_full_disk

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("paths")]

PROBLEM = DemoProblem(60_836)
READY = json.loads(READY_PROBLEMS.read_text(encoding="utf-8").splitlines()[0])["problem"]


@pytest.fixture
def listed(say):
    return lambda: [json.loads(line) for line in say("history", "list", "--json")]


def test_an_answer_is_listed_shown_found_and_exported(paths, tmp_path, baton, say, listed, refused):
    say("solve", PROBLEM.question, "--no-history", "-n", "5", code=3)
    assert listed() == []
    say("solve", PROBLEM.question)
    (entry,) = listed()
    with Store.open(paths.store) as store:
        conversation = store.conversations.open(entry["id"])
        assert concluded(store, conversation.roots[0].id).state is RunState.ENDED
    shown = "\n".join(say("history", "show", entry["id"][:8]))
    for part in (PROBLEM.question, f"\\boxed{{{PROBLEM.answer}}}", "large share"):
        assert part in shown
    assert "</think>" not in shown
    (whole,) = map(json.loads, say("history", "show", entry["id"], "--json"))
    assert whole["problem"] == PROBLEM.question
    assert PROBLEM.answer in whole["answer"]
    assert entry["id"][:8] in "".join(say("history", "search", "even", "60836"))
    nothing = baton("history", "search", "elephant")
    assert (nothing.returncode, nothing.stdout) == (1, "")
    assert nothing.stderr == "baton: No conversation has all these words.\n"
    file = tmp_path / "answer.html"
    file.write_text("mine", encoding="utf-8")
    export = ("history", "export", entry["id"][:8], str(file))
    assert "is there already. Add --force" in refused(*export)
    assert file.read_text(encoding="utf-8") == "mine"
    say(*export, "--force")
    assert "60836" in file.read_text(encoding="utf-8")


def test_what_several_models_and_a_person_wrote_is_shown_as_theirs_and_not_reviewed(paths, say, refused, monkeypatch):
    with Store.open(paths.store) as store:
        store.conversations.put("c1", Exchange("What is 2 + 2?", id="e1")).result()
        save(store, "e1", mixed.with_a_person().events)
    shown = "\n".join(say("history", "show", "c1"))
    for line in (
        "● SmolLM2-135M Q8_0: Two and two.",
        "◆ Wait, they",
        "✎ I say 22.",
        "● gemma-3-270m Q8_0: So be it.",
        "● small 6 tokens kept (SmolLM2-135M Q8_0 4, gemma-3-270m Q8_0 2), 0 discarded",
        "◆ large 2 tokens kept, 0 discarded",
    ):
        assert f"\n{line}" in shown
    (whole,) = map(json.loads, say("history", "show", "c1", "--json"))
    told = [(piece["author"], piece["model"]) for piece in whole["pieces"]]
    assert [*dict.fromkeys(told)][2:] == [("person", None), ("small", "gemma-3-270m")]
    monkeypatch.setattr(review_commands, "open_pair", None)  # no model is loaded first
    for command in "opinion", "value":
        assert "Several models wrote as the small model (SmolLM2-135M Q8_0, gemma-3-270m Q8_0)" in refused(
            command, "c1"
        )


def test_a_damaged_answer_is_shown_up_to_there_and_that_is_said(paths, say):
    with Store.open(paths.store) as store:
        store.conversations.put("c1", Exchange("What is 2 + 2?", id="e1")).result()
        save(store, "e1", a_run())
    damage(paths.store)
    assert f"  {DAMAGED}" in say("history", "show", "c1")
    (whole,) = map(json.loads, say("history", "show", "c1", "--json"))
    assert whole["notices"] == [DAMAGED]


def test_an_answer_that_cannot_be_kept_is_printed_and_said_to_be_missing(paths, baton):
    paths.store.mkdir(parents=True)
    done = baton("solve", PROBLEM.question)
    assert done.returncode == 1, "the history lacks it"
    assert f"\\boxed{{{PROBLEM.answer}}}" in done.stdout
    assert "The answer is not in the history." in done.stderr
    assert "othing is lost" not in done.stderr


def test_a_disk_that_fills_while_an_answer_is_written_is_said(capsys):
    with ExitStack() as disk, recorded("What is 2 + 2?", RunSettings(), is_kept=True) as recording:
        disk.enter_context(a_full_disk())
        assert len(list(recording.of(a_run(steps=400)))) == len(a_run(steps=400))
    assert recording.failed
    (said,) = capsys.readouterr().err.splitlines()
    assert "The answer is not in the history." in said
    assert "othing is lost" not in said


def test_entries_are_deleted_after_a_yes(paths, tmp_path, baton, say, listed, refused, monkeypatch):
    with Store.open(paths.store) as store:
        for id in ("aa11", "aa22", "bb33"):
            store.conversations.put(id, Exchange(f"How many {id}?", id=f"e{id}")).result()
    with a_full_disk():
        assert len(listed()) == 3, "the history can be read on a full disk"
    assert "several" in refused("history", "rm", "aa")
    monkeypatch.setattr(sys, "stdin", Keyboard("n\n"))
    say("history", "rm", "aa1", code=1)
    assert len(listed()) == 3
    monkeypatch.setattr(sys, "stdin", Keyboard("y\n"))
    said = baton("history", "rm", "aa1", "bb33")
    question = "Delete the answer aa11 “How many aa11?” (1 problem); the answer bb33 “How many bb33?” (1 problem)?"
    assert (said.returncode, said.stdout, question in said.stderr) == (0, "", True)
    assert [entry["id"] for entry in listed()] == ["aa22"]
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    set_for_downloads = {"BATON_YES": "1"}
    assert "Nobody can be asked here. Add --yes." in refused("history", "rm", "aa22", **set_for_downloads)
    config = tmp_path / "config.toml"
    config.write_text("[history.rm]\nyes = true\n", encoding="utf-8")
    say("--config", str(config), "history", "rm", "aa22")
    assert listed() == []


def test_an_entry_older_than_five_hundred_others_is_named_shown_exported_and_deleted(paths, tmp_path, say, listed):
    with Store.open(paths.store) as store:
        for number in range(520):
            problem = Exchange(f"How many {number:03}?", id=f"e{number:03}")
            kept = store.conversations.put(f"c{number:03}", problem)
        kept.result()
    assert [json.loads(each)["id"] for each in say("history", "list", "--limit", "600", "--json")][-1] == "c000"
    assert "How many 000?" in say("history", "show", "c000")[0]
    say("history", "export", "c000", str(tmp_path / "first.md"))
    assert "How many 000?" in (tmp_path / "first.md").read_text(encoding="utf-8")
    say("history", "rm", "c000", "-y")
    assert "c000" not in {each["id"] for each in listed()}


def test_what_was_deleted_is_listed_and_restored(paths, baton, say, listed):
    with Store.open(paths.store) as store:
        for id in ("aa11", "bb22"):
            store.conversations.put(id, Exchange(f"How many {id}?", id=f"e{id}")).result()
        batch = store.batches.create("Sums", {}, [], [])
    assert baton("history", "deleted").stderr == "baton: Nothing was deleted in the last 30 days.\n"
    say("history", "rm", "-y", "aa11", batch)
    deleted = [json.loads(each) for each in say("history", "deleted", "--json")]
    assert [(each["id"], each["kind"], each["name"], each["days_left"]) for each in deleted] == [
        (batch, "batch", "Sums", 30),
        ("aa11", "answer", "How many aa11?", 30),
    ]
    assert say("history", "deleted")[1].split() == [batch[:8], "batch", "30", "Sums"]
    restored = baton("history", "restore", "aa1", batch[:8]).stderr
    assert "Restored: the answer aa11 “How many aa11?”." in restored
    assert f"Restored: the batch {batch[:8]} “Sums”." in restored
    assert {entry["id"] for entry in listed()} == {"aa11", "bb22", batch}
    assert say("history", "deleted", "--json") == []


def test_a_batch_is_in_the_history_and_its_folder_names_it(tmp_path, say, listed, refused):
    line = ("batch", "run", str(BATCH_PROBLEMS), "-q", "--arm", "small", "--limit", "2", "--parallel", "2", "--out")
    say(*line, str(tmp_path / "other"), "--no-history")
    assert listed() == []
    say(*line, str(tmp_path / "out"))
    (entry,) = listed()
    assert (entry["kind"], entry["size"]) == ("batch", "2 of 2")
    (shown,) = say("history", "show", entry["id"], "--json")
    assert json.loads(shown)["report"]["problems"] == 2
    assert "2 problems" in "".join(say("history", "show", entry["id"]))
    assert "holds a batch already" in refused(*line, str(tmp_path / "out"))


# Reviews --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def trace_file(say, tmp_path):
    """A file with an answer of the small model alone."""
    file = tmp_path / "trace.json"
    lines = say("solve", READY, "--policy", "never", *DEMO, "--json", "--threads", "1")
    file.write_text("\n".join(lines), encoding="utf-8")
    return file


@pytest.fixture
def batch():
    """The id of a batch in the history."""
    with open_history() as store, Grader() as grader:
        return known_batch(store, grader, answers=6)


@pytest.fixture
def small(monkeypatch):
    """The small model of the pair that the batch ran with, in place of files."""
    pair = known_pair()

    @contextmanager
    def opened(*_: object, **__: object):
        yield pair

    monkeypatch.setattr(review_commands, "open_pair", opened)
    return pair.small


def test_the_slip_of_the_small_model_is_named_and_the_history_keeps_the_opinion(say, trace_file, monkeypatch):
    said = say("opinion", str(trace_file), "--threads", "1")
    assert re.search(r"\d+ strong disagreements?, \d+ of them not handed over\.$", said[0])
    assert re.search(r"is odd, times 7 plus 1 is \d* ?\[\d → \d, \d+%\] not handed over", said[1])
    event = event_from_json(json.loads(say("opinion", str(trace_file), "--json", "--threads", "1")[-1]))
    assert isinstance(event, OpinionGiven)
    with open_history() as store:
        id = store.conversations.recent()[0].id
    first = say("opinion", id[:8], "--limit", "1", "--threads", "1")
    assert first == said[:2]
    monkeypatch.setattr(review_commands, "open_pair", None)  # a second reading would fail
    assert say("opinion", id[:8]) == said


def test_failures_of_a_batch_are_grouped_with_what_the_large_model_wanted_as_far_as_they_were_read(
    say, trace_file, tmp_path, monkeypatch
):
    results, read = str(tmp_path / "results"), SecondOpinion.read
    say("batch", "run", str(BATCH_PROBLEMS), "--limit", "8", "--arm", "small", "--arm", "baton", "--out", results)
    before = say("batch", "failures", results)
    for words in ("16 answers, ", "Wrong answer: ", "Reflection"):
        assert any(words in line for line in before)

    def stopped_early(reading):
        for number, item in enumerate(read(reading)):
            yield item
            if number == 0:
                signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr("baton_reasoning.core.analysis.text_reading.TOKENS_A_READ", 8)
        patch.setattr(SecondOpinion, "read", stopped_early)
        assert "strong disagreement" in say("opinion", str(trace_file), "--threads", "1", code=130)[0]
        assert " of them not right" in say("batch", "failures", results, "--opinion", "--threads", "1", code=130)[0]
    after = map(json.loads, say("batch", "failures", results, "--opinion", "--json", "--threads", "1"))
    diverged = [line for line in after if line.get("failure") == "diverged"]
    assert diverged
    assert all(line["divergence"]["expected"] for line in diverged)


def test_a_batch_is_read_by_its_own_large_model_with_its_context_but_for_what_that_wrote(baton, say, tmp_path):
    results, file = str(tmp_path / "results"), tmp_path / "wrong.jsonl"
    file.write_text(json.dumps({"problem": READY, "answer": "never"}), encoding="utf-8")
    swapped = ("--small", str(LARGE_MODEL), "--large", str(SMALL_MODEL), "--context", "1024")
    say("batch", "run", str(file), "--arm", "large", "--arm", "small", *swapped, "--out", results)
    said = baton("batch", "failures", results, "--opinion")
    assert (said.returncode, "Baton demo small: 1,024 tokens of context" in said.stderr) == (0, True)
    assert "No models are named" not in said.stderr
    with open_history() as store:
        (batch,) = store.batches.all()
        read = {row.arm: store.runs.trace(row.run).opinion is not None for row in store.batches.results(batch.id)}
    assert read == {"large": False, "small": True}


def test_the_turn_of_an_answer_is_found_and_its_values_are_kept(say, monkeypatch):
    say("solve", READY, "--seed", "3", "--threads", "1")
    with open_history() as store:
        id = store.conversations.recent()[0].id
    value = ("value", id[:8], "--k", "8", "--threads", "1")
    first = say(*value)
    _title, header, start, *steps = first
    assert header.split()[:4] == ["step", "by", "value", "change"]
    assert start.startswith("start")
    turn = next(line for line in steps if "▲" in line)
    assert re.search(r"◆ +1\.00 .*▲ \+\d\.\d\d \(.*, instead of 0\.", turn)
    assert any("(end of the thinking)" in line for line in steps)
    assert any("1 (right)" in line for line in steps), "the answer to a problem of the demo pair is known"
    assert re.fullmatch(r"The large model wrote \d+% and brought \d+% of the gain", steps[-1])
    monkeypatch.setattr(review_commands, "open_pair", None)  # to write anything would fail
    assert say(*value) == first
    event = event_from_json(json.loads(*say(*value, "--json")))
    assert isinstance(event, ValuesEstimated)
    assert event.is_expected


def test_takeovers_of_a_batch_are_valued_by_cue_also_after_ctrl_c(baton, say, batch, small):
    """What is finished is kept, and the next time goes on."""

    signals = [signal.SIGINT]  # one: several texts are written at once, and a second signal ends the program

    def interrupt(_: str) -> None:
        if small.written >= 600 and signals:
            with suppress(IndexError):
                signal.raise_signal(signals.pop())

    value = ("batch", "value", batch[:8], "--arm", "both", "--k", "8")
    small.before_token = interrupt
    stopped = baton(*value)
    assert (stopped.returncode, "Repeat the command to continue." in stopped.stderr) == (130, True)
    small.before_token = lambda _: None  # if it stopped at once, the next token would interrupt again
    _title, header, *rows, sentence = say(*value)
    assert header.split("  ")[0] == "reason"
    assert {tuple(row.split()[:2]) for row in rows} == {("Reflection", "wait"), ("Affirmation", "yes")}
    assert re.match(r"6 takeovers of 6 answers: worth .*\d\) each, \d rescued and \d spoiled an answer\.", sentence)
    assert "From the beginning of the text the small model alone gets 0." in sentence
    written = small.written
    *kinds, whole = map(json.loads, say(*value, "--json"))
    assert small.written == written, "nothing is valued twice"
    assert {kind["cue"] for kind in kinds} == {"wait", "yes"}
    assert (whole["answers"], whole["all"]["takeovers"]) == (6, 6)
    groups = [json.loads(line) for line in say("batch", "failures", batch, "--json") if "takeovers" in line]
    assert [group["takeovers"]["worth"]["mean"] for group in groups] == [kind["mean"] for kind in kinds]


@pytest.mark.usefixtures("small")
def test_an_answer_of_a_batch_is_named_by_its_run_and_its_expected_answer_is_known(say, batch):
    with open_history() as store:
        run = next(store.batches.results(batch, "both")).run
    event = json.loads(*say("value", run, "--k", "2", "--json"))
    assert (event["target"], event["is_expected"]) == ("1", True)
    say("value", run, "--k", "2", "--writer", "large", "--json")
    with open_history() as store:
        assert store.runs.trace(run).values.keys() == {"small", "large"}


def test_what_cannot_be_reviewed_is_said_in_a_sentence(refused, tmp_path, batch):
    file = tmp_path / "trace.json"
    file.write_text("\n".join(json.dumps(event_to_json(each)) for each in a_run(answer="I do not know")), "utf-8")
    assert "Give the expected answer" in refused("value", str(file))
    assert "no answers whose id begins with nothing" in refused("value", "nothing")
    assert "contains a takeover" in refused("batch", "value", batch, "--arm", "small")
    assert "no arm large" in refused("batch", "value", batch, "--arm", "large")
    with open_history() as store:
        old = store.batches.create("old", {"parallel": "many"}, [], [])
    assert "cannot be read" in refused("batch", "failures", old, "--opinion")
