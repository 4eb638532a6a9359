"""A file is opened, looked at, corrected, run, compared, exported, and gone on with."""

import json
import threading
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QFileDialog, QLabel, QPushButton

from baton_reasoning.app.batch.folded_parts import Fold, FoldedParts
from baton_reasoning.app.batch.opened_batch import OpenedBatch
from baton_reasoning.app.batch.preview import FIRST, NONE
from baton_reasoning.app.batch.result_grid import ABOVE, PROBLEM
from baton_reasoning.app.batch.result_table import FIRST_ARM, ResultColumn, RowFilter, mark_of
from baton_reasoning.app.batch.results_view import GRADINGS
from baton_reasoning.app.batch.session import BatchActivity
from baton_reasoning.app.session.loaded_models import LoadState
from baton_reasoning.app.toolkit.controls import IconButton
from baton_reasoning.app.toolkit.theme import DARK, current_theme
from baton_reasoning.core.batch.reporting.report import Report
from baton_reasoning.core.batch.reporting.tables import main_tables, more_tables
from baton_reasoning.core.batch.running.arms import ABLATIONS, ARMS, Arm
from baton_reasoning.core.batch.running.regrading import regrade
from baton_reasoning.core.errors import EngineLost
from baton_reasoning.core.grading.grader import Grader
from baton_reasoning.core.grading.verdict import GradingMethod
from baton_reasoning.core.model_costs import ModelCost
from baton_reasoning.core.settings import ColourScheme
from baton_reasoning.core.store.batches import JobState
from baton_reasoning.core.thinking.policies.keywords import Keywords
from baton_reasoning.core.thinking.policies.relay import Relay
from tests.app.batch.conftest import counting_file, preview, run, wait_until_done, wait_until_read
from tests.app.conftest import OWN_MODELS
from tests.core.batch.counting import NOTES, noted_report
from tests.fakes.scripted import Fault
from tests.patience import PATIENCE

pytestmark = pytest.mark.slow


def marks(page):
    """The signs in the column of the first policy."""
    model = page.view.model
    found = [model.result_at(model.index(place, FIRST_ARM)) for place in range(model.rowCount())]
    return [mark_of(row).value for row in found if row]


def test_files_and_folders_are_chosen_in_dialogs_previewed_and_a_wrong_guess_corrected(
    page, actions, qtbot, problem_file, tmp_path, monkeypatch
):
    missing, folder, shown = tmp_path / "missing.csv", problem_file.parent, page.preview
    chosen = {
        "getOpenFileName": (str(problem_file), ""),
        "getExistingDirectory": str(folder),
        "getOpenFileNames": (["/models/Big.gguf"], ""),
    }
    for name, found in chosen.items():
        monkeypatch.setattr(QFileDialog, name, lambda *_, found=found: found)
    with qtbot.waitSignal(actions.failed) as failure:
        page.open_problems(missing)
    assert "missing.csv" in str(failure.args[0])
    assert page.currentWidget() is page.welcome
    for text, title in (("Choose a folder…", folder.name), ("Choose a file…", "counting")):
        next(each for each in page.welcome.findChildren(QPushButton) if each.text() == text).click()
        wait_until_read(page, qtbot)
        assert page.currentWidget() is shown
        assert shown.title.text() == title
        assert shown.table.texts()[5] == ["p5", "Count to 5.", "5"]
        assert shown.left.isHidden()
    combos = (shown.problem, shown.answer, shown.identity)
    assert [combo.currentText() for combo in combos] == ["question", "answer", "id"]
    assert shown.count.text() == "Read 6 problems, with an answer each."
    assert shown.notes.text() == "Other columns are kept as metadata: other.", "the fields above name the columns"
    with qtbot.waitSignal(actions.failed):
        page.open_problems(missing)
    shown.answer.setCurrentText("other")
    shown.answer.activated.emit(shown.answer.currentIndex())
    wait_until_read(page, qtbot)
    assert shown.table.texts()[0][2] == "7", "of the file that is shown"
    assert shown.answer.currentText() == "other"
    shown._choose_larges()
    assert shown.larges == ["/models/Big.gguf"]
    assert shown.larges_text.text() == "Big.gguf"


