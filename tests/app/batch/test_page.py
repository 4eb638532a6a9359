"""A file is opened, looked at, corrected, run, compared, exported, and gone on with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec import structs
from PySide6.QtCore import Qt
from PySide6.QtGui import QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QFileDialog, QLabel
from pytestqt.qtbot import QtBot

from baton_reasoning.app.batch.evidence import Figures
from baton_reasoning.app.batch.page import BatchPage
from baton_reasoning.app.batch.regrade_dialog import RegradeDialog
from baton_reasoning.app.batch.row_order import Mark, ResultColumn, RowFilter, mark_of
from baton_reasoning.app.batch.run_window import RunWindow
from baton_reasoning.app.batch.welcome import BatchWelcome
from baton_reasoning.app.inspector.panel import Inspector
from baton_reasoning.app.session.loaded_models import LoadState
from baton_reasoning.app.toolkit.background import StreamTask
from baton_reasoning.app.toolkit.controls import IconButton
from baton_reasoning.app.toolkit.figure_table import FigureTable
from baton_reasoning.app.toolkit.theme import DARK, apply
from baton_reasoning.core.batch.reporting.report import Report
from baton_reasoning.core.batch.reporting.tables import main_tables, more_tables
from baton_reasoning.core.batch.running.arms import Arm
from baton_reasoning.core.errors import Busy, EngineLost, ModelFileError, StoreError
from baton_reasoning.core.grading.grader import Grader
from baton_reasoning.core.grading.verdict import How
from baton_reasoning.core.run import Pair
from baton_reasoning.core.settings import ColourScheme
from baton_reasoning.core.store.batches import Batch, StoredArm
from tests.app.batch.conftest import ScriptedLoader
from tests.core.batch.data_hub import DataHub
from tests.core.batch.noted import NOTES, noted_report
from tests.fakes.scripted import Fault

pytestmark = pytest.mark.slow


def preview(page: BatchPage, qtbot: QtBot, path: Path) -> None:
    with qtbot.waitSignal(page.session.read):
        page.open_file(path)


def run(page: BatchPage, qtbot: QtBot, path: Path, *arms: str) -> None:
    preview(page, qtbot, path)
    for name, box in page.preview.arms.items():
        box.setChecked(name in arms)
    page.preview.start.click()
    wait_until_done(page, qtbot)


def wait_until_done(page: BatchPage, qtbot: QtBot) -> None:
    """No errand is left: nothing is opened, run or reported."""
    qtbot.waitUntil(lambda: not page.session.findChildren(StreamTask) and not page.session.running)


def reported(page: BatchPage, qtbot: QtBot, path: Path, *arms: str) -> Report:
    """Run the arms and return the last report."""
    reports: list[Report] = []
    page.session.reported.connect(reports.append)
    run(page, qtbot, path, *arms)
    return reports[-1]


def marks(page: BatchPage) -> list[str]:
    model = page.view.model
    return [model.index(row, ResultColumn.MARK).data() for row in range(model.rowCount())]


def test_an_opened_file_shows_its_columns_and_first_problems(page: BatchPage, qtbot: QtBot, problem_file: Path) -> None:
    preview(page, qtbot, problem_file)
    shown = page.preview
    assert page.currentWidget() is shown
    assert (shown.problem.currentText(), shown.answer.currentText(), shown.identity.currentText()) == (
        "question",
        "answer",
        "id",
    )
    assert shown.count.text() == "Read 6 problems, with an answer each."
    assert "Other columns are kept as metadata: other." in shown.notes.toPlainText()
    assert shown.start.isEnabled()
    assert shown.ungraded.isHidden()
    assert shown.rows.item(5, 1).text() == "Count to 5."


def test_the_number_of_answers_is_shown_before_the_start(page: BatchPage, qtbot: QtBot, problem_file: Path) -> None:
    preview(page, qtbot, problem_file)
    shown = page.preview
    problems = len(shown.found.problems) if shown.found else 0
    assert shown.amount.text() == f"{problems} problems × 3 policies = {3 * problems} answers"
    shown.seeds.setValue(2)
    shown.limit.setValue(2)
    shown.arms["large"].setChecked(False)
    assert shown.amount.text() == "2 problems × 2 policies × 2 seeds = 8 answers"


def test_a_wrong_guess_is_corrected_with_a_combo_box_also_after_a_file_that_cannot_be_read(
    page: BatchPage, qtbot: QtBot, problem_file: Path, tmp_path: Path
) -> None:
    preview(page, qtbot, problem_file)
    damaged = tmp_path / "damaged.json"
    damaged.write_text("{")
    with qtbot.waitSignal(page.session.failed):
        page.open_file(damaged)
    with qtbot.waitSignal(page.session.read):
        page.preview.answer.setCurrentText("other")
        page.preview.answer.activated.emit(page.preview.answer.currentIndex())
    assert page.preview.rows.item(0, 2).text() == "7"
    assert page.preview.answer.currentText() == "other"


def test_a_file_that_cannot_be_read_is_told_in_words(page: BatchPage, qtbot: QtBot, tmp_path: Path) -> None:
    (tmp_path / "empty.csv").write_text("")
    with qtbot.waitSignal(page.failed) as failure:
        page.open_file(tmp_path / "empty.csv")
    assert "empty" in str(failure.args[0])
    assert page.currentWidget() is page.welcome


def test_a_file_without_answers_runs_only_when_a_person_says_so(
    page: BatchPage, qtbot: QtBot, tmp_path: Path, problem_file: Path
) -> None:
    (tmp_path / "open.jsonl").write_text('{"problem": "Count to 1."}\n{"problem": "Count to 2."}\n')
    preview(page, qtbot, tmp_path / "open.jsonl")
    shown = page.preview
    assert shown.count.text() == "Read 2 problems, 0 with an answer, 2 cannot be graded."
    assert not shown.start.isEnabled()
    shown.ungraded.click()
    assert shown.start.isEnabled()
    preview(page, qtbot, tmp_path / "open.jsonl")
    assert not shown.start.isEnabled(), "each file is asked about"
    preview(page, qtbot, problem_file)
    assert shown.start.isEnabled()


def test_a_batch_is_begun_as_from_the_terminal(
    page: BatchPage, qtbot: QtBot, problem_file: Path, tmp_path: Path
) -> None:
    preview(page, qtbot, problem_file)
    page.preview.seeds.setValue(2)
    page.preview.start.click()
    wait_until_done(page, qtbot)
    with qtbot.waitSignal(page.saved):
        page.session.export(tmp_path / "report.json")
    report = json.loads((tmp_path / "report.json").read_text("utf-8"))
    assert report["seed_numbers"] == [0, 1], "so that baton batch again can repeat it"
    assert report["provenance"]["small"] == "demo:small"
    assert report["provenance"]["cores"] > 0


def test_an_arm_with_the_settings_of_another_is_not_run_again(
    page: BatchPage, qtbot: QtBot, problem_file: Path
) -> None:
    run(page, qtbot, problem_file, "small", "chosen")
    with qtbot.waitSignal(page.noticed) as noticed:
        page.view.evidence.comparison.arm_wanted.emit("n1")
    assert noticed.args == ["“n1 = 16” has the same settings as “Current settings”, which runs once."]
    wait_until_done(page, qtbot)
    assert page.session.progress.total.jobs == page.view.model.rowCount() == 24, (
        "two arms at first, two more values of n1"
    )
    assert "n1 = 32" in [row[0] for row in page.view.evidence.comparison.tables.shown[0].rows]


def test_every_problem_gets_its_mark_and_results_are_exported(
    page: BatchPage, qtbot: QtBot, problem_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(page, qtbot, problem_file, "small")
    assert marks(page) == ["✓", "✗"] * 3
    assert page.view.status.text() == "6 / 6"
    for ending in (".csv", ".html"):
        with qtbot.waitSignal(page.saved):
            page.session.export(tmp_path / f"out{ending}")
        assert (tmp_path / f"out{ending}").stat().st_size > 0
    other = tmp_path / "run-1.csv"
    other.write_text("mine")
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "run-1.7B"), ""))
    with qtbot.waitSignal(page.session.exported) as exported:
        page.view._export(".csv")
    assert exported.args == [tmp_path / "run-1.7B.csv"]
    assert other.read_text() == "mine", "no file is replaced but the chosen one"


def words_of(figures: Figures) -> str:
    return " ".join(each.text() for each in figures.findChildren(QLabel) if each.isVisibleTo(figures))


def test_figures_and_charts_tell_what_the_report_says(page: BatchPage, qtbot: QtBot, problem_file: Path) -> None:
    report = reported(page, qtbot, problem_file, "small", "large")
    view = page.view
    view.arm.setCurrentText("Small only")
    assert "50.0% correct (18.8–81.2)" in words_of(view.figures)
    assert view.sentence.text() == "Small alone: 50% right; large alone 100%."
    assert report.main == "small"
    comparison = view.evidence.comparison
    assert comparison.tables.shown == [*main_tables(report, "small")]
    assert comparison.more_tables.shown == [*more_tables(report)]
    assert not comparison.more_tables.isVisibleTo(comparison)
    comparison.more.click()
    assert comparison.more_tables.isVisibleTo(comparison)
    assert "Small only 50% at 0" in view.evidence.share.picture.accessibleDescription()
    view.arm.setCurrentText("Large only")
    assert comparison.tables.shown == [*main_tables(report, "large")]
    assert " s to the end (p95 " in words_of(view.figures)
    assert "handoffs" not in words_of(view.figures)
    view.arm.setCurrentIndex(0)
    view.shown.setCurrentIndex(view.shown.findData(RowFilter.DISAGREEMENTS))
    assert [view.model.row_at(row).position for row in range(6)] == [1, 1, 3, 3, 5, 5]


def test_figures_tell_of_handoffs(page: BatchPage, qtbot: QtBot, problem_file: Path) -> None:
    report = reported(page, qtbot, problem_file, "large")
    figures = page.view.figures
    figures.show_arm(report.arms[0].model_copy(update={"handoffs": 18, "small_reread": 12}))
    assert "3.0 handoffs, 2 read again" in [caption.toolTip() for caption in figures.findChildren(QLabel)]
    figures.show_arm(None)
    assert "– s to the end" in words_of(figures)


def test_every_note_of_the_report_stands_beside_the_charts(page: BatchPage) -> None:
    assert page.session.store
    card = page.view.evidence.comparison
    with Grader() as grader:
        card.show_report(noted_report(page.session.store, grader), "small")
    told = "\n".join([card.notes.text(), *(each.notes.text() for each in card.findChildren(FigureTable))])
    assert [note for note in NOTES if note not in told] == []


def test_a_chart_has_the_colours_of_the_theme_and_is_saved_in_those_of_print(
    page: BatchPage, qtbot: QtBot, problem_file: Path, tmp_path: Path, qapp: QApplication
) -> None:
    run(page, qtbot, problem_file, "small", "large")
    page.show()
    evidence = page.view.evidence
    apply(qapp, ColourScheme.DARK)
    try:
        assert evidence.share.picture.grab().toImage().pixelColor(2, 2).name() == DARK.surface
        for chart in (evidence.share, evidence.reasons):
            chart.save(tmp_path / "chart.png")
            saved = QImage(str(tmp_path / "chart.png"))
            assert (saved.width(), saved.pixelColor(2, 2).name()) == (1280, "#ffffff")
    finally:
        apply(qapp, ColourScheme.LIGHT)
    with pytest.raises(StoreError, match="cannot be written"):
        evidence.share.save(tmp_path / "missing" / "chart.png")


def test_a_narrow_window_shows_table_or_charts(page: BatchPage, qtbot: QtBot, problem_file: Path) -> None:
    run(page, qtbot, problem_file, "small")
    page.resize(900, 700)
    page.show()
    view = page.view
    assert (view.table.isVisible(), view.evidence.isVisible()) == (True, False)
    view.charts.click()
    assert (view.table.isVisible(), view.evidence.isVisible()) == (False, True)
    page.resize(1400, 900)
    assert (view.table.isVisible(), view.evidence.isVisible()) == (True, True)


def test_answers_are_graded_again_in_another_way(page: BatchPage, qtbot: QtBot, problem_file: Path) -> None:
    run(page, qtbot, problem_file, "small")
    page.view.regrade.click()
    (dialog,) = page.findChildren(RegradeDialog)
    dialog.how.setCurrentIndex(dialog.how.findData(How.REGEX))
    dialog.pattern.setText("(")
    assert "is not valid" in dialog.message.text()
    assert not dialog.grade.isEnabled()
    dialog.pattern.setText("boxed.[024]")
    with qtbot.waitSignal(page.noticed) as noticed:
        dialog.grade.click()
    assert noticed.args == ["6 answers were graded again: 0 were found differently, 2 have another verdict."]
    wait_until_done(page, qtbot)
    assert marks(page) == ["✓", "✓", "✓", "✓", "✓", "✗"]


def test_a_system_prompt_of_the_batch_reaches_every_arm(page: BatchPage, qtbot: QtBot, problem_file: Path) -> None:
    preview(page, qtbot, problem_file)
    page.preview.system.setText("Be brief.")
    page.preview.start.click()
    wait_until_done(page, qtbot)
    page.view.evidence.comparison.arm_wanted.emit("random")
    wait_until_done(page, qtbot)
    assert page.session.batch
    arms = [Arm.of(stored).settings.system for stored in page.session.batch.arms]
    assert arms == ["Be brief."] * 4


def test_other_large_models_are_arms_that_run_one_after_another(
    page: BatchPage, qtbot: QtBot, problem_file: Path, loader: ScriptedLoader
) -> None:
    preview(page, qtbot, problem_file)
    for name, box in page.preview.arms.items():
        box.setChecked(name == "small")
    page.preview.show_larges(["/models/Big-14B.gguf", "/models/Big-32B.gguf"])
    page.preview.start.click()
    wait_until_done(page, qtbot)
    assert loader.large == ["", "/models/Big-14B.gguf", "/models/Big-32B.gguf", ""], "at last the chat's own again"
    assert [arm.name for arm in page.session.batch.arms] == ["small", "chosen, Big-14B", "chosen, Big-32B"]  # type: ignore[union-attr]
    assert page.session.progress.total.done == 18


def test_a_guide_that_cannot_be_loaded_is_told_and_the_chat_keeps_its_models(
    page: BatchPage, qtbot: QtBot, problem_file: Path, loader: ScriptedLoader
) -> None:
    loader.missing = "/models/Big.gguf"
    preview(page, qtbot, problem_file)
    page.preview.show_larges(["/models/Big.gguf"])
    with qtbot.waitSignal(page.failed) as failure:
        page.preview.start.click()
    assert "Big.gguf is not there" in str(failure.args[0])
    qtbot.waitUntil(lambda: page.session.models.state is LoadState.READY)
    assert loader.large[-1] == ""
    assert page.session.progress.to_run("large, Big") == 6


def test_a_closed_batch_is_found_again_and_goes_on(page: BatchPage, qtbot: QtBot, problem_file: Path) -> None:
    preview(page, qtbot, problem_file)
    session = page.session
    stopping = session.events.connect(lambda _: session.stop())
    page.preview.start.click()
    wait_until_done(page, qtbot)
    session.events.disconnect(stopping)
    page.view.left.emit()
    assert session.batch
    with qtbot.waitSignal(session.opened):
        page.welcome.batch_wanted.emit(session.batch.id)
    session.start()
    wait_until_done(page, qtbot)
    assert Mark.WAITING not in {mark_of(page.view.model.row_at(row)) for row in range(page.view.model.rowCount())}
    assert page.session.progress.total.done == page.session.progress.total.jobs


def test_while_a_batch_runs_no_other_is_begun_and_it_is_not_deleted(
    page: BatchPage, qtbot: QtBot, problem_file: Path
) -> None:
    preview(page, qtbot, problem_file)
    with qtbot.waitSignal(page.session.opened):
        page.preview.start.click()
    with qtbot.waitSignal(page.failed) as failure:
        page.preview.start.click()
    assert "“counting” is running" in str(failure.args[0])
    assert page.session.batch
    with pytest.raises(Busy, match="is running"):
        page.session.delete(page.session.batch, lambda: None)
    page.session.stop()
    wait_until_done(page, qtbot)


def test_errors_alone_are_tried_again_and_stay_while_the_models_cannot_be_loaded(
    page: BatchPage, qtbot: QtBot, problem_file: Path, loader: ScriptedLoader
) -> None:
    def refuse(*_: object) -> Iterator[Pair]:
        yield from ()
        raise ModelFileError("small.gguf is not there.", "Choose another file.")

    loader.faults = [Fault(3, EngineLost("The model's process ended."))]
    run(page, qtbot, problem_file, "small")
    page.session.parallel += 1  # so that the models are loaded again
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ScriptedLoader, "__call__", refuse)
        with qtbot.waitSignal(page.failed) as failure:
            page.view.retry.click()
    assert "small.gguf is not there." in str(failure.args[0])
    assert (marks(page).count("error"), page.view.retry.text()) == (1, "Retry 1 error")
    assert page.session.store
    assert page.session.batch
    errors = [row.error for row in page.session.store.batches.results(page.session.batch.id) if row.error]
    assert errors == ["The model's process ended."]
    loader.faults = []
    page.view.retry.click()
    wait_until_done(page, qtbot)
    assert sorted(marks(page)) == sorted(["✓", "✗"] * 3)


def test_a_row_whose_run_has_a_setting_that_is_no_longer_known_opens(
    page: BatchPage, qtbot: QtBot, problem_file: Path
) -> None:
    run(page, qtbot, problem_file, "small")
    assert page.session.store
    row, problem = page.view.model.row_at(0), page.view.model.problem_at(0)
    trace = page.session.store.runs.trace(row.run)
    assert trace.started
    policy = {**trace.started.settings["policy"], "abolished": 3}
    trace.started = structs.replace(trace.started, settings={**trace.started.settings, "policy": policy})
    window = RunWindow(row, problem, lambda _: trace, page.view.model, page)
    assert window.exchange.settings.policy.policy == "never"
    window.close()


def test_a_row_opens_with_all_its_steps_and_keys_lead_to_the_next_of_the_table_as_it_is_sorted(
    page: BatchPage, qtbot: QtBot, problem_file: Path
) -> None:
    run(page, qtbot, problem_file, "small")
    page.show()
    page.setCurrentWidget(page.view)
    table, model = page.view.table, page.view.model
    table.sortByColumn(ResultColumn.NUMBER, Qt.SortOrder.DescendingOrder)
    table.setFocus()
    table.setCurrentIndex(model.index(4, 0))
    QTest.keyClick(table, Qt.Key.Key_Return)
    (window,) = page.findChildren(RunWindow)
    assert window.windowTitle() == "p1 · Small only"
    assert isinstance(window.inspector, Inspector)
    command = window.inspector.run.command
    qtbot.waitUntil(lambda: "baton solve 'Count to 1.'" in command.toPlainText())
    qtbot.waitUntil(window.isActiveWindow)
    QTest.keyClick(window, Qt.Key.Key_F8)
    assert window.windowTitle() == "p0 · Small only"
    assert "Count to 0." in command.toPlainText()
    assert table.currentIndex().row() == 5
    assert not window.next.isEnabled()
    QTest.keyClick(window, Qt.Key.Key_F8)
    assert window.windowTitle() == "p0 · Small only", "there is none below"
    QTest.keyClick(window, Qt.Key.Key_F8, Qt.KeyboardModifier.ShiftModifier)
    qtbot.mouseClick(window.previous, Qt.MouseButton.LeftButton)
    assert window.windowTitle() == "p2 · Small only"
    assert "It is so." in window.exchange.trace.text
    assert window.exchange.problem == "Count to 2."
    window.close()


def test_every_control_has_a_name_for_a_screen_reader(page: BatchPage) -> None:
    view, shown = page.view, page.preview
    controls = [view.table, view.arm, view.shown, view.bar, shown.table, shown.problem, shown.answer, shown.parallel]
    assert all(control.accessibleName() for control in controls)


def test_an_earlier_batch_can_be_deleted_and_brought_back(page: BatchPage, qtbot: QtBot, problem_file: Path) -> None:
    run(page, qtbot, problem_file, "small")
    page.view.left.emit()
    assert page.session.store
    (batch,) = page.session.store.batches.all()
    trash = page.welcome.findChild(IconButton)
    assert trash
    assert trash.accessibleName() == f"Delete the batch “{batch.name}”"
    with qtbot.waitSignal(page.deleted) as deleted:
        trash.click()
    assert page.session.store.batches.all() == []
    page.restore(deleted.args[0])
    store = page.session.store
    qtbot.waitUntil(lambda: [kept.id for kept in store.batches.all()] == [batch.id])


def test_a_report_that_is_asked_for_while_one_is_computed_comes_after_it(
    page: BatchPage, qtbot: QtBot, problem_file: Path
) -> None:
    run(page, qtbot, problem_file, "small")
    reports: list[object] = []
    page.session.reported.connect(reports.append)
    for _ in range(3):
        page.session.report()
    wait_until_done(page, qtbot)
    assert len(reports) == 2


def test_a_data_set_of_the_hub_is_read_from_the_address_of_its_page(
    page: BatchPage, qtbot: QtBot, data_hub: DataHub
) -> None:
    data_hub.files = {"test.jsonl": '{"question": "Count to 2.", "answer": "2", "other": "5"}'}
    page.show()
    field = page.welcome.data_set
    field.setFocus()
    QTest.keyClicks(field, "https://huggingface.co/datasets/maths/sums")
    with qtbot.waitSignal(page.session.read):
        qtbot.mouseClick(page.welcome.read_data_set, Qt.MouseButton.LeftButton)
        assert page.welcome.read_data_set.text() == "Reading…"
    assert page.currentWidget() is page.preview
    assert page.preview.rows.item(0, 1).text() == "Count to 2."
    assert "Read test.jsonl of hf:maths/sums@" in page.preview.notes.toPlainText()
    with qtbot.waitSignal(page.session.read):
        page.preview.answer.setCurrentText("other")
        page.preview.answer.activated.emit(page.preview.answer.currentIndex())
    assert page.preview.rows.item(0, 2).text() == "5"


def test_a_data_set_that_cannot_be_read_leaves_its_name_to_be_corrected(
    page: BatchPage, qtbot: QtBot, data_hub: DataHub
) -> None:
    page.show()
    field = page.welcome.data_set
    field.setFocus()
    QTest.keyClicks(field, "maths/products")
    with qtbot.waitSignal(page.failed) as failure:
        QTest.keyClick(field, Qt.Key.Key_Return)
    assert "maths/products" in str(failure.args[0])
    assert page.currentWidget() is page.welcome
    assert (field.text(), page.welcome.read_data_set.text()) == ("maths/products", "Read")
    assert page.welcome.read_data_set.isEnabled()


def test_an_earlier_batch_says_how_far_it_is(qtbot: QtBot) -> None:
    welcome = BatchWelcome()
    qtbot.addWidget(welcome)
    arm = StoredArm("small", {})
    begun = Batch("a", "sums", {}, (arm,), 300, 900, 96, datetime(2026, 11, 26, tzinfo=UTC))
    welcome.show_batches([begun, replace(begun, id="b", done=900)])
    shown = [label.text() for label in welcome.findChildren(QLabel)]
    assert [text for text in shown if text in ("96 of 900", "✓")] == ["96 of 900", "✓"]


def test_the_columns_grow_with_the_text(page: BatchPage, qapp: QApplication) -> None:
    apply(qapp, ColourScheme.LIGHT, 1.5)
    try:
        header = page.view.table.horizontalHeader()
        for column in ResultColumn:
            heading = page.view.model.headerData(column, Qt.Orientation.Horizontal) or ""
            assert header.fontMetrics().horizontalAdvance(heading) + 16 <= header.sectionSize(column), heading
    finally:
        apply(qapp, ColourScheme.LIGHT)
    assert page.view.table.columnWidth(ResultColumn.TIME) == 76
