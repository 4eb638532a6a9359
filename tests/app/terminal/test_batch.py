"""`baton batch` and `baton evidence` as a person or a program calls them, on the demo pair."""

import io
import json
import os
import shutil
import sqlite3
import sys
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from baton_reasoning.app.terminal import batch_run, evidence
from baton_reasoning.app.terminal.batch_run import BatchFolder
from baton_reasoning.app.terminal.pair import open_pair
from baton_reasoning.core.batch.running.arms import arms_of
from baton_reasoning.core.demo_pair import BATCH_PROBLEMS, DEMO_SETTINGS, LARGE_MODEL, SMALL_MODEL, WHAT_IT_SOLVES
from baton_reasoning.core.errors import SettingsError, StoreError
from baton_reasoning.core.model_costs import ModelCost, ModelCosts
from baton_reasoning.core.paths import Paths
from baton_reasoning.core.store.store import Store
from baton_reasoning.core.thinking.registry import PACKAGE, POLICIES
from tests.app.terminal.conftest import EXCHANGED
from tests.fakes.full_disk import a_full_disk

pytestmark = pytest.mark.slow

TWO = ("--limit", "2", "--parallel", "2", "--context", "1024")
LARGE_ALONE = ("--arm", "large", "-n", "4", *TWO, *EXCHANGED)