def test_start_up_builds_the_first_page_only(page, qtbot, problem_file):
    assert page.count() == 1
    preview(page, qtbot, problem_file)
    assert page.count() == 2
    assert page.currentWidget() is page.preview


def test_a_correction_keeps_what_was_typed_and_another_file_does_not(page, qtbot, problem_file):
    shown = page.preview
    for _ in range(2):
        preview(page, qtbot, problem_file)
        assert (shown.system.text(), shown.larges, shown.ungraded.isChecked()) == ("", [], False)
        shown.system.setText("Be brief.")
        shown.show_larges(["/models/Big.gguf"])
        shown.ungraded.setChecked(True)
        for column in (NONE, "other"):
            shown.answer.setCurrentText(column)
            shown.answer.activated.emit(shown.answer.currentIndex())
            wait_until_read(page, qtbot)
            assert shown.answer.currentText() == column
            assert (shown.system.text(), shown.larges) == ("Be brief.", ["/models/Big.gguf"])
            assert shown.ungraded.isChecked()
            assert shown.larges_text.text() == "Big.gguf"


def test_how_long_a_batch_takes_is_said_where_its_models_were_measured(page, qtbot, problem_file, monkeypatch):
    page._preferences.change(models=OWN_MODELS)
    page.session.models.load(OWN_MODELS)
    qtbot.waitUntil(lambda: page.session.models.state is LoadState.READY)
    preview(page, qtbot, problem_file, "small", "large")
    assert page.preview.amount.text() == "6 problems × 2 arms = 12 answers"
    costs = {"small": ModelCost(decode=0.1, further=0, prefill=0), "large": ModelCost(decode=0.5, further=0, prefill=0)}
    monkeypatch.setattr(page.session.models.costs, "of", lambda card: costs[card.name])
    page.preview.limit.setValue(2)
    assert page.preview.amount.text() == ("2 problems × 2 arms = 4 answers, at most 10 min at 500 tokens each")


def test_what_the_table_has_no_room_for_is_counted(page, qtbot, tmp_path):
    preview(page, qtbot, counting_file(tmp_path, 12))
    assert (len(page.preview.table.texts()), page.preview.left.text()) == (8, "4 more")


def test_an_encoding_is_asked_for_where_it_is_unknown_and_a_guess_can_be_corrected(page, qtbot, problem_file, tmp_path):
    shown, table = page.preview, "Frage,Antwort\nWie groß ist die Fläche?,5\n"
    chinese = tmp_path / "sums.csv"
    chinese.write_bytes("question,answer\n小明有三个苹果，吃了一个，还剩几个？,2\n".encode("gbk"))
    page.show()

    def choose(encoding):
        QTest.keyClick(page.focusWidget() or page, Qt.Key.Key_E, Qt.KeyboardModifier.AltModifier)
        assert shown.encoding.hasFocus()
        shown.encoding.setCurrentText(encoding)
        shown.encoding.activated.emit(shown.encoding.currentIndex())
        wait_until_read(page, qtbot)

    preview(page, qtbot, problem_file)
    assert not shown.encoding.isVisible()
    preview(page, qtbot, chinese)
    assert page.currentWidget() is shown
    assert (shown.title.text(), shown.count.text(), shown.amount.text()) == ("sums.csv", "", "")
    assert "sums.csv is in an unknown encoding" in shown.notes.text()
    assert (shown.table.texts(), shown.start.isEnabled(), shown.encoding.currentText()) == ([], False, "")
    assert shown.encoding.accessibleName() == "Encoding of the text"
    choose("Big5")
    assert "is not text in Big5" in shown.notes.text()
    choose("GBK")
    assert shown.table.texts() == [["1", "小明有三个苹果，吃了一个，还剩几个？", "2"]]
    assert "was read as GBK" in shown.notes.text()
    assert shown.start.isEnabled()
    shown.answer.setCurrentText(NONE)
    shown.answer.activated.emit(shown.answer.currentIndex())
    wait_until_read(page, qtbot)
    assert (shown.answer.currentText(), shown.encoding.currentText()) == (NONE, "GBK"), "both are kept"
    (tmp_path / "german.csv").write_bytes(table.encode("cp1252"))
    preview(page, qtbot, tmp_path / "german.csv")
    assert (shown.encoding.isVisible(), shown.encoding.currentText()) == (True, "Windows-1252")
    choose("Windows-1251")
    assert "gro" in shown.table.texts()[0][1]
    assert "ß" not in shown.table.texts()[0][1]


