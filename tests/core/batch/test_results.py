"""results.jsonl, results.csv and report.json hold all that another tool needs to grade and count, and run nothing."""

from __future__ import annotations

import csv
import json
from collections import Counter

import pytest

from baton_reasoning.core.batch.reporting.exports import EXPORTS, NOT_IN_CSV, export, safe_cell
from baton_reasoning.core.batch.reporting.report import Report
from baton_reasoning.core.batch.reporting.results import ExportedResult, Results
from baton_reasoning.core.batch.running.arms import arms_of
from baton_reasoning.core.batch.running.batch import Provenance, create_batch
from baton_reasoning.core.errors import EngineLost
from baton_reasoning.core.export.formats import write_file
from baton_reasoning.core.files import sha256_of
from baton_reasoning.core.grading.verdict import How
from baton_reasoning.core.problem import Problem
from baton_reasoning.core.run import Pair, RunSettings
from tests.core.batch.counting import (
    batch_of,
    damage,
    large_engine,
    problems,
    read,
    rows_of,
    run_batch,
    small_engine,
    solved,
)
from tests.fakes.scripted import Fault, ScriptedEngine


def run(store, *recipes, pair=None, found=None):
    return solved(store, *recipes, pair=pair, found=found or problems(4), seeds=(3, 4), how=How.EXACT)


def exported(store, batch, path):
    export(store, batch, path)
    text = path.read_text("utf-8")
    return [json.loads(text)] if path.suffix == ".json" else [json.loads(line) for line in text.splitlines()]


def test_results_and_report_are_read_back_as_they_were_written(store, tmp_path):
    lost = EngineLost("The model's process ended.", "Open it again.")
    pair = Pair(small_engine(faults=[Fault(40, lost)]), large_engine())
    batch = run(store, "small", "large", "baton", "chosen", pair=pair)
    results = Results.read(store, batch)
    lines = exported(store, batch, tmp_path / "results.jsonl")
    assert [ExportedResult.model_validate(line) for line in lines] == list(results.exported())
    assert Counter(line["outcome"] for line in lines)["error"] == 1
    (report,) = exported(store, batch, tmp_path / "report.json")
    assert Report.model_validate(report) == results.report
    small, *_, chosen = report["arms"]
    assert small["settings"]["settings"]["policy"]["policy"] == "never"
    assert chosen["settings"]["settings"]["policy"]["policy"] == "keywords"
    assert (report["seed_numbers"], report["grading"], report["parallel"]) == ([3, 4], "exact", 2)
    assert report["provenance"]["baton"]
    assert report["provenance"]["llama_cpp_python"]


def test_a_batch_that_has_not_begun_or_has_one_problem_can_be_exported(store, tmp_path):
    batch = batch_of(store, 2, "small", "random")
    assert [line["state"] for line in exported(store, batch, tmp_path / "r.jsonl")] == ["waiting"] * 6
    (report,) = exported(store, batch, tmp_path / "report.json")
    assert Report.model_validate(report).arms[0].answers == 0
    export(store, run(store, "small", "large", found=problems(1)), tmp_path / "report.json")
    assert "Infinity" not in (tmp_path / "report.json").read_text("utf-8")


def test_a_result_holds_the_text_who_wrote_what_how_it_was_graded_and_its_problem(store, tmp_path):
    batch = run(store, "baton", found=[Problem("a", "Count to 2.", "2", {"level": "5"}, 1, "set.jsonl")])
    lines = exported(store, batch, tmp_path / "results.jsonl")
    for line in lines:
        trace = store.runs.trace(line["run"])
        assert line["text"] == trace.text
        assert line["text"][line["answer_start"] :] == trace.answer
        assert [span["start"] for span in line["spans"]] == [0, *(span["end"] for span in line["spans"])][:-1]
        assert line["spans"][-1]["end"] == len(trace.text)
        assert line["small_tokens"] == sum(each["tokens"] for each in line["spans"] if each["author"] == "small")
        assert (line["id"], line["answer"], line["outcome"], line["graded_by"]) == ("a", "2", "correct", "exact")
        assert (line["source"], line["line"], line["metadata"]) == ("set.jsonl", 1, {"level": "5"})
        assert line["started"] < line["ended"]
        assert line["conditions"]["parallel"] == 2
        assert line["finish"]
        assert line["reason"]
    assert [line["seed"] for line in lines] == [3, 4]


