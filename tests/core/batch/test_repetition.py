"""A batch that is run again has the same problems, and says which of its models are other files by now."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from baton_reasoning.core.batch.reporting.exports import export
from baton_reasoning.core.batch.reporting.repetition import Repetition, read_repetition
from baton_reasoning.core.batch.reporting.results import Results
from baton_reasoning.core.batch.running.arms import arms_of
from baton_reasoning.core.batch.running.batch import BatchSettings, ModelSummary, create_batch
from baton_reasoning.core.errors import ProblemFileError
from baton_reasoning.core.files import sha256_of
from baton_reasoning.core.run import RunSettings
from baton_reasoning.core.store.store import Store
from tests.core.batch.counting import problems


def test_results_that_were_cut_short_are_refused(store: Store, tmp_path: Path) -> None:
    batch = create_batch(store, "counting", problems(3), arms_of(["small"], RunSettings()))
    for name in ("report.json", "results.jsonl"):
        export(store, batch, tmp_path / name)
    assert read_repetition(tmp_path / "report.json").problems == tuple(problems(3))
    lines = (tmp_path / "results.jsonl").read_text("utf-8").splitlines(keepends=True)
    (tmp_path / "results.jsonl").write_text("".join(reversed(lines)), "utf-8")
    assert read_repetition(tmp_path / "report.json").problems == tuple(problems(3)), "seeds follow from the order"
    (tmp_path / "results.jsonl").write_text("".join(lines[:2]), "utf-8")
    with pytest.raises(ProblemFileError, match=r"1 problem of .*report\.json cannot be found in the results\.jsonl"):
        read_repetition(tmp_path / "report.json")


def test_a_report_of_an_older_version_can_be_run_again(store: Store, tmp_path: Path) -> None:
    batch = create_batch(store, "counting", problems(2), arms_of(["small"], RunSettings()))
    for name in ("report.json", "results.jsonl"):
        export(store, batch, tmp_path / name)
    older = json.loads((tmp_path / "report.json").read_text("utf-8"))
    for gone in (older, older["arms"][0]):
        gone |= {"budgets": {"seconds": [1.0]}, "accuracy_within": {"seconds": []}, "energy": {}, "same_as": ""}
    del older["time_budgets"], older["is_older"], older["arms"][0]["accuracy_in_time"], older["arms"][0]["majority"]
    (tmp_path / "report.json").write_text(json.dumps(older), "utf-8")
    found = read_repetition(tmp_path / "report.json")
    assert ([arm.name for arm in found.arms], found.problems) == (["small"], tuple(problems(2)))


def changed(store: Store, small: str, large: str, told: BatchSettings) -> list[str]:
    batch = create_batch(store, "counting", [], [])
    store.batches.set_settings(batch, told.stored())
    return Repetition(Results.read(store, batch).report, (), ()).changed_models(small, large)


def test_each_model_that_is_another_file_is_named(store: Store, tmp_path: Path) -> None:
    same, other = tmp_path / "same.gguf", tmp_path / "other.gguf"
    same.write_bytes(b"as it was")
    other.write_bytes(b"changed since")
    model = ModelSummary(name="R1", source=str(same), sha256=sha256_of(same))
    pair = BatchSettings(small=model, large=model)
    assert changed(store, str(same), "http://office:9931", pair) == []
    (sentence,) = changed(store, str(same), str(other), pair)
    assert sentence == f"{other} is not the file of the report: its SHA-256 differs."
    others = BatchSettings(other_smalls={str(same): model}, other_larges={str(other): model})
    assert changed(store, "", "", others) == [sentence]
    assert changed(store, "demo", str(same), pair) == ["demo is not the file of the report: its SHA-256 differs."]