def test_policies_and_the_number_of_answers_are_shown_and_why_a_batch_cannot_begin(page, qtbot, problem_file, tmp_path):
    (tmp_path / "open.jsonl").write_text('{"problem": "Count to 1."}\n{"problem": "Count to 2."}\n')
    shown = page.preview
    page.show()

    def offered():
        return [name for name, box in shown.arms.items() if box.isVisible()]

    for _ in range(2):  # each file is asked about
        preview(page, qtbot, tmp_path / "open.jsonl")
        assert shown.count.text() == "Read 2 problems, 0 with an answer, 2 cannot be graded."
        assert not shown.start.isEnabled()
        assert "No problem has an answer" in shown.reason.text()
        shown.ungraded.click()
        assert shown.start.isEnabled()
    preview(page, qtbot, problem_file)
    assert shown.ungraded.isHidden()
    assert (shown.start.isEnabled(), shown.reason.text()) == (True, "")
    shown.table.setFocus()
    visited = []
    while page.focusWidget() not in visited:
        visited.append(page.focusWidget())
        QTest.keyClick(page.focusWidget(), Qt.Key.Key_Tab)
    assert shown.start in visited
    assert sorted(offered()) == sorted(FIRST)
    shown.more.click()
    assert offered() == list(ARMS)
    assert not set(ABLATIONS) & shown.arms.keys()
    assert shown.amount.text() == "6 problems × 3 arms = 18 answers"
    shown.seeds.setValue(2)
    shown.limit.setValue(2)
    shown.arms["large"].setChecked(False)
    shown.show_larges(["/models/Big.gguf"])
    assert shown.amount.text() == "2 problems × 3 arms × 2 seeds = 12 answers"
    shown.arms["random"].setChecked(True)
    shown.arms["chosen"].setChecked(False)
    made = shown.make_arms()
    assert len(made) == 5, "what a control copies runs as well, and each with the other model"
    assert shown.amount.text() == "2 problems × 5 arms × 2 seeds = 20 answers"
    shown.show_larges(["/a/Big.gguf", "/b/Big.gguf"])
    assert "Two models make an arm called" in shown.reason.text()
    assert not shown.start.isEnabled()
    assert len(shown.chosen_problems().problems) == 2
    shown.show_larges([])
    for box in shown.arms.values():
        box.setChecked(False)
    assert (shown.start.isEnabled(), shown.reason.text()) == (False, "Choose an arm to run.")
    page.resize(760, 700)
    assert shown.table.horizontalScrollBar().maximum() == 0, "the expected answers are in view"


def test_the_arms_follow_what_is_chosen_until_a_person_ticks_others(page, qtbot, problem_file):
    shown = page.preview

    def choose(policy):
        page._preferences.change_run(policy=policy)

    page.show()
    preview(page, qtbot, problem_file)
    assert {*shown.chosen_arms} == {"small", "chosen", "large"}, "the models that the policy follows are not loaded"
    choose(Keywords.Settings())
    assert {*shown.chosen_arms} == {"small", "baton", "large"}
    assert not shown.arms["relay"].isVisible()
    choose(Relay.Settings())
    assert {*shown.chosen_arms} == {"small", "relay", "large"}
    assert shown.arms["relay"].isVisible()
    shown.arms["small"].click()
    choose(Keywords.Settings())
    assert {*shown.chosen_arms} == {"relay", "large"}


