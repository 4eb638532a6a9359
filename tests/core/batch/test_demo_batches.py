"""A batch of the demo pair shows no seconds: both models are equally fast, so a line says what was measured instead."""

from __future__ import annotations

import csv
import html
import re
from pathlib import Path

import pytest

from baton_reasoning.core.batch.reporting.exports import export
from baton_reasoning.core.batch.reporting.report import Report
from baton_reasoning.core.batch.reporting.results import Results
from baton_reasoning.core.batch.reporting.tables import notes
from baton_reasoning.core.batch.running.arms import arms_of
from baton_reasoning.core.batch.running.batch import BatchSettings, ModelSummary, Provenance, create_batch
from baton_reasoning.core.batch.running.runner import Runner
from baton_reasoning.core.demo_pair import LARGE_MODEL, SMALL_MODEL
from baton_reasoning.core.demo_pair.settings import MEASURED_COST, MEASURED_RATIO
from baton_reasoning.core.grading.grader import Grader
from baton_reasoning.core.models.options import DemoModel, LocalFile, ModelSource
from baton_reasoning.core.run import Pair, RunSettings
from baton_reasoning.core.store.store import Store
from tests.core.batch.counting import large_engine, problems, small_engine
from tests.core.batch.noted import page_of, text_of

DEMO = (DemoModel.SMALL, DemoModel.LARGE)
COPIES = (LocalFile(Path("cost-13/small.gguf")), LocalFile(Path("cost-13/large.gguf")))
"""As `baton evidence --cost` makes them."""
SECONDS = re.compile("Second|answer p50|end p95|tok/s|mean / large|s/answer|× large")


def pair_of(small: ModelSource, large: ModelSource) -> Pair:
    return Pair(small_engine().with_card(source=small), large_engine().with_card(source=large))


def ended_batch(store: Store, grader: Grader, small: ModelSource, large: ModelSource) -> str:
    batch = create_batch(store, "counting", problems(4), arms_of(["small", "large", "baton"], RunSettings()))
    list(Runner(store, batch, pair_of(small, large), grader).run())
    return batch


def shown(report: Report) -> list[str]:
    """The report as text, and as text of its page."""
    page = re.sub("<style>.*</style>|<[^>]*>", " ", page_of(report), flags=re.DOTALL)
    return [" ".join(text.split()) for text in (text_of(report), html.unescape(page))]


@pytest.mark.slow
def test_no_seconds_are_shown_of_the_demo_pair_but_what_was_measured_at_a_real_cost(store, grader):
    report = Results.read(store, ended_batch(store, grader, *DEMO)).report
    (note,) = notes(report)
    assert f"1 to {MEASURED_COST}, one answer at a time" in note
    assert f"the pair takes {MEASURED_RATIO:.2f} of the time of the large model alone" in note
    for text in shown(report):
        assert text.count(note) == 1
        assert SECONDS.findall(text) == []
        assert "large share" in text


@pytest.mark.slow
def test_the_timing_of_copies_that_cost_more_shows_seconds(store, grader):
    report = Results.read(store, ended_batch(store, grader, *COPIES)).report
    assert notes(report) == []
    text, page = shown(report)
    assert set(SECONDS.findall(text)) == {"s/answer", "× large", "Second"}, "the last is folded"
    assert {"Second", "answer p50", "end p95", "tok/s", "mean / large"} <= set(SECONDS.findall(page))


@pytest.mark.slow
def test_the_files_of_a_demo_batch_keep_what_was_measured(store, grader, tmp_path):
    batch = ended_batch(store, grader, *DEMO)
    export(store, batch, tmp_path / "out.csv")
    export(store, batch, tmp_path / "out.json")
    rows = list(csv.DictReader((tmp_path / "out.csv").read_text("utf-8-sig").splitlines()))
    assert all(float(row["seconds"]) > 0 for row in rows)
    report = Report.model_validate_json((tmp_path / "out.json").read_text("utf-8"))
    assert report.is_demo
    assert all(arm.seconds > 0 and arm.seconds_to_end for arm in report.arms)


def settings(small: ModelSource | str, large: ModelSource | str = "") -> BatchSettings:
    models = (ModelSummary(name="demo", source=str(source)) if source else None for source in (small, large))
    return BatchSettings(small=next(models), large=next(models))


def test_a_batch_is_the_demos_if_no_other_model_writes_in_it():
    assert settings(*DEMO).is_demo
    assert settings(DemoModel.SMALL).is_demo, "the arm of the small model alone needs no other"
    assert not settings(DemoModel.SMALL, LocalFile(Path("large.gguf"))).is_demo
    assert not settings(LocalFile(SMALL_MODEL), LocalFile(LARGE_MODEL)).is_demo
    other = {"large.gguf": ModelSummary(name="other", source="large.gguf")}
    assert not settings(*DEMO).model_copy(update={"other_larges": other}).is_demo
    assert not BatchSettings().is_demo


def test_before_a_batch_begins_the_names_of_its_models_tell_whether_it_is_the_demos():
    named = Provenance(small="demo:small", large="demo:large")
    assert BatchSettings(provenance=named).is_demo
    assert not BatchSettings(provenance=named.model_copy(update={"large": "large.gguf"})).is_demo
    own = settings(LocalFile(Path("small.gguf")))
    assert not own.model_copy(update={"provenance": named}).is_demo, "it was resumed with others"


def test_the_measured_ratio_is_that_of_the_documented_experiment():
    page = Path(__file__).parents[3].joinpath("docs", "evidence.md").read_text(encoding="utf-8")
    assert f"`baton evidence --cost {MEASURED_COST} " in page
    (row,) = re.findall(r"^\| baton \|.*\| (\d\.\d\d) \(", page, re.MULTILINE)
    assert float(row) == MEASURED_RATIO
