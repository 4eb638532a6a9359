"""Results in the formats of other tools, opened by those tools where they are installed."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from baton_reasoning.core.batch.reporting.other_tools import TOOLS, write_for
from baton_reasoning.core.batch.reporting.results import Results
from baton_reasoning.core.batch.running.creation import add_arms, create_batch
from baton_reasoning.core.batch.running.recipes import VOTES, arms_of
from baton_reasoning.core.batch.running.runner import Runner
from baton_reasoning.core.errors import EngineLost, StoreError
from baton_reasoning.core.grading.grader import Grader
from baton_reasoning.core.run import Pair, RunSettings
from baton_reasoning.core.store.store import Store
from tests.core.batch.counting import large_engine, problems, small_engine
from tests.fakes.scripted import Fault, ScriptedEngine


@pytest.fixture
def results(store: Store, grader: Grader) -> Results:
    """Three problems with two seeds each; the first answer of the small model is an error."""
    lost = EngineLost("The model's process ended.", "Open it again.")
    small = ScriptedEngine(continue_with=small_engine().continue_with, faults=[Fault(2, lost)])
    batch = create_batch(store, "counting", problems(3), arms_of(["small", "baton"], RunSettings()), seeds=(5, 6))
    list(Runner(store, batch, Pair(small, large_engine()), grader).run())
    return Results.read(store, batch)


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_the_harness_gets_a_sample_for_each_problem_with_its_seeds_as_repeats(results: Results, tmp_path: Path) -> None:
    small, baton = write_for("lm-eval", results, tmp_path / "out")
    assert (small.name, baton.name) == ("samples_small.jsonl", "samples_baton.jsonl")
    samples = lines_of(baton)
    assert [sample["doc_id"] for sample in samples] == [0, 1, 2]
    assert [sample["target"] for sample in samples] == ["0", "1", "2"]
    assert samples[2]["filtered_resps"] == ["2", "2"]
    assert samples[2]["correct"] == 1
    assert len(samples[2]["resps"][0]) == 2
    assert samples[2]["arguments"]["gen_args_0"]["arg_0"].startswith("Count to 2.\nPlease reason")


def test_seeds_of_an_arm_that_was_added_are_repeats_as_well(store: Store, grader: Grader, tmp_path: Path) -> None:
    batch = create_batch(store, "counting", problems(2), arms_of(["small"], RunSettings()), seeds=(5, 6))
    add_arms(store, batch, arms_of(["large"], RunSettings()))
    list(Runner(store, batch, Pair(small_engine(), large_engine()), grader).run())
    _, large = write_for("lm-eval", Results.read(store, batch), tmp_path / "out")
    assert [(sample["doc_id"], sample["filtered_resps"]) for sample in lines_of(large)] == [
        (0, ["0", "0"]),
        (1, ["1", "1"]),
    ]


def test_inspect_opens_its_log(results: Results, tmp_path: Path) -> None:
    log = pytest.importorskip("inspect_ai.log")
    _, path = write_for("inspect", results, tmp_path / "out")
    opened = log.read_eval_log(str(path))
    assert (opened.status, opened.eval.task, opened.eval.config.epochs) == ("success", "counting", 2)
    marks = {(sample.id, sample.epoch): sample.scores["baton"].value for sample in opened.samples}
    assert marks == {(f"p{n}", epoch): "CIC"[n] for n in range(3) for epoch in (1, 2)}
    spans = [event.name for event in opened.samples[0].events if event.event == "span_begin"]
    assert spans[:2] == ["step 1", "small"]


def test_inspect_gets_every_vote(store: Store, grader: Grader, tmp_path: Path) -> None:
    log = pytest.importorskip("inspect_ai.log")
    batch = create_batch(store, "votes", problems(2), arms_of(["vote"], RunSettings()), seeds=(5, 6))
    list(Runner(store, batch, Pair(small_engine()), grader).run())
    (path,) = write_for("inspect", Results.read(store, batch), tmp_path / "out")
    opened = log.read_eval_log(str(path))
    assert opened.eval.config.epochs == 2 * VOTES
    assert len({(sample.id, sample.epoch) for sample in opened.samples}) == 2 * 2 * VOTES


@pytest.mark.skipif(os.name != "posix", reason="Windows has other permissions")
@pytest.mark.parametrize("tool", TOOLS)
def test_only_the_owner_may_read_what_other_tools_read(results: Results, tmp_path: Path, tool: str) -> None:
    if tool == "inspect":
        pytest.importorskip("inspect_ai.log")
    written = write_for(tool, results, tmp_path / "out")
    assert {path.stat().st_mode & 0o777 for path in written} == {0o600}
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o700


def test_without_inspect_a_sentence_says_how_to_get_it(
    results: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "inspect_ai.log", None)
    with pytest.raises(StoreError, match=r"pip install .*\[inspect\]"):
        write_for("inspect", results, tmp_path / "out")