def test_a_file_is_solved_and_graded_and_then_reported_and_graded_again_without_running_anything(tmp_path, baton, say):
    out = tmp_path / "out"
    done = baton("batch", "run", str(BATCH_PROBLEMS), "--arm", "small", "--arm", "large", *TWO, "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert "Read 2 problems, with an answer each." in done.stderr
    sentence, _, heading = done.stdout.splitlines()[:3]
    assert sentence == "Small alone: 2 of 2 right; large alone 2 of 2."
    assert heading.startswith("batch: 2 problems, 1 seed, 2 at once")
    assert say("batch", "report", str(out)) == done.stdout.splitlines()
    assert {path.name for path in out.iterdir()} >= {"results.csv", "results.jsonl", "report.html", "report.json"}
    report = json.loads(*say("batch", "resume", str(out), "--json"))["report"]
    assert [arm["done"] for arm in report["arms"]] == [2, 2]
    added = ("batch", "resume", str(out), "--arm", "baton", "--seeds", "2", "--json")
    report = json.loads(say(*added)[-1])["report"]
    assert {arm["name"]: arm["done"] for arm in report["arms"]} == {"small": 4, "large": 4, "baton": 4}
    graded = baton("batch", "grade", str(out), "--grade", "regex:no such words", "--json")
    assert "12 answers were graded again" in graded.stderr
    assert [arm["wrong"] for arm in json.loads(graded.stdout)["report"]["arms"]] == [4, 4, 4]


def test_a_batch_is_listed_and_its_answers_to_a_problem_are_shown_with_steps_by_author(tmp_path, say, refused, paths):
    out, arms = tmp_path / "out", ("--arm", "small", "--arm", "large")
    say("batch", "run", str(BATCH_PROBLEMS), *arms, "--seeds", "2", *TWO, "--out", str(out))
    (listed,) = map(json.loads, say("batch", "list", "--json"))
    assert (listed["name"], listed["done"], listed["jobs"], listed["arms"]) == ("batch", 8, 8, ["small", "large"])
    assert listed["models"] == "● Baton demo small F32 · ◆ Baton demo large F32"
    results = [json.loads(line) for line in (out / "results.jsonl").read_text("utf-8").splitlines()]
    first = [result for result in results if result["id"] == results[0]["id"]]
    assert list(map(json.loads, say("batch", "show", str(out), results[0]["id"], "--json"))) == first
    chosen = ("batch", "show", listed["id"], results[0]["id"], "--arm", "large", "--seed", "1")
    (large,) = (result for result in first if (result["arm"], result["seed"]) == ("large", 1))
    problem, _, heading, *steps = say(*chosen)
    assert (problem, heading) == (large["problem"], f"large · seed 1 · correct · {large['answer']}")
    assert steps[0] == f"◆ {large['text'].splitlines()[0]}"
    assert f"◆ large {large['large_tokens']} tokens kept" in "\n".join(steps)
    assert "The batch has no seed 2. " in refused("batch", "show", str(out), results[0]["id"], "--seed", "2")


def test_a_batch_with_an_error_is_resumed_with_its_own_models_context_and_number_at_once(tmp_path, baton, say, refused):
    """Not with the demo pair, which would be the pair chosen in the window."""
    file, out = written(tmp_path / "p.jsonl", json.dumps({"problem": "7 + 8 " * 1000, "answer": "1"})), tmp_path / "out"
    model = ("--small", "demo", "--large", str(SMALL_MODEL), "--context", "1024", "--parallel", "2")
    begun = ("run", file, "--arm", "large", *model, "--out", str(out))
    for words, parallel in ((begun, 2), (("resume", str(out)), 2), (("resume", str(out), "--parallel", "3"), 3)):
        done = baton("batch", *words, "--json")
        assert done.returncode == 1
        assert json.loads(done.stdout.splitlines()[-1])["report"]["parallel"] == parallel
        assert "Baton demo small: 1,024 tokens of context" in done.stderr
        assert f"1 error. The report has the reasons. To try again: baton batch resume {out}" in done.stderr
    refused("batch", "resume", str(out), "--large", "missing.gguf")
    report = json.loads(*say("batch", "report", str(out), "--json", code=1))["report"]
    assert report["arms"][0]["failed"] == 1, "no model was there to try again"


def test_a_full_disk_while_a_batch_runs_and_another_program_that_writes_a_part_are_said_with_the_way_on(
    tmp_path, say, baton, monkeypatch
):
    out = tmp_path / "out"
    say("batch", "run", str(BATCH_PROBLEMS), "--arm", "large", "-n", "4", *TWO, "--out", str(out), "--no-history")
    with BatchFolder(out).opened() as (store, batch):
        store.batches.add_arm(batch.id, replace(batch.arms[0], name="again"), [0])
    with ExitStack() as disk, monkeypatch.context() as patch:

        @contextmanager
        def opened(*arguments, **options):
            with open_pair(*arguments, **options) as pair:
                disk.enter_context(a_full_disk())
                yield pair

        patch.setattr(batch_run, "open_pair", opened)
        done = baton("batch", "resume", str(out))
    assert done.returncode == 1
    assert f"To continue, and to write again what is lost: baton batch resume {out}" in done.stderr.splitlines()[-1]
    with BatchFolder(out).opened() as (store, batch):
        store.batches.claim(batch.id)  # as the program that runs this test, which is alive
    done = baton("batch", "resume", str(out))
    assert done.returncode == 1
    assert "Stopped" not in done.stderr
    assert f"Another program is writing 1 answer. When it is done: baton batch report {out}" in done.stderr


def test_other_models_are_arms_that_run_when_the_first_are_done_and_are_missed_before(tmp_path, say, refused):
    """The files of the demo pair in exchanged roles. For a program every line is JSON, and the last is the report."""
    out = tmp_path / "out"
    models = ("--small", "demo", "--small", str(LARGE_MODEL), "--large", "demo", "--large")
    run = ("batch", "run", str(BATCH_PROBLEMS), "--arm", "small", "--arm", "large", *TWO, "--out", str(out), *models)
    assert "missing.gguf" in refused(*run, str(tmp_path / "missing.gguf"))
    assert list(out.iterdir()) == [], "nothing was begun"
    *results, last = map(json.loads, say(*run, str(SMALL_MODEL), "--json"))
    report = last["report"]
    expected = {"small", "large", f"small, {LARGE_MODEL.stem}", f"large, {SMALL_MODEL.stem}"}
    assert {arm["name"]: arm["done"] for arm in report["arms"]} == dict.fromkeys(expected, 2)
    assert sorted(result["arm"] for result in results) == sorted([*expected] * 2)
    assert set(report["other_smalls"]) == {str(LARGE_MODEL)}


def written(path, text):
    path.write_text(text, encoding="utf-8")
    return str(path)


def create(folder, name="mine", meanwhile=lambda: None):
    def created(store):
        id = store.batches.create(name, {}, [], [])
        meanwhile()
        return id

    folder.create(created)


def names(folder):
    """The batches in the database that is named for the folder."""
    path = Paths.of_user().store if folder.database == batch_run.HISTORY else folder.path / folder.database
    with Store.open(path) as store:
        return [batch.name for batch in store.batches.all()]


def test_a_batch_that_cannot_be_graded_needs_to_be_confirmed_or_a_column(tmp_path, say, refused):
    file, out = written(tmp_path / "p.jsonl", '{"problem": "How many?", "gold": null}'), tmp_path / "out"
    sentence = refused("batch", "run", file, "--out", str(out), "-q", *EXCHANGED)
    assert "Name the column with --column answer=NAME (there are problem, gold), or add --grade none" in sentence
    assert not out.exists()
    shown = say("batch", "run", file, "--grade", "none", *LARGE_ALONE, "--out", str(out))
    assert shown[0] == "Large alone: no graded answer. Cut off at a limit: large alone 1 of 1."
    assert "Not graded, and in no accuracy: large 1." in "\n".join(shown)
    file = written(tmp_path / "p.csv", "a,b,c\nfirst,2 + 2?,4\n")
    columns = ("--column", "problem=b", "--column", "answer=c", "--column", "id=a")
    run = ("batch", "run", file, *columns, *LARGE_ALONE, "--json")
    result = json.loads(say(*run, "--out", str(tmp_path / "named"))[0])
    assert (result["id"], result["problem"], result["expected"]) == ("first", "2 + 2?", "4")
    result = json.loads(say(*run, "--grade", "none", "--out", str(tmp_path / "none"))[0])
    assert result["expected"] is None


def test_a_batch_says_which_arms_a_parameter_of_several_policies_reaches(baton):
    options = "--policy token-entropy --set tau=0.3 --set max_tokens=9 --dry-run --arm small"
    for arms, said in (
        ("--arm token-entropy --arm first-token-entropy", "the arms token-entropy, first-token-entropy."),
        ("--arm baton", "no arm."),
    ):
        done = baton("batch", "run", str(BATCH_PROBLEMS), *options.split(), *arms.split())
        assert [line for line in done.stderr.splitlines() if "--set" in line] == [f"baton: --set tau reaches {said}"]


def test_a_dry_run_says_answers_and_time_and_runs_nothing(tmp_path, baton, say, monkeypatch):
    out, small, large = (tmp_path / name for name in ("out", "s.gguf", "l.gguf"))
    run = ("batch", "run", str(BATCH_PROBLEMS), "--arm", "small", "--arm", "random", "--limit", "3", "--seeds", "2")
    line = (*run, "--small", written(small, ""), "--large", written(large, ""), "--out", str(out), "--dry-run")
    done = baton(*line)
    assert done.stdout == "3 problems × 3 arms × 2 seeds = 18 answers\n"
    assert "baton: The time is not known yet: baton solve measures the models that it runs." in done.stderr
    decode = {small: 0.01, large: 1}
    monkeypatch.setattr(ModelCosts, "of_file", lambda _, file: ModelCost(decode=decode[file], further=0, prefill=0))
    assert say(*line) == ["3 problems × 3 arms × 2 seeds = 18 answers, at most 21 min at 500 tokens each"]
    told = json.loads(*say(*line, "--json"))
    assert (told["answers"], round(told["seconds"])) == (18, 1278)
    assert not out.exists()


def test_the_encoding_of_a_file_is_named_where_it_is_unknown(tmp_path, say, refused):
    file = tmp_path / "sums.csv"
    file.write_bytes("question,answer\nСколько будет 2 + 2?,4\n".encode("cp1251"))
    run = ("batch", "run", str(file), *LARGE_ALONE, "--out", str(tmp_path / "out"), "--json")
    assert "sums.csv is in an unknown encoding: it is not UTF-8 and not text in Windows-1252. Name its" in refused(*run)
    assert json.loads(say(*run, "--encoding", "windows-1251")[0])["problem"] == "Сколько будет 2 + 2?"


@pytest.mark.parametrize("database", [batch_run.HISTORY, batch_run.STORE_FILE])
def test_a_folder_is_its_owners_and_a_batch_that_gets_no_link_is_deleted(tmp_path, database):
    """Batches are kept in the history, or in their folder. Two programs found one free, before either had its batch."""
    folder, full = BatchFolder(tmp_path / "out", database), BatchFolder(tmp_path / "full", database)
    gone = BatchFolder(tmp_path / "gone")
    for each in (folder, full, gone):
        each.prepare()
    create(folder)
    if os.name == "posix":  # Windows has other permissions
        assert folder.path.stat().st_mode & 0o777 == 0o700
        assert {file.stat().st_mode & 0o777 for file in folder.path.iterdir()} == {0o600}
    assert (folder.path / batch_run.STORE_FILE).exists() == (database != batch_run.HISTORY)
    with pytest.raises(SettingsError, match=r"out holds a batch already. Continue it with baton batch resume"):
        create(folder, "slower")
    with BatchFolder(folder.path).opened() as (_, batch):
        assert batch.name == "mine"
    refused = pytest.raises(StoreError, match=r"batch.json cannot be written: File too large. Free some space, then")
    with refused, ExitStack() as until_then:
        create(full, "full", lambda: until_then.enter_context(a_full_disk(0)))
    assert not full.holds_batch
    with pytest.raises(SettingsError, match=r"batch.json cannot be written: .* Name another folder with --out"):
        create(gone, "gone", lambda: shutil.rmtree(gone.path))
    assert not {"slower", "gone"} & {*names(folder), *names(gone)}


@pytest.mark.parametrize("text", ["", "[]", "{}", "\xff"])
def test_a_link_that_is_none_is_named(tmp_path, text):
    """An empty one is left by a program that is killed between the two steps of writing it."""
    (tmp_path / batch_run.LINK_FILE).write_text(text, encoding="latin-1")
    with pytest.raises(SettingsError, match=r"cannot be read. Name another folder, or delete this file"):
        BatchFolder(tmp_path).opened().__enter__()


def test_results_that_cannot_be_written_are_written_later(tmp_path, refused, say):
    folder = BatchFolder(tmp_path / "out")
    folder.prepare()
    create(folder)
    folder.file(".csv").mkdir()
    report = ("batch", "report", str(folder.path))
    assert f"Every answer is saved. To write it: baton batch report {folder.path}" in refused(*report, code=1)
    folder.file(".csv").rmdir()
    say(*report)


def test_results_are_in_the_home_folder_or_in_one_of_this_folder(tmp_path, say, monkeypatch):
    """A shell leaves the tilde of --out=~/results as it is, and the configuration file knows no shell."""
    monkeypatch.chdir(tmp_path)
    for name in ("HOME", "USERPROFILE"):  # the latter on Windows
        monkeypatch.setenv(name, str(tmp_path / "home"))
    written(tmp_path / "p.csv", "problem,answer\n1 + 1?,2\n")
    run = ("batch", "run", ".", "--arm", "small", "-n", "4", "--no-history", *EXCHANGED)
    say(*run, "--out=~/results")
    say(*run)
    found = {file.relative_to(tmp_path).parent for file in tmp_path.rglob("report.json")}
    assert found == {Path("home/results"), Path("results")}


@pytest.mark.parametrize("name", ["results.csv", batch_run.STORE_FILE])
def test_a_folder_with_a_file_of_somebody_is_not_written_over(tmp_path, refused, name):
    mine = written(tmp_path / name, "mine")
    sentence = refused("batch", "run", str(BATCH_PROBLEMS), "--out", str(tmp_path), "--no-history")
    assert f"{mine} exists already. Name another folder with --out." in sentence
    assert f"{tmp_path} holds no batch." in refused("batch", "report", str(tmp_path))
    assert [(file.name, file.read_text("utf-8")) for file in tmp_path.iterdir()] == [(name, "mine")]


def test_a_damaged_batch_is_reported_from_what_can_be_read_and_left_as_it_is(tmp_path, baton, say):
    out = tmp_path / "out"
    say("batch", "run", str(BATCH_PROBLEMS), "--arm", "small", "-n", "4", *TWO, "--out", str(out), "--no-history")
    file = out / batch_run.STORE_FILE
    with closing(sqlite3.connect(file)) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'file_hashes'").fetchone()
    content = bytearray(file.read_bytes())
    content[(page - 1) * 4096 : page * 4096] = b"\xa5" * 4096
    file.write_bytes(content)
    done = baton("batch", "report", str(out), "--json")
    assert f"{file} is damaged. 0 conversations and 1 batch could be read." in done.stderr
    assert json.loads(done.stdout)["report"]["problems"] == 2
    assert file.read_bytes() == content
    assert list(out.glob("*damaged*")) == []


def test_evidence_compares_the_arms_and_times_them_at_the_cost_of_a_real_pair(
    tmp_path, user, baton, say, refused, monkeypatch
):
    monkeypatch.setattr(evidence, "ARMS", ("small", "large", "baton", "random"))
    out = tmp_path / "out"
    line = ("evidence", "--limit", "2", "--seeds", "1", "--problem-seed", "7", "--out", str(out))
    begun = baton(*line)
    assert begun.returncode == 0, begun.stderr
    assert "random: p = " in begun.stderr
    table = begun.stdout[begun.stdout.index("\narm") :].splitlines()[2:6]
    assert [row.split("  ")[0] for row in table] == ["small", "large", "baton · Keywords", "random"]
    other = refused("evidence", "--limit", "1", "--out", str(out))
    assert "holds a batch with other problems, arms or seeds. Repeat the command that began it" in other
    user.cache.parent.mkdir(parents=True)
    taken = written(user.cache, "a file, where a folder should be")
    full = baton(*line, "--cost", "2")
    assert (full.returncode, taken in full.stderr.splitlines()[-1]) == (1, True)
    user.cache.unlink()
    done = say(*line, "--cost", "2")
    assert "Accuracy of 2 problems, 1 seed; times of 2 at a cost of 1:2" in done
    header, *rows = done[-6:]
    assert header.split("  ")[-1].strip() == "time / large alone"
    arms = [row.split("  ")[0] for row in rows]
    assert sorted(arms) == sorted(["small", "large", "drafted", "baton", "random"])
    assert {*arms[-2:]} == {*evidence.LAST}
    assert rows[arms.index("large")].endswith(" 1.00 (1.00–1.00)")
    files = [(folder / "results.jsonl").read_text("utf-8") for folder in (out / "cost-2", out)]
    timed, graded = ([json.loads(line) for line in text.splitlines()] for text in files)
    assert {row["arm"] for row in timed} == {*arms}
    assert timed[0]["problem"] == graded[0]["problem"], "the problems that were graded"
    assert "time / large alone" in "\n".join(say(*line, "--cost", "2")), "what is timed already"


def test_evidence_has_an_arm_of_every_policy():
    arms = arms_of((*evidence.ARMS, *evidence.OTHER_ARMS, evidence.DRAFTED), DEMO_SETTINGS)
    own = {name for name, policy in POLICIES.items() if policy.__module__.startswith(PACKAGE)}  # no plug-ins
    assert {arm.settings.policy.policy for arm in arms} == own - {"automatic"}


OTHER = '{"problem": "1 + 0?", "answer": "1"}'


def test_a_batch_of_the_demo_pair_leaves_other_problems_out(tmp_path, say, refused):
    own, file = BATCH_PROBLEMS.read_text(encoding="utf-8").splitlines()[0], tmp_path / "some.jsonl"
    assert say("batch", "run", written(file, f"{own}\n{OTHER}\n"), "--dry-run")[0].startswith("1 problem")
    assert WHAT_IT_SOLVES in refused("batch", "run", written(file, OTHER))


@pytest.mark.parametrize("content", [OTHER.encode(), "Frage;Antwort\n1 + 0?;1\n".encode("utf-16")])
def test_problems_come_from_standard_input(content, tmp_path, baton, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content), "utf-8"))
    line = ("batch", "run", "-", "--arm", "small", "--context", "1024", "--out", str(tmp_path / "out"), "--json")
    done = baton(*line, *EXCHANGED)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[0])["expected"] == "1"
