"""A batch that is run again says which of its models are other files by now."""

from __future__ import annotations

from pathlib import Path

from baton_reasoning.core.batch.reporting.repetition import Repetition
from baton_reasoning.core.batch.reporting.results import Results
from baton_reasoning.core.batch.running.batch_settings import BatchSettings, ModelSummary
from baton_reasoning.core.batch.running.creation import create_batch
from baton_reasoning.core.models.checksums import sha256_of
from baton_reasoning.core.store.store import Store


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
