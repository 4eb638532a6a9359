"""A file is opened, looked at, corrected, run, compared, exported, and gone on with."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QFileDialog, QLabel, QWidget
from pytestqt.qtbot import QtBot

from baton_reasoning.app.batch.execution import BatchActivity
from baton_reasoning.app.batch.folded_parts import Fold, FoldedParts
from baton_reasoning.app.batch.page import BatchPage
from baton_reasoning.app.batch.result_table import FIRST_ARM, Mark, ResultColumn, RowFilter, mark_of
from baton_reasoning.app.batch.results_view import GRADINGS
from baton_reasoning.app.session.loaded_models import LoadState
from baton_reasoning.app.toolkit.background import StreamTask
from baton_reasoning.app.toolkit.controls import IconButton
from baton_reasoning.app.toolkit.theme import DARK, current_theme
from baton_reasoning.core.batch.reporting.report import Report
from baton_reasoning.core.batch.reporting.tables import main_tables, more_tables
from baton_reasoning.core.batch.running.arms import ABLATIONS, ARMS, COMMON_ARMS, Arm
from baton_reasoning.core.batch.running.regrading import Regraded, regrade
from baton_reasoning.core.errors import EngineLost, ModelFileError, StoreError
from baton_reasoning.core.grading.grader import Grader
from baton_reasoning.core.grading.verdict import How
from baton_reasoning.core.run import Pair
from baton_reasoning.core.settings import ColourScheme
from baton_reasoning.core.store.batches import Batch, StoredArm
from baton_reasoning.core.store.store import Store
from tests.app.batch.conftest import ScriptedLoader
from tests.core.batch.noted import NOTES, noted_report
from tests.fakes.scripted import Fault
from tests.patience import PATIENCE

pytestmark = pytest.mark.slow


def preview(page: BatchPage, qtbot: QtBot, path: Path) -> None:
    with qtbot.waitSignal(page.session.read):
        page.open_problems(path)


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
    """The signs in the column of the first policy."""
    model = page.view.model
    found = [model.result_at(model.index(place, FIRST_ARM)) for place in range(model.rowCount())]
    return [mark_of(row).value for row in found if row]


def test_an_opened_file_shows_its_columns_and_first_problems(page, qtbot, problem_file):
    preview(page, qtbot, problem_file)
    shown = page.preview
    assert page.currentWidget() is shown
    assert (shown.problem.currentText(), shown.answer.currentText(), shown.identity.currentText()) == (
        "question",
        "answer",
        "id",
    )
    assert shown.count.text() == "Read 6 problems, with an answer each."
    assert shown.notes.text() == "Other columns are kept as metadata: other.", "the fields above name the columns"
    assert shown.start.isEnabled()
    assert shown.ungraded.isHidden()
    assert shown.table.texts()[5][1] == "Count to 5."


def test_tab_leads_from_the_first_problems_to_the_start(page, qtbot, problem_file):
    page.show()
    qtbot.waitExposed(page)
    preview(page, qtbot, problem_file)
    page.preview.table.setFocus()
    visited = []
    while page.focusWidget() not in visited:
        visited.append(page.focusWidget())
        QTest.keyClick(page.focusWidget(), Qt.Key.Key_Tab)
    assert page.preview.start in visited
    page.resize(760, 700)
    assert page.preview.table.horizontalScrollBar().maximum() == 0, "the expected answers are in view"


def test_the_number_of_answers_is_shown_before_the_start(page, qtbot, problem_file):
    preview(page, qtbot, problem_file)
    shown = page.preview
    problems = len(shown.found.problems) if shown.found else 0
    assert shown.amount.text() == f"{problems} problems × 3 policies = {3 * problems} answers"
    shown.seeds.setValue(2)
    shown.limit.setValue(2)
    shown.arms["large"].setChecked(False)
    assert shown.amount.text() == "2 problems × 2 policies × 2 seeds = 8 answers"


def test_a_wrong_guess_is_corrected_with_a_combo_box_also_after_a_file_that_cannot_be_read(
    page, actions, qtbot, problem_file, tmp_path
):
    preview(page, qtbot, problem_file)
    damaged = tmp_path / "damaged.json"
    damaged.write_text("{")
    with qtbot.waitSignal(actions.failed):
        page.open_problems(damaged)
    with qtbot.waitSignal(page.session.read):
        page.preview.answer.setCurrentText("other")
        page.preview.answer.activated.emit(page.preview.answer.currentIndex())
    assert page.preview.table.texts()[0][2] == "7"
    assert page.preview.answer.currentText() == "other"


def test_a_file_that_cannot_be_read_is_told_in_words(page, actions, qtbot, tmp_path):
    (tmp_path / "empty.csv").write_text("")
    with qtbot.waitSignal(actions.failed) as failure:
        page.open_problems(tmp_path / "empty.csv")
    assert "empty" in str(failure.args[0])
    assert page.currentWidget() is page.welcome


def test_a_file_without_answers_runs_only_when_a_person_says_so(page, qtbot, tmp_path, problem_file):
    (tmp_path / "open.jsonl").write_text('{"problem": "Count to 1."}\n{"problem": "Count to 2."}\n')
    preview(page, qtbot, tmp_path / "open.jsonl")
    shown = page.preview
    assert shown.count.text() == "Read 2 problems, 0 with an answer, 2 cannot be graded."
    assert not shown.start.isEnabled()
    assert "No problem has an answer" in shown.reason.text()
    shown.ungraded.click()
    assert shown.start.isEnabled()
    preview(page, qtbot, tmp_path / "open.jsonl")
    assert not shown.start.isEnabled(), "each file is asked about"
    preview(page, qtbot, problem_file)
    assert shown.start.isEnabled()


def test_a_batch_is_begun_as_from_the_terminal(page, actions, qtbot, problem_file, tmp_path):
    preview(page, qtbot, problem_file)
    page.preview.seeds.setValue(2)
    page.preview.start.click()
    wait_until_done(page, qtbot)
    with qtbot.waitSignal(actions.saved):
        page.session.export(tmp_path / "report.json")
    report = json.loads((tmp_path / "report.json").read_text("utf-8"))
    assert report["seed_numbers"] == [0, 1], "so that baton batch again can repeat it"
    assert report["provenance"]["small"] == "demo:small"
    assert report["provenance"]["cores"] > 0


def test_an_arm_with_the_settings_of_another_is_not_run_again(page, actions, qtbot, problem_file):
    run(page, qtbot, problem_file, "small", "chosen")
    with qtbot.waitSignal(actions.said) as noticed:
        page._add_arms(["n1"])
    assert noticed.args == ["“n1 = 16” has the same settings as “Current settings”, which runs once."]
    wait_until_done(page, qtbot)
    assert page.session.progress.total.jobs == 24, "two arms at first, two more values of n1"
    assert page.view.model.arms == ["chosen", "small", "n1 = 8", "n1 = 32"]
    assert "n1 = 32" in [row[0] for row in page.view.folded.tests.shown[0].rows]


def test_every_problem_gets_its_mark_and_results_are_exported(
    page, actions, qtbot, problem_file, tmp_path, monkeypatch
):
    run(page, qtbot, problem_file, "small")
    assert marks(page) == ["✓", "✗"] * 3
    assert page.view.status.text() == "6 / 6"
    for ending in (".csv", ".html"):
        with qtbot.waitSignal(actions.saved):
            page.session.export(tmp_path / f"out{ending}")
        assert (tmp_path / f"out{ending}").stat().st_size > 0
    other = tmp_path / "run-1.csv"
    other.write_text("mine")
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "run-1.7B"), ""))
    with qtbot.waitSignal(actions.saved) as exported:
        page.view._export(".csv")
    assert exported.args == [tmp_path / "run-1.7B.csv"]
    assert other.read_text() == "mine", "no file is replaced but the chosen one"


def test_sentence_chart_and_folded_parts_tell_what_the_report_says(page, qtbot, problem_file):
    report = reported(page, qtbot, problem_file, "small", "large")
    view = page.view
    assert view.sentence.text() == "Small alone: 50% right; large alone 100%."
    assert view.summary.text().startswith("6 problems, 2 policies, done in ")
    assert view.summary.toolTip().startswith("counting: 6 problems, 1 seed, 8 at once;")
    assert "Small only 50% at 0" in view.share.picture.accessibleDescription()
    folded = view.folded
    assert not any(folded.is_open(fold) for fold in Fold)
    assert folded.tests.shown + folded.times.shown == [
        *main_tables(report),
        more_tables(report)[-1],
        *more_tables(report)[:-1],
    ]
    folded.heads[Fold.TESTS].click()
    assert folded.tests.isVisibleTo(view)
    assert folded.heads[Fold.TESTS].accessibleName() == "Hide: Paired tests and intervals"
    folded.heads[Fold.TESTS].click()
    assert not folded.tests.isVisibleTo(view)


def test_what_is_opened_below_the_fold_is_scrolled_to(page, qtbot, problem_file):
    page.show()
    page.resize(760, 500)

    def wait_for_view(part: QWidget) -> None:
        """Of all of it or, where it is higher than the page, of its beginning."""

        def is_in_view() -> bool:
            shown = part.visibleRegion().boundingRect()
            return shown.top() == 0 and shown.height() >= min(part.height(), 100)

        qtbot.waitUntil(is_in_view)

    preview(page, qtbot, problem_file)
    page.preview.more.click()
    wait_for_view(page.preview._others)
    run(page, qtbot, problem_file, "small", "every-step")
    folded = page.view.folded
    for fold in (Fold.TESTS, Fold.WORTH, Fold.TIMES):
        folded.heads[fold].click()
        wait_for_view(folded.bodies[fold])
        folded.heads[fold].click()


def test_titles_of_policies_are_whole_where_there_is_room(page, qtbot, problem_file):
    page.resize(1280, 800)
    page.show()
    run(page, qtbot, problem_file, "small", "large", "baton", "random")
    header = page.view.table.horizontalHeader()
    for column in range(FIRST_ARM, header.count()):
        title = page.view.model.headerData(column, Qt.Orientation.Horizontal)
        assert header.fontMetrics().horizontalAdvance(title) + 16 <= header.sectionSize(column), title
    assert page.view.table.horizontalScrollBar().maximum() == 0


def test_takeovers_are_counted_once_a_person_looks_at_them(page, qtbot, problem_file):
    run(page, qtbot, problem_file, "small", "every-step")
    folded = page.view.folded
    assert folded.takeovers.shown == []
    folded.heads[Fold.WORTH].click()
    qtbot.waitUntil(lambda: bool(folded.takeovers.shown))
    (table,) = folded.takeovers.shown
    assert table.headings == ("reason", "takeovers", "right", "wrong", "% right"), "no cue led to any of them"
    assert "Opening by the large model" in [row[0] for row in table.rows]


def test_every_note_of_the_report_stands_in_the_folded_parts(page, qtbot):
    folded = FoldedParts()
    qtbot.addWidget(folded)
    with Grader() as grader:
        folded.show_report(noted_report(page.session.store, grader))
    told = "\n".join(each.text() for each in folded.findChildren(QLabel))
    assert [note for note in NOTES if note not in told] == []
    assert folded.heads[Fold.NOTES].text() == f"▸ Notes ({len(folded.notes.text().splitlines())})"


def test_a_finished_batch_has_no_dead_buttons(page, qtbot, problem_file):
    run(page, qtbot, problem_file, "small")
    page.show()
    view = page.view
    assert not any(each.isVisible() for each in (view.run, view.stop, view.retry, view.bar, view.status))


def test_rows_are_filtered_by_what_went_wrong_and_where_policies_differ(page, qtbot, problem_file):
    run(page, qtbot, problem_file, "small", "large")
    view = page.view
    assert [view.filters[each].text() for each in RowFilter] == [
        "all",
        "what Small only got wrong (3)",
        "where policies differ (3)",
    ]
    view.filters[RowFilter.DIFFERENT].click()
    assert [view.model.problem_at(place).id for place in range(view.model.rowCount())] == ["p1", "p3", "p5"]
    view.filters[RowFilter.ALL].click()
    assert view.model.rowCount() == 6


def test_a_chart_has_the_colours_of_the_theme_and_is_saved_in_those_of_print(page, qtbot, problem_file, tmp_path, qapp):
    run(page, qtbot, problem_file, "small", "large")
    page.show()
    chart = page.view.share
    current_theme().use(ColourScheme.DARK)
    try:
        assert chart.picture.grab().toImage().pixelColor(2, 2).name() == DARK.surface
        chart.save(tmp_path / "chart.png")
        saved = QImage(str(tmp_path / "chart.png"))
        assert (saved.width(), saved.pixelColor(2, 2).name()) == (1280, "#ffffff")
    finally:
        current_theme().use(ColourScheme.LIGHT)
    with pytest.raises(StoreError, match="cannot be written"):
        chart.save(tmp_path / "missing" / "chart.png")


def test_in_a_narrow_window_chart_and_table_stand_below_each_other(page, qtbot, problem_file):
    run(page, qtbot, problem_file, "small", "large")
    page.show()
    view = page.view
    page.resize(800, 700)
    assert view._split.orientation() is Qt.Orientation.Vertical
    assert view.table.isVisible()
    assert view.share.isVisible()
    page.resize(1400, 900)
    assert view._split.orientation() is Qt.Orientation.Horizontal


def test_answers_are_graded_again_and_a_grading_that_is_stopped_changes_nothing(
    page, actions, qtbot, tmp_path, monkeypatch
):
    halves = tmp_path / "halves.csv"
    halves.write_text("question,answer\nCount to 0.,0.0\nCount to 2.,2\n")
    run(page, qtbot, halves, "small")
    gate = threading.Event()

    def held(store: Store, batch: str, grader: Grader, how: How) -> Iterator[Regraded]:
        for graded in regrade(store, batch, grader, how):
            yield graded
            gate.wait(PATIENCE)

    monkeypatch.setattr("baton_reasoning.app.batch.session.regrade", held)
    by_text = next(action for action in page.view.regrade.actions() if action.text() == GRADINGS[How.EXACT])
    by_text.trigger()
    qtbot.waitUntil(lambda: page.view.status.text() == "graded again: 1 / 2")
    page.view.left.emit()
    page.session.open(page.session.batch.id)
    assert page.session.activity is BatchActivity.REGRADING, "also when it is opened again"
    with qtbot.waitSignal(actions.said) as said:
        page.view.stop.click()
        gate.set()
    assert said.args == ["The grading was stopped, and has changed nothing."]
    assert marks(page) == ["✓", "✓"]
    with qtbot.waitSignal(actions.said) as said:
        by_text.trigger()
    assert said.args[0].startswith("2 answers were graded again: 0 were found differently, 1 ")
    assert marks(page) == ["✗", "✓"]
    assert len(page.view.regrade.actions()) == len(How) - 1, "a pattern of one's own is for the terminal"


def test_a_system_prompt_of_the_batch_reaches_every_arm(page, qtbot, problem_file):
    preview(page, qtbot, problem_file)
    page.preview.system.setText("Be brief.")
    page.preview.start.click()
    wait_until_done(page, qtbot)
    page.view.arm_wanted.emit("random")
    wait_until_done(page, qtbot)
    assert page.session.batch
    arms = [Arm.of(stored).settings.system for stored in page.session.batch.arms]
    assert arms == ["Be brief."] * 4


def test_other_large_models_are_arms_that_run_one_after_another(page, qtbot, problem_file, loader):
    preview(page, qtbot, problem_file)
    for name, box in page.preview.arms.items():
        box.setChecked(name == "small")
    page.preview.show_larges(["/models/Big-14B.gguf", "/models/Big-32B.gguf"])
    page.preview.start.click()
    wait_until_done(page, qtbot)
    assert loader.large == ["", "/models/Big-14B.gguf", "/models/Big-32B.gguf", ""], "at last the chat's own again"
    assert [arm.name for arm in page.session.batch.arms] == ["small", "chosen, Big-14B", "chosen, Big-32B"]
    assert page.session.progress.total.done == 18


def test_a_guide_that_cannot_be_loaded_is_told_and_the_chat_keeps_its_models(
    page, actions, qtbot, problem_file, loader
):
    loader.missing = "/models/Big.gguf"
    preview(page, qtbot, problem_file)
    page.preview.show_larges(["/models/Big.gguf"])
    with qtbot.waitSignal(actions.failed) as failure:
        page.preview.start.click()
    assert "Big.gguf is not there" in str(failure.args[0])
    qtbot.waitUntil(lambda: page.session.models.state is LoadState.READY)
    assert loader.large[-1] == ""
    assert page.session.progress.to_run("large, Big") == 6


def test_a_closed_batch_is_found_again_and_goes_on(page, qtbot, problem_file):
    preview(page, qtbot, problem_file)
    session = page.session
    stopping = session.rows_changed.connect(lambda *_: session.stop())
    page.preview.start.click()
    wait_until_done(page, qtbot)
    session.rows_changed.disconnect(stopping)
    page.view.left.emit()
    assert session.batch
    with qtbot.waitSignal(session.opened):
        page.session.open(session.batch.id)
    session.start()
    wait_until_done(page, qtbot)
    assert Mark.WAITING.value not in marks(page)
    assert page.session.progress.total.done == page.session.progress.total.jobs


def test_while_a_batch_runs_no_other_is_begun_and_it_is_not_deleted(page, actions, qtbot, problem_file):
    preview(page, qtbot, problem_file)
    with qtbot.waitSignal(page.session.opened):
        page.preview.start.click()
    assert not page.preview.start.isEnabled()
    assert page.preview.reason.text() == "“counting” is running."
    with qtbot.waitSignal(actions.failed) as failure:
        page._start()
    assert "“counting” is running" in str(failure.args[0])
    assert page.session.batch
    with qtbot.waitSignal(actions.failed) as failure:
        page.session.delete(page.session.batch)
    assert "is running" in str(failure.args[0])
    page.session.stop()
    wait_until_done(page, qtbot)
    assert page.preview.start.isEnabled()


def test_errors_alone_are_tried_again_and_stay_while_the_models_cannot_be_loaded(
    page, actions, qtbot, problem_file, loader
):
    def refuse(*_: object) -> Iterator[Pair]:
        yield from ()
        raise ModelFileError("small.gguf is not there.", "Choose another file.")

    loader.faults = [Fault(3, EngineLost("The model's process ended."))]
    run(page, qtbot, problem_file, "small")
    page.session.progress.parallel += 1  # so that the models are loaded again
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ScriptedLoader, "__call__", refuse)
        with qtbot.waitSignal(actions.failed) as failure:
            page.view.retry.click()
    assert "small.gguf is not there." in str(failure.args[0])
    assert (marks(page).count("error"), page.view.retry.text()) == (1, "Retry 1 error")
    assert page.session.batch
    errors = [row.error for row in page.session.store.batches.results(page.session.batch.id) if row.error]
    assert errors == ["The model's process ended."]
    loader.faults = []
    page.view.retry.click()
    wait_until_done(page, qtbot)
    assert sorted(marks(page)) == sorted(["✓", "✗"] * 3)


def test_every_control_has_a_name_for_a_screen_reader(page):
    view, shown = page.view, page.preview
    controls = [view.table, view.bar, view.answer.next, shown.table, shown.problem, shown.answer, shown.parallel]
    assert all(control.accessibleName() for control in controls)


def test_an_earlier_batch_can_be_deleted_and_brought_back(page, actions, qtbot, problem_file):
    run(page, qtbot, problem_file, "small")
    page.view.left.emit()
    (batch,) = page.session.store.batches.all()
    trash = page.welcome.findChild(IconButton)
    assert trash
    assert trash.accessibleName() == f"Delete the batch “{batch.name}”"
    with qtbot.waitSignal(actions.deleted) as deleted:
        trash.click()
    assert page.session.store.batches.all() == []
    assert page.welcome._rows == {}
    name, undo = deleted.args
    assert name == batch.name
    undo()
    qtbot.waitUntil(lambda: list(page.welcome._rows) == [batch.id])
    assert [kept.id for kept in page.session.store.batches.all()] == [batch.id]


def test_a_report_that_is_asked_for_while_one_is_computed_comes_after_it(page, qtbot, problem_file):
    run(page, qtbot, problem_file, "small")
    reports: list[object] = []
    page.session.reported.connect(reports.append)
    for _ in range(3):
        page.session.report()
    wait_until_done(page, qtbot)
    assert len(reports) == 2


def test_an_earlier_batch_says_how_far_it_is(page):
    arm = StoredArm("small", {})
    begun = Batch("a", "sums", {}, (arm,), 300, 900, 96, datetime(2026, 11, 26, tzinfo=UTC))
    page.welcome.show_batches([begun, replace(begun, id="b", done=900)])
    shown = [label.text() for label in page.welcome.findChildren(QLabel)]
    assert [text for text in shown if text in ("96 of 900", "✓")] == ["96 of 900", "✓"]


def test_the_columns_grow_with_the_text(page, qtbot, problem_file, qapp):
    run(page, qtbot, problem_file, "small", "large")
    current_theme().use(ColourScheme.LIGHT, 1.5)
    try:
        header = page.view.table.horizontalHeader()
        for column in (ResultColumn.NUMBER, ResultColumn.EXPECTED, FIRST_ARM):
            heading = page.view.model.headerData(column, Qt.Orientation.Horizontal)
            assert header.fontMetrics().horizontalAdvance(heading) + 16 <= header.sectionSize(column), heading
    finally:
        current_theme().use(ColourScheme.LIGHT)


def test_the_problem_keeps_its_share_of_the_width_whatever_the_number_of_policies(page, qtbot, problem_file):
    page.show()
    run(page, qtbot, problem_file, "small", "large")
    table = page.view.table
    width = table.columnWidth(ResultColumn.PROBLEM)
    page._add_arms(["baton", "every-step", "random"])
    wait_until_done(page, qtbot)
    assert len(page.view.model.arms) == 5
    assert table.columnWidth(ResultColumn.PROBLEM) == width


def test_four_policies_are_offered_and_the_rest_behind_more(page, qtbot, problem_file):
    page.show()
    preview(page, qtbot, problem_file)
    shown = page.preview

    def offered() -> list[str]:
        return [name for name, box in shown.arms.items() if box.isVisible()]

    assert sorted(offered()) == sorted(COMMON_ARMS)
    shown.more.click()
    assert offered() == list(ARMS)
    assert not set(ABLATIONS) & shown.arms.keys()


def test_a_start_that_is_not_possible_says_why(page, qtbot, problem_file):
    preview(page, qtbot, problem_file)
    shown = page.preview
    assert (shown.start.isEnabled(), shown.reason.text()) == (True, "")
    for box in shown.arms.values():
        box.setChecked(False)
    assert (shown.start.isEnabled(), shown.reason.text()) == (False, "Choose a policy to run.")
