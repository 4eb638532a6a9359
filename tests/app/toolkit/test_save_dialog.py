from pathlib import Path

import pytest
from PySide6.QtWidgets import QFileDialog

from baton_reasoning.app.toolkit.save_dialog import file_to_save

KINDS = {".html": "Web page", ".md": "Markdown", ".json": "JSON"}
PAGE, MARKDOWN, NEITHER = "Web page (*.html)", "Markdown (*.md)", ""


@pytest.mark.parametrize(
    ("name", "kind", "written"),
    [
        ("notes.html", PAGE, "notes.html"),
        ("notes.HTML", PAGE, "notes.HTML"),
        ("notes.html", MARKDOWN, "notes.md"),
        ("notes", MARKDOWN, "notes.md"),
        ("about 1.7B", MARKDOWN, "about 1.7B.md"),
        ("notes.md", NEITHER, "notes.md"),
        ("notes", NEITHER, "notes.html"),
        ("", MARKDOWN, None),
    ],
)
def test_a_file_to_save_has_the_ending_of_the_kind_that_was_chosen(monkeypatch, tmp_path, name, kind, written):
    answer = str(tmp_path / name) if name else ""
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (answer, kind))
    expected = tmp_path / written if written else None
    assert file_to_save(None, "Export", tmp_path / "first.html", KINDS) == expected


def test_no_file_is_replaced_that_the_dialog_did_not_ask_about(monkeypatch, tmp_path):
    (tmp_path / "notes.md").write_text("before")
    proposed: list[tuple[str, str]] = []

    def choose(_parent, _title, start, _filters, kind):
        proposed.append((Path(start).name, kind))
        return str(tmp_path / "notes") if len(proposed) == 1 else start, MARKDOWN

    monkeypatch.setattr(QFileDialog, "getSaveFileName", choose)
    assert file_to_save(None, "Export", tmp_path / "first.html", KINDS) == tmp_path / "notes.md"
    assert proposed == [("first.html", ""), ("notes.md", MARKDOWN)], "the second time it asks before it replaces"