def test_a_report_says_what_was_run_of_which_files_and_how_many_at_once_the_last_run_had(store, tmp_path):
    found = read(tmp_path, "sums.csv", "id,question,answer\nx,Count to 1?,1\ny,Count to 2?,2\n")
    provenance = Provenance.of_this_machine(problems=found.origin)
    batch = create_batch(store, "sums", found.problems, arms_of(["small"], RunSettings()), provenance=provenance)
    small = small_engine().with_card(path=tmp_path / "sums.csv", quantisation="Q4")
    run_batch(store, batch, Pair(small), parallel=3)
    (report,) = exported(store, batch, tmp_path / "report.json")
    assert report["problem_ids"] == ["x", "y"]
    sha256 = sha256_of(tmp_path / "sums.csv")
    assert report["provenance"]["problems"] == {"data_set": "", "files": [{"name": "sums.csv", "sha256": sha256}]}
    size = (tmp_path / "sums.csv").stat().st_size
    told = {"name": "small", "file": "sums.csv", "bytes": size, "sha256": sha256, "quantisation": "Q4"}
    assert report["small"].items() >= told.items()
    assert report["parallel"] == 3
    assert [parallel for parallel, *_ in report["arms"][0]["conditions"]["setups"]] == [3]
    kept = Provenance.of_this_machine(["baton", "--large", "https://me:secret@host:1"], "", "https://me:secret@host:1")
    assert "secret" not in kept.model_dump_json()
    assert (kept.command[2], kept.large) == ("https://…@host:1",) * 2


def test_half_a_character_in_a_problem_or_an_answer_blocks_no_export_and_results_are_read_once(store, tmp_path):
    half = {"id": "\ud800", "problem": "Why \ud800?", "answer": "\udfff", "\ud800": "\ud800"}
    found = read(tmp_path, "p.jsonl", json.dumps(half))
    engine = ScriptedEngine(continue_with=lambda *_: ["It is so.</think>", "\\boxed{", b"\xf0\x9f", "}"])
    results = Results.read(store, run(store, "small", pair=Pair(engine), found=list(found.problems)))
    report = results.report
    for ending in EXPORTS:
        write_file(tmp_path / f"out{ending}", EXPORTS, results)
        assert (tmp_path / f"out{ending}").read_text("utf-8")
    assert results.report is report
    assert {file.stat().st_mode & 0o777 for file in tmp_path.glob("out*")} == {0o600}, "only the owner may read them"


def test_an_answer_that_is_damaged_is_exported_up_to_there(store, path, tmp_path):
    batch = run(store, "small", found=problems(1))
    damage(path)
    for line in exported(store, batch, tmp_path / "results.jsonl"):
        assert (line["text"], line["outcome"]) == ("", "correct")
        assert line["small_tokens"] > 0


def test_a_row_has_every_field_of_its_result_but_texts_and_lists(store, tmp_path):
    engine = ScriptedEngine(r"</think>\boxed{=HYPERLINK(1)}")
    found = [Problem('He said "Größe"\nand left', "Count to 1.", "1", {}, 1)]
    batch = run(store, "small", pair=Pair(engine), found=found)
    lines = exported(store, batch, tmp_path / "results.jsonl")
    path = tmp_path / "results.csv"
    export(store, batch, path)
    assert path.read_bytes().startswith(b"\xef\xbb\xbf"), "without it, Excel takes the text for another encoding"
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(rows_of(store, batch)) == 2
    for row, line in zip(rows, lines, strict=True):
        assert line.keys() - row.keys() == {"schema", *NOT_IN_CSV} - {"schema_version"}
        told = {name: str(line[name]) for name in row if line[name] not in ("", None, [])}
        assert {name: cell for name, cell in row.items() if cell} == told | {"answer": "'=HYPERLINK(1)"}


# What a model wrote never runs as a formula in a spreadsheet


@pytest.mark.parametrize(
    ("cell", "at"),
    [
        *((cell, 0) for cell in ("=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1")),
        *((cell, 0) for cell in ("-inf", "-x", "-5\n=1", "+1_000", " =1", "\ufeff=1", "\u200b\u00a0@SUM(A1)", "=1;2")),
        # A semicolon parts cells in half of Europe.
        *((cell, 2) for cell in ("a;=cmd", "a; \u200b@SUM(A1)", "a;-cmd|' /C calc'!A0;b")),
        *((cell, None) for cell in (-5, 3.5, True, None, "-5", "+5", "-1.5e-3", "-.5", "x = 1", "", "5-3")),
        *((cell, None) for cell in (r"\boxed{-5}", "(1;-2)", "a; b", "[0;+1]")),
    ],
)
def test_text_that_could_run_gets_an_apostrophe_and_numbers_and_plain_text_stay(cell, at):
    assert safe_cell(cell) == (cell if at is None else f"{cell[:at]}'{cell[at:]}")
    assert safe_cell("=1;=2") == "'=1;'=2"
