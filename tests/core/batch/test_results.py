"""results.jsonl and report.json hold all that another tool needs to grade, count and repeat, in a documented shape."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from baton_reasoning.core.batch.reporting.exports import EXPORTS, export
from baton_reasoning.core.batch.reporting.report import Report
from baton_reasoning.core.batch.reporting.results import ExportedResult, Results
from baton_reasoning.core.batch.running.arms import arms_of
from baton_reasoning.core.batch.running.batch import Provenance, create_batch
from baton_reasoning.core.batch.running.runner import Runner
from baton_reasoning.core.demo_pair import LARGE_MODEL
from baton_reasoning.core.engines.local.engine import LocalEngine
from baton_reasoning.core.errors import EngineLost
from baton_reasoning.core.export.formats import write_file
from baton_reasoning.core.files import sha256_of
from baton_reasoning.core.grading.grader import Grader
from baton_reasoning.core.grading.verdict import How
from baton_reasoning.core.problem import Problem
from baton_reasoning.core.run import Pair, RunSettings
from baton_reasoning.core.store.store import Store
from tests.core.batch.counting import counting_pair, large_engine, problems, small_engine
from tests.core.batch.files import damage, read
from tests.fakes.scripted import Fault, ScriptedEngine


def run(store: Store, *recipes: str, pair: Pair | None = None, found: list[Problem] | None = None) -> str:
    arms = arms_of(recipes, RunSettings())
    batch = create_batch(store, "counting", found or problems(4), arms, seeds=(3, 4), parallel=2, how=How.EXACT)
    with Grader() as grader:
        list(Runner(store, batch, pair or counting_pair(), grader, 2).run())
    return batch


def exported(store: Store, batch: str, path: Path) -> list[dict[str, Any]]:
    export(store, batch, path)
    text = path.read_text("utf-8")
    return [json.loads(text)] if path.suffix == ".json" else [json.loads(line) for line in text.splitlines()]


def test_results_and_report_are_read_back_as_they_were_written(store, tmp_path):
    lost = EngineLost("The model's process ended.", "Open it again.")
    engine = ScriptedEngine(continue_with=small_engine().continue_with, faults=[Fault(40, lost)])
    batch = run(store, "small", "large", "baton", "chosen", pair=Pair(engine, large_engine()))
    results = Results.read(store, batch)
    lines = exported(store, batch, tmp_path / "results.jsonl")
    assert [ExportedResult.model_validate(line) for line in lines] == list(results.exported())
    assert Counter(line["outcome"] for line in lines)["error"] == 1
    (report,) = exported(store, batch, tmp_path / "report.json")
    assert Report.model_validate(report) == results.report


def test_a_batch_that_has_not_begun_can_be_exported(store, tmp_path):
    batch = create_batch(store, "counting", problems(2), arms_of(["small", "random"], RunSettings()))
    assert [line["state"] for line in exported(store, batch, tmp_path / "r.jsonl")] == ["waiting"] * 6
    (report,) = exported(store, batch, tmp_path / "report.json")
    assert Report.model_validate(report).arms[0].answers == 0


def test_a_result_holds_the_text_and_who_wrote_what(store, tmp_path):
    batch = run(store, "baton")
    rows = {row.run: row for row in store.batches.results(batch)}
    for line in exported(store, batch, tmp_path / "results.jsonl"):
        trace = store.runs.trace(rows[line["run"]].run)
        assert line["text"] == trace.text
        assert line["text"][line["answer_start"] :] == trace.answer
        assert [span["start"] for span in line["spans"]] == [0, *(span["end"] for span in line["spans"])][:-1]
        assert line["spans"][-1]["end"] == len(trace.text)
        assert line["small_tokens"] == sum(each["tokens"] for each in line["spans"] if each["author"] == "small")


def test_a_result_says_how_it_was_graded_when_it_ran_and_where_the_problem_is_from(store, tmp_path):
    batch = run(store, "small", found=[Problem("a", "Count to 2.", "2", {"level": "5"}, 1, "set.jsonl")])
    first, second = exported(store, batch, tmp_path / "results.jsonl")
    assert (first["id"], first["answer"], first["outcome"], first["graded_by"]) == ("a", "2", "correct", "exact")
    assert (first["source"], first["line"], first["metadata"]) == ("set.jsonl", 1, {"level": "5"})
    assert [first["seed"], second["seed"]] == [3, 4]
    assert first["started"] < first["ended"]
    assert first["conditions"]["parallel"] == 2


def test_a_report_holds_the_settings_of_each_arm_and_how_the_batch_was_begun(store, tmp_path):
    (report,) = exported(store, run(store, "small", "chosen"), tmp_path / "report.json")
    small, chosen = report["arms"]
    assert small["settings"]["settings"]["policy"]["policy"] == "never"
    assert chosen["settings"]["settings"]["policy"]["policy"] == "keywords"
    assert (report["seed_numbers"], report["grading"], report["parallel"]) == ([3, 4], "exact", 2)
    assert report["provenance"]["baton"]
    assert report["provenance"]["llama_cpp_python"]


def test_a_report_says_which_problems_these_were(store, tmp_path):
    found = read(tmp_path, "sums.csv", "id,question,answer\nx,One?,1\ny,Two?,2\n")
    provenance = Provenance.of_this_machine(problems=found.origin)
    batch = create_batch(store, "sums", found.problems, arms_of(["small"], RunSettings()), provenance=provenance)
    (report,) = exported(store, batch, tmp_path / "report.json")
    assert report["problem_ids"] == ["x", "y"]
    sha256 = sha256_of(tmp_path / "sums.csv")
    assert report["provenance"]["problems"] == {"data_set": "", "files": [{"name": "sums.csv", "sha256": sha256}]}


def test_a_report_says_how_many_problems_at_once_the_last_run_had_and_each_answer_too(store, tmp_path, grader):
    batch = create_batch(store, "counting", problems(4), arms_of(["small"], RunSettings()), parallel=1)
    list(Runner(store, batch, counting_pair(), grader, 3).run())
    (report,) = exported(store, batch, tmp_path / "report.json")
    assert report["parallel"] == 3
    assert [parallel for parallel, *_ in report["arms"][0]["conditions"]["setups"]] == [3]


def test_a_model_file_has_its_hash(store, tmp_path, grader):
    arms = arms_of(["large"], RunSettings(max_tokens=4))
    batch = create_batch(store, "one", problems(1), arms)
    engine = LocalEngine(LARGE_MODEL)
    try:
        list(Runner(store, batch, Pair(large=engine), grader).run())
    finally:
        engine.close()
    (report,) = exported(store, batch, tmp_path / "report.json")
    assert report["large"]["sha256"] == sha256_of(LARGE_MODEL)
    assert (report["large"]["file"], report["large"]["bytes"]) == (LARGE_MODEL.name, LARGE_MODEL.stat().st_size)
    assert report["large"]["quantisation"]


def test_one_problem_with_two_seeds_has_a_report_without_infinities(store, tmp_path):
    batch = run(store, "small", "large", found=problems(1))
    export(store, batch, tmp_path / "report.json")
    assert "Infinity" not in (tmp_path / "report.json").read_text("utf-8")


def test_half_a_character_in_a_problem_or_an_answer_blocks_no_export(store, tmp_path):
    half = {"id": "\ud800", "problem": "Why \ud800?", "answer": "\udfff", "\ud800": "\ud800"}
    found = read(tmp_path, "p.jsonl", json.dumps(half))
    engine = ScriptedEngine(continue_with=lambda *_: ["It is so.</think>", "\\boxed{", b"\xf0\x9f", "}"])
    batch = run(store, "small", pair=Pair(engine), found=list(found.problems))
    for ending in EXPORTS:
        export(store, batch, tmp_path / f"out{ending}")
        assert (tmp_path / f"out{ending}").read_text("utf-8")
    assert {file.stat().st_mode & 0o777 for file in tmp_path.glob("out*")} == {0o600}, "only the owner may read them"


def test_all_exports_are_made_of_results_that_are_read_once(store, tmp_path):
    results = Results.read(store, run(store, "small"))
    report = results.report
    for ending in EXPORTS:
        write_file(tmp_path / f"out{ending}", EXPORTS, results)
    assert results.report is report


def test_an_answer_that_is_damaged_is_exported_up_to_there(store, path, tmp_path):
    batch = run(store, "small", found=problems(1))
    damage(path)
    for line in exported(store, batch, tmp_path / "results.jsonl"):
        assert (line["text"], line["outcome"]) == ("", "correct")
        assert line["small_tokens"] > 0


def test_a_password_in_an_address_is_not_kept():
    kept = Provenance.of_this_machine(["baton", "--large", "https://me:secret@host:1"], "", "https://me:secret@host:1")
    assert "secret" not in kept.model_dump_json()