def test_a_batch_has_its_seeds_its_system_prompt_and_arms_that_are_added_and_is_exported(
    page, actions, qtbot, problem_file, tmp_path, monkeypatch
):
    preview(page, qtbot, problem_file, "small", "chosen")
    page.preview.seeds.setValue(2)
    page.preview.system.setText("Be brief.")
    page.preview.start.click()
    wait_until_done(page, qtbot)
    with qtbot.waitSignal(actions.said) as noticed:
        page.session.add_arm("n1")
    assert noticed.args == ["“n1 = 20” has the same settings as “chosen”, which runs once."]
    wait_until_done(page, qtbot)
    assert page.session.progress.total.jobs == 48, "two arms at first, two more values of n1"
    assert page.view.model.arms == ["chosen", "small", "n1 = 10", "n1 = 40"]
    assert "n1 = 40" in [row[0] for row in page.view.folded.tests.shown[0].rows]
    page.session.add_arm("random")
    wait_until_done(page, qtbot)
    settings = [Arm.of(stored).settings for stored in page.session.batch.arms]
    assert [(each.system, each.alternatives) for each in settings] == [("Be brief.", 0)] * 5
    exported = tmp_path / "run-1.7B.json"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(exported.with_suffix("")), ""))
    with qtbot.waitSignal(actions.saved) as saved:
        next(each for each in page.view.export.menu().actions() if "JSON)" in each.text()).trigger()
    assert saved.args == [exported], "no point in a name begins its ending"
    report = json.loads(exported.read_text("utf-8"))
    assert report["seed_numbers"] == [0, 1]
    assert report["provenance"]["small"] == "small.gguf"
    assert report["provenance"]["cores"] > 0


def test_results_are_shown_filtered_and_folded_as_the_report_says(page, qtbot, problem_file):
    reports: list[Report] = []
    page.session.reported.connect(reports.append)
    page.show()
    run(page, qtbot, problem_file, "small", "large")
    view, report = page.view, reports[-1]
    assert marks(page) == ["✓", "✗"] * 3
    assert view.status.text() == "12 / 12"
    unusable = [each for each in (view.run, view.stop, view.bar, view.status) if each.isVisible()]
    assert not unusable, "a finished batch has no dead buttons"
    assert view.sentence.text() == "Small alone: 3 of 6 right; large alone 6 of 6."
    assert view.summary.text().startswith("6 problems · ● small · ◆ large · done in ")
    assert view.summary.toolTip().startswith("counting: 6 problems, 1 seed, 8 at once;")
    assert "small 50% of 6 at 0" in view.share.accessibleDescription()
    folded, (*times, tests) = view.folded, more_tables(report)
    assert not any(folded.is_open(fold) for fold in Fold)
    assert (folded.tests.shown, folded.times.shown) == ([*main_tables(report), tests], times)
    for verb in ("Hide", "Show"):
        folded.heads[Fold.TESTS].click()
        assert folded.tests.isVisibleTo(view) is (verb == "Hide")
        assert folded.heads[Fold.TESTS].accessibleName() == f"{verb}: Paired tests and intervals"
    filters = [each.text() for each in view.filters.buttons.values()]
    assert filters == ["all", "what small got wrong (3)", "where policies differ (3)"]
    view.filters.buttons[RowFilter.DIFFERENT].click()
    assert [view.model.problem_at(place).id for place in range(view.model.rowCount())] == ["p1", "p3", "p5"]
    view.filters.buttons[RowFilter.ALL].click()
    assert view.model.rowCount() == 6


def test_titles_are_whole_the_problem_keeps_its_share_and_the_chart_follows_window_and_theme(page, qtbot, problem_file):
    page.resize(1280, 800)
    page.show()
    run(page, qtbot, problem_file, "small", "large", "baton", "random")
    view, table, header = page.view, page.view.table, page.view.table.horizontalHeader()

    def cut_off(columns):
        titles = {at: view.model.headerData(at, Qt.Orientation.Horizontal) for at in columns}
        advance = header.fontMetrics().horizontalAdvance
        return [title for at, title in titles.items() if advance(title) + 16 > header.sectionSize(at)]

    assert cut_off(range(FIRST_ARM, header.count())) == []
    assert table.horizontalScrollBar().maximum() == 0
    assert header.length() == table.viewport().width(), "the problem takes what is free"
    page.session.add_arm("every-step")
    wait_until_done(page, qtbot)
    assert len(view.model.arms) == 5
    assert table.columnWidth(ResultColumn.PROBLEM) >= PROBLEM
    for wide, orientation in ((800, Qt.Orientation.Vertical), (1280, Qt.Orientation.Horizontal)):
        page.resize(wide, 800)
        assert view._split.orientation() is orientation
        assert table.isVisible()
        assert view.share.isVisible()
    try:
        current_theme().use(ColourScheme.DARK, 1.5)
        assert cut_off((ResultColumn.NUMBER, ResultColumn.EXPECTED, FIRST_ARM)) == []
        assert view.share.grab().toImage().pixelColor(2, 2).name() == DARK.surface
    finally:
        current_theme().use(ColourScheme.LIGHT)


def test_a_long_problem_has_lines_and_rows_are_as_high_as_most_problems_need(page, qtbot, tmp_path):
    long = "Count on and past all that there is to be seen beside the road. "
    lines = [f"p{n},Road {n}: {long * n}Count to {n}.,{n}" for n in (0, 5, 6, 7, 9)]
    path = tmp_path / "roads.csv"
    path.write_text("\n".join(["id,question,answer", *lines]))
    page.show()
    run(page, qtbot, path, "small", "large")
    table = page.view.table

    def lines_of(row):
        return (table.rowHeight(row) - 2 * ABOVE) // table.fontMetrics().lineSpacing()

    assert [lines_of(row) for row in range(5)] == [3] * 5
    page.view.filters.search.setText("p0")
    assert lines_of(0) == 1


def test_problems_are_found_by_words_and_figures_are_shown_beside_each_policy(page, qtbot, problem_file):
    page.show()
    run(page, qtbot, problem_file, "small", "baton")
    view, menu = page.view, page.view.table.columns_menu
    assert page.find_problems()
    assert view.filters.search.hasFocus()
    view.filters.search.setText(" count TO 3")
    assert [view.model.problem_at(place).id for place in range(view.model.rowCount())] == ["p3"]
    view.filters.search.setText("no such words")
    assert view.model.rowCount() == 0
    view.filters.search.clear()
    for text in ("By large", "Tokens", "Seconds"):
        next(each for each in menu.actions() if each.text() == text).trigger()
    titles = [view.model.headerData(each, Qt.Orientation.Horizontal) for each in range(view.model.columnCount())]
    assert titles[FIRST_ARM:] == ["small", "tokens", "seconds", "baton · Keywords", "by large", "tokens", "seconds"]
    tokens = titles.index("tokens")
    row = view.model.result_at(view.model.index(1, tokens))
    assert view.model.index(1, tokens).data() == f"{row.cost.tokens:,}"
    qtbot.keyClick(view.table, Qt.Key.Key_F7)
    qtbot.waitUntil(menu.isVisible)
    menu.close()


def test_what_is_opened_below_the_fold_is_scrolled_to_and_takeovers_are_counted_then(page, qtbot, problem_file):
    page.show()
    page.resize(760, 500)

    def wait_for_view(part):
        """Of all of it or, where it is higher than the page, of its beginning."""

        def is_in_view():
            shown = part.visibleRegion().boundingRect()
            return shown.top() == 0 and shown.height() >= min(part.height(), 100)

        qtbot.waitUntil(is_in_view)

    preview(page, qtbot, problem_file)
    page.preview.more.click()
    wait_for_view(page.preview._others)
    run(page, qtbot, problem_file, "small", "every-step")
    folded = page.view.folded
    assert folded.takeovers.shown == []
    for fold in (Fold.TESTS, Fold.WORTH, Fold.TIMES):
        folded.heads[fold].click()
        wait_for_view(folded.bodies[fold])
        if fold is Fold.WORTH:
            qtbot.waitUntil(lambda: bool(folded.takeovers.shown))
        folded.heads[fold].click()
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


def test_answers_are_graded_again_and_a_grading_that_is_stopped_changes_nothing(
    page, actions, qtbot, tmp_path, monkeypatch
):
    halves = tmp_path / "halves.csv"
    halves.write_text("question,answer\nCount to 0.,0.0\nCount to 2.,2\n")
    run(page, qtbot, halves, "small")
    gate = threading.Event()

    def held(*arguments):
        for graded in regrade(*arguments):
            yield graded
            gate.wait(PATIENCE)

    monkeypatch.setattr("baton_reasoning.app.batch.session.regrade", held)
    assert len(page.view.regrade.actions()) == len(GradingMethod) - 1, "a pattern of one's own is for the terminal"
    by_text = next(action for action in page.view.regrade.actions() if action.text() == GRADINGS[GradingMethod.EXACT])
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
    assert said.args == ["2 answers were graded again: 1 has another verdict."]
    assert marks(page) == ["✗", "✓"]


def test_other_large_models_run_one_after_another_and_where_one_is_missing_the_chat_keeps_its_own(
    page, actions, qtbot, problem_file, loader
):
    smaller, loader.missing = (str(Path("/models", f"Big-{size}.gguf")) for size in ("14B", "32B"))
    larges = ["", "", smaller, loader.missing, ""]
    page.session.models.load(page._preferences.value.models)
    qtbot.waitUntil(lambda: page.session.models.state is LoadState.READY)
    preview(page, qtbot, problem_file, "small")
    page.preview.show_larges([smaller, loader.missing])
    page.preview.start.click()
    qtbot.waitUntil(lambda: page.view.error.isVisibleTo(page.view))
    assert "✗ Big-32B.gguf is not there" in page.view.error.message.text()
    qtbot.waitUntil(lambda: loader.larges == larges)  # at last the chat's own again
    assert [arm.name for arm in page.session.batch.arms] == ["small", "chosen, Big-14B", "chosen, Big-32B"]
    assert page.session.progress.to_run("chosen, Big-32B") == 6
    loader.missing = ""
    page.view.run.click()
    wait_until_done(page, qtbot)
    assert page.session.progress.total.done == 18


def test_errors_alone_are_tried_again_and_stay_while_the_models_cannot_be_loaded(
    page, actions, qtbot, problem_file, loader
):
    loader.faults = [Fault(3, EngineLost("The model's process ended."))]
    run(page, qtbot, problem_file, "small")
    page.session.progress.parallel += 1  # so that the models are loaded again
    loader.missing = "large.gguf"
    actions.remedies = ["Load again"]
    page.view.run.click()
    qtbot.waitUntil(lambda: page.view.error.isVisibleTo(page.view))
    assert [each.text() for each in page.view.error.buttons] == ["Load again"]
    assert "large.gguf is not there." in page.view.error.message.text()
    assert (marks(page).count("error"), page.view.run.text()) == (1, "Retry 1 error")
    errors = [row.error for row in page.session.store.batches.results(page.session.batch.id) if row.error]
    assert errors == ["The model's process ended."]
    loader.faults, loader.missing = [], ""
    page.view.run.click()
    wait_until_done(page, qtbot)
    assert page.view.error.isHidden()
    assert marks(page) == ["✓", "✗"] * 3
    assert (page.session.progress.total.done, page.session.progress.total.failed) == (6, 0)


def test_what_a_killed_program_was_writing_is_not_called_written_now(page, qtbot, problem_file):
    run(page, qtbot, problem_file, "small")
    batches, batch = page.session.store.batches, page.session.batch
    killed = "UPDATE jobs SET state = 'claimed', owner = '999999999@then' WHERE id = (SELECT min(id) FROM jobs)"
    batches._database.execute(killed).result()
    opened = OpenedBatch.read(page.session.store, batch.id)
    assert [row.state for row in opened.rows.values()] == [JobState.WAITING, *5 * [JobState.DONE]]


def test_an_earlier_batch_is_deleted_and_brought_back(page, actions, qtbot, problem_file):
    run(page, qtbot, problem_file, "small")
    page.view.left.emit()
    (batch,) = page.session.store.batches.all()
    qtbot.waitUntil(lambda: list(page.welcome._rows) == [batch.id])
    trash = next(each for each in page.welcome.findChildren(IconButton) if each.isVisibleTo(page.welcome))
    assert trash.accessibleName() == f"Delete the batch “{batch.name}”"
    with qtbot.waitSignal(actions.deleted) as deleted:
        trash.click()
    assert page.session.store.batches.all() == []
    qtbot.waitUntil(lambda: page.welcome._rows == {})
    name, undo = deleted.args
    assert name == batch.name
    undo()
    qtbot.waitUntil(lambda: list(page.welcome._rows) == [batch.id])
    assert [kept.id for kept in page.session.store.batches.all()] == [batch.id]
