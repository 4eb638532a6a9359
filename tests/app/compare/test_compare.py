"""Arms side by side, from the wish to compare to what can be done with the columns, on scripted models."""

import pytest
from msgspec.structs import replace
from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QApplication

from baton_reasoning.app.compare.controller import MORE, Chooser, arms, proposed, recorded
from baton_reasoning.app.compare.view import NO_TIMES, parting_text, standing_text, titles_of, were_alike
from baton_reasoning.app.document.answer_pane import NOT_BEGUN
from baton_reasoning.core.batch.running.arms import usual_arms
from baton_reasoning.core.conversation import Exchange
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.errors import EngineLost
from baton_reasoning.core.grading.grader import Standing
from baton_reasoning.core.grading.verdict import Outcome
from baton_reasoning.core.run import RunSettings
from baton_reasoning.core.settings import ModelChoice
from baton_reasoning.core.thinking.events import Finish, RunEnded
from baton_reasoning.core.thinking.registry import POLICIES
from baton_reasoning.core.thinking.trace import Trace
from baton_reasoning.core.words.labels import run_in_brief
from baton_reasoning.core.words.numbers import duration
from tests.app.conftest import ScriptedLoader, answer_to, last_exchange, pick
from tests.core.thinking.running import keywords, run
from tests.fakes import mixed
from tests.fakes.held import Gate
from tests.fakes.scripted import Fault, ScriptedEngine

ALONE = "First we look at it all.\n\nWait, that is five, and no more.\n\nIt is five.</think>\n\nIn all it is 5."
GUIDED = "\n\nIt is four.</think>\n\nThe answer is \\boxed{4}."
RIGHT = (
    "First we look at it all.\n\nWait, let me see: two and two make four, as everybody knows who can count that far."
    f"{GUIDED}"
)
PROBLEM = "What is 2 + 2?"
BASE = RunSettings(seed=3)
TO_WRITE = arms(BASE)
USUAL = usual_arms(BASE)
THREE = [next(choice for choice in TO_WRITE if choice.name == name) for name in USUAL]
START = "First we add 400 and 449."


# What is offered for the columns, and what is proposed


def written(settings, finish=Finish.END_OF_TEXT):
    *events, last = run(keywords(), ["One two three.</think>\n\n4"]).trace.events
    assert isinstance(last, RunEnded)
    return Exchange("2 + 2?", settings, trace=Trace.of([*events, replace(last, finish=finish)]))


def names(choices):
    return [choice.name or choice.title.split(":")[0] for choice in choices]


def test_every_policy_can_be_chosen_with_the_seed_that_is_set_but_no_arm_that_needs_a_batch():
    random = RunSettings(policy="random", seed=3)
    assert {choice.settings.policy.policy for choice in [*TO_WRITE, *arms(random)]} == {*POLICIES} - {"automatic"}
    assert {choice.settings.seed for choice in TO_WRITE} == {3}
    assert len({choice.title for choice in TO_WRITE}) == len(set(names(TO_WRITE))) == len(TO_WRITE)
    assert not {"random", "c = 3"} & set(names(TO_WRITE))


def test_an_arm_that_was_written_is_not_written_again_unless_it_was_broken_off():
    small, _, large = (choice.settings for choice in THREE)
    attempts = [written(large), written(small)]
    assert names(proposed(USUAL, [], TO_WRITE, None)) == ["small", "baton", "large"]
    assert names(proposed(("small", "by-the-moon"), [], TO_WRITE, None)) == ["small"]
    assert names(proposed(USUAL, recorded(attempts), TO_WRITE, attempts[0])) == ["Attempt 2", "baton", "Attempt 1"]
    attempts = [written(small, Finish.STOPPED)]
    assert names(proposed(USUAL, recorded(attempts), TO_WRITE, attempts[0])) == ["small", "baton", "large"]
    for place, policy in enumerate(("never", "every-step", "always")):
        answer = written(RunSettings(policy=policy, seed=9))
        columns = proposed(USUAL, recorded([answer]), TO_WRITE, answer)
        assert columns[place].exchange is answer, "the answer in front is one of the columns"
    attempts = [Exchange("2 + 2?", BASE), written(BASE)]
    (choice,) = recorded(attempts)  # one without text is no choice
    assert choice.title == f"Attempt 2: Keywords, seed 3, {attempts[1].trace.tokens} tokens"
    other = Exchange("2 + 2?", RunSettings(seed=4))
    assert titles_of([attempts[0], attempts[0]]) == ["Keywords", "Keywords"]
    assert titles_of([attempts[0], other]) == ["Keywords, seed 3", "Keywords, seed 4"]


# What the columns say


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (([START, "That is it."], [START]), "All answers have the same steps."),
        (
            ([START, f"That is {'12345678' * 30}."], [START, "That is 149."]),
            "A and B first differ at “That is…”: 123456781234… against 149.",
        ),
        (
            ([START, "That is 849."], [START, "That is 149."], ["We add.", "That is 149."]),
            "A and B first differ at “That is 849.”: 849 against 149. "
            "B and C first differ at “First we add 400 and 449.”.",
        ),
        (([START, "", "So."], [START, "That is 149."]), "A and B first differ at step 2."),
        (([START, "1. We add 5."], [START, "586 is what it makes."]), "A and B first differ at “1. We add 5.”."),
        (([], []), ""),
    ],
)
def test_it_says_where_columns_part(columns, said):
    assert parting_text(columns, "ABC"[: len(columns)]) == said


def test_a_verdict_beyond_right_and_wrong_has_a_sign_and_a_word():
    three = ["Small only", "Keywords", "Large only"]
    assert standing_text(Standing(None, Outcome.UNSCORED, ()), three) == "no answer"
    assert standing_text(Standing("4", Outcome.UNSCORED, (1, 2)), three) == "= all agree"
    assert standing_text(Standing("4", Outcome.UNSCORED, (1,)), three[:2]) == "= they agree"


# In the window


def rest_of(text, otherwise=""):
    """Go on with a text."""
    return lambda _, body: text[len(body) :] if text.startswith(body) else otherwise


def arms_loader(before_token=lambda _: None, small=ALONE, large=RIGHT, faults=()):
    """Models whose arms differ: the small one is wrong alone, and right when the large one has helped."""
    return ScriptedLoader(
        ScriptedEngine(continue_with=rest_of(small, GUIDED), before_token=before_token),
        ScriptedEngine(continue_with=rest_of(large), before_token=before_token, faults=faults, name="large"),
    )


def view_of(window):
    return window.chat.comparison.view


def attempts(window):
    return window.session.conversation.roots


def titles(box):
    return [box.itemText(index) for index in range(box.count())]


def dialog():
    return next(each for each in QApplication.topLevelWidgets() if isinstance(each, Chooser) and each.isVisible())


def begin(window, expected=""):
    window.chat.composer.set_text(PROBLEM)
    window.chat.compare()
    dialog().expected.setText(expected)
    dialog().go.click()


def settle(window, qtbot):
    """Wait until nothing is written, the answers are graded, and it is known where they part."""
    qtbot.waitUntil(lambda: window.session.ready)
    over = [column for column in view_of(window).columns if column.is_over]
    if len(over) > 1:
        qtbot.waitUntil(lambda: all(column.verdict.text() for column in over))
        qtbot.waitUntil(lambda: bool(view_of(window).note.text()))


@pytest.fixture
def ready(make_window, qtbot):
    """A window whose models are loaded."""

    def ready(loader=None):
        window = make_window(loader or arms_loader())
        qtbot.waitUntil(lambda: window.session.ready and window.models.pair.small is not None)
        return window

    return ready


@pytest.fixture
def compare(ready, qtbot):
    """Compares the usual arms on a problem and waits until everything stands in its place."""

    def compare(loader=None, expected=""):
        window = ready(loader)
        begin(window, expected)
        settle(window, qtbot)
        return window

    return compare


@pytest.fixture
def gate(ready):
    """Opened before the window closes."""
    gate = Gate(after=30)
    yield gate
    gate.set()


@pytest.fixture
def held(ready, gate, qtbot):
    """A comparison of which the first answer is being written."""
    window = ready(arms_loader(gate.wait_at))
    begin(window)
    qtbot.waitUntil(lambda: bool(attempts(window)) and attempts(window)[0].trace.tokens > 3)
    return window


def test_three_arms_become_three_tries_with_results_in_which_words_are_found(compare, qtbot):
    window = compare()
    assert [each.settings.policy.policy for each in attempts(window)] == ["never", "keywords", "always"]
    assert {each.settings.seed for each in attempts(window)} == {0}
    assert window.chat.composer.edit.toPlainText() == ""
    columns = view_of(window).columns
    assert [column.exchange for column in columns] == attempts(window)
    assert [column.facts.text() for column in columns] == [
        f"{duration(each.trace.seconds)} · {each.trace.tokens} tokens" for each in attempts(window)
    ]
    assert [column.verdict.text() for column in columns] == ["≠ differs", "= as Large only", "= as Keywords"]
    assert [column.result.text() for column in columns] == ["5", "4", "4"]
    assert all(column.head.isAncestorOf(column.result) for column in columns), "it stays where one scrolls"
    window.chat.compare()
    assert dialog().go.text() == "Show side by side"
    dialog().reject()
    view, bar = view_of(window), window.chat.find_bar
    bar.open()
    bar.edit.setText("four")
    texts = [text for column in view.columns for text in (column.answer, column.steps)]
    expected = sum(text.toPlainText().lower().count("four") for text in texts)
    assert expected > 1
    qtbot.waitUntil(lambda: bar.count.text() == f"1 of {expected}")
    for number in range(2, expected + 1):
        qtbot.keyClick(bar.edit, Qt.Key.Key_Return)
        assert bar.count.text() == f"{number} of {expected}"
    assert window.chat.is_comparing
    window.chat.comparison.leave()
    window.session.show(view.exchanges[1])
    qtbot.waitUntil(lambda: "of" in bar.count.text() and not bar.count.text().endswith(f"of {expected}"))
    window.chat.close_find()


def test_the_expected_answer_tells_right_from_wrong_and_a_lost_model_leaves_the_others(compare):
    lost = Fault(0, EngineLost("The process of large.gguf was killed.", "Restart it."), for_good=True)
    columns = view_of(compare(arms_loader(faults=[lost]), expected="5")).columns
    assert [column.verdict.text() for column in columns] == ["✓ right", "✓ right", "✗ no answer"]
    assert all(column.verdict.toolTip().startswith("Judged by the expected answer, ") for column in columns)
    assert columns[2].exchange.trace.finish is Finish.FAILED
    assert "was killed" in columns[2].ending.text()


def test_the_steps_at_which_answers_part_are_marked_and_each_leads_to_the_inspector_and_its_menu(compare, qtbot):
    window = compare()
    view = view_of(window)
    assert view.note.text().startswith("Small only and Keywords first differ at “")
    assert [column.steps.selected and column.steps.selected.step for column in view.columns] == [1, 1, 1]
    assert window.chat.inspector.piece is None, "nobody has chosen them"
    window.resize(760, 700)
    qtbot.waitUntil(lambda: view.sideways.horizontalScrollBar().maximum() > 0)
    last = view.columns[2]
    window.chat.choose(last.exchange, last.exchange.trace.pieces[0])
    window.chat.step_through(1)
    assert last.steps.selected is last.exchange.trace.pieces[1]
    assert last.steps.visibleRegion().boundingRect().width() > last.steps.width() // 2, "scrolled sideways"
    assert all(column.head.width() == column.width() for column in view.columns)
    window.resize(1440, 900)
    first, column, _ = view_of(window).columns
    piece = next(piece for piece in column.exchange.trace.pieces if piece.author is Author.LARGE)
    place = column.steps.place_of(piece)
    qtbot.mouseClick(column.steps.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(20, int(place.center().y())))
    assert window.chat.inspector.piece is piece
    assert window.chat.inspector.exchange is column.exchange
    first.ribbon.chosen.emit(0)
    assert window.chat.inspector.exchange is first.exchange
    assert column.steps.selected is None
    column.steps.menu_wanted.emit(column.exchange.trace.pieces[1], QPoint(10, 10))
    pick(QApplication.activePopupWidget(), "Fork here")
    qtbot.waitUntil(lambda: window.session.ready)
    assert not window.chat.is_comparing
    assert len(attempts(window)) == 4
    assert attempts(window)[-1].trace.text.startswith(column.exchange.trace.pieces[0].text)


def test_it_is_said_where_answers_part_once_all_is_written_and_nothing_scrolls_by_itself(ready, gate, qtbot):
    before = "\n\n".join(f"We count number {number} and go on to the next." for number in range(1, 19))
    small = f"{before}\n\nThat makes 849.</think>\n\n\\boxed{{849}} and \\boxed{{7}}"
    large = f"{before}\n\nThat makes 149.</think>\n\n\\boxed{{149}}"
    gate.after = 750
    window = ready(arms_loader(gate.wait_at, small, large))
    begin(window)
    qtbot.waitUntil(lambda: bool(attempts(window)) and attempts(window)[0].trace.length >= 750)
    view, bar = view_of(window), view_of(window).area.verticalScrollBar()
    qtbot.waitUntil(lambda: bar.maximum() > 0)
    assert view.note.text() == ""
    gate.set()
    settle(window, qtbot)
    assert view.note.text() == "Keywords and Large only first differ at “That makes 849.”: 849 against 149."
    assert bar.value() == 0
    assert view.columns[0].result.text() == "849, 7", "both boxes are the answer"


def test_an_attempt_that_is_written_meanwhile_is_compared_without_times_where_its_conditions_differ(
    compare, gate, qtbot
):
    gate.set()
    loader = arms_loader(gate.wait_at)
    window = compare(loader)
    window.chat.comparison.leave()
    gate.clear()
    loader.small.with_card(location="a slow server")
    window.session.ask_again(attempts(window)[1])
    shown = attempts(window)[1:]
    again = shown[2]
    qtbot.waitUntil(lambda: again.trace.tokens > 3)
    window.chat.comparison.show_attempts(again)
    gate.set()
    settle(window, qtbot)
    columns = view_of(window).columns
    assert [column.exchange for column in columns] == shown
    assert [column.facts.text() for column in columns] == [f"{each.trace.tokens} tokens" for each in shown]
    assert [column.brief.text() for column in columns] == [f"{len(each.trace.steps)} steps" for each in shown]
    assert view_of(window).note.text().endswith(NO_TIMES)
    window.chat.comparison.leave()
    answer = window.chat.conversation.answer_of(again)
    assert sum(width for _, width in answer.ribbon.segments) == again.trace.tokens, "it grew behind the comparison"
    assert answer.brief.text() == run_in_brief(again.trace)


def test_times_are_compared_only_where_the_same_models_wrote_all_of_both_answers():
    one, two = Trace.of(mixed.by_one_pair()), Trace.of(mixed.by_two_pairs())
    other = Trace.of([mixed.begun(mixed.GEMMA), *mixed.by(Author.SMALL, "So")])
    assert were_alike([one, one])
    assert not were_alike([two, other]), "though the same models ended both"


def test_stop_ends_all_and_what_was_not_begun_can_still_be_written(held, gate, qtbot):
    assert not held.chat.composer._baton.isVisible()
    assert [column.ending.text() for column in view_of(held).columns] == ["", *["Waiting for its turn…"] * 2]
    held.session.stop()
    gate.set()
    settle(held, qtbot)
    assert [each.trace.finish for each in attempts(held)] == [Finish.STOPPED, None, None]
    assert [column.ending.text() for column in view_of(held).columns] == ["Stopped.", NOT_BEGUN, NOT_BEGUN]
    held.session.show(attempts(held)[2])
    answer = held.chat.conversation.answer_of(attempts(held)[2])
    assert answer.ending.text() == NOT_BEGUN
    qtbot.mouseClick(answer._continue, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: held.session.ready)
    assert attempts(held)[2].trace.finish is Finish.END_OF_TEXT


def test_there_is_a_way_back_and_a_way_in_again(compare, qtbot):
    window = compare()
    commands = {command.title: command for command in window.commands if command.group == "Side by side"}
    assert all(command.key for command in commands.values())
    commands["Back to the conversation"].act()
    assert not window.chat.is_comparing
    assert window.chat.composer.edit.placeholderText() == "Ask something"
    first, second, _ = attempts(window)
    assert window.session.conversation.leaf is second, "the answer of both models"
    next(iter(window.chat.conversation._bubbles.values()))._attempts.click()
    settle(window, qtbot)
    assert [column.exchange for column in view_of(window).columns] == attempts(window)
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    qtbot.keyClick(window, Qt.Key.Key_Escape)
    assert not window.chat.is_comparing
    window.session.show(first)
    commands["Attempts side by side"].act()
    window.chat.comparison.leave()
    assert window.session.conversation.leaf is first, "the answer that was compared"
    commands["Attempts side by side"].act()
    view_of(window).columns[1].ribbon.chosen.emit(0)
    window.chat.comparison.leave()
    assert window.session.conversation.leaf is second, "the answer whose step was chosen"
    window.chat.step_through(1)
    assert window.chat.conversation.answer_of(second).steps.selected
    commands["Attempts side by side"].act()
    window.chat.comparison.leave()
    assert window.chat.conversation.answer_of(second).steps.selected is None, "the comparison has made it forgotten"
    assert window.chat.inspector.piece is None
    commands["Attempts side by side"].act()
    view_of(window).columns[0].open.click()
    assert window.session.conversation.leaf is first
    assert not window.chat.is_comparing
    assert window.chat.sidebar.isVisible()
    assert len(attempts(window)) == 3, "nothing was written again"


def test_the_composer_asks_the_same_arms_and_keeps_a_draft_when_an_answer_is_compared(compare, qtbot):
    window = compare()
    window.chat.composer.edit.setPlainText("And 1 + 3?")
    qtbot.keyClick(window.chat.composer.edit, Qt.Key.Key_Return)
    settle(window, qtbot)
    assert [each.problem for each in attempts(window)] == [PROBLEM] * 3 + ["And 1 + 3?"] * 3
    assert [each.settings for each in attempts(window)[3:]] == [each.settings for each in attempts(window)[:3]]
    assert [column.exchange for column in view_of(window).columns] == attempts(window)[3:]
    window.chat.comparison.leave()
    window.chat.composer.set_text("And 3 + 3?")
    window.chat.comparison.choose(PROBLEM, attempts(window)[0])
    first, _, third = dialog().boxes
    first.setCurrentText("Every step")
    third.setCurrentIndex(0)
    dialog().go.click()
    settle(window, qtbot)
    assert len(attempts(window)) == 7
    assert window.chat.composer.edit.toPlainText() == "And 3 + 3?"


def test_a_comparison_is_written_on_out_of_view_and_shown_as_it_was_left(held, gate, qtbot):
    comparing, first = held.session.conversation, view_of(held).columns[0]
    first.ribbon.chosen.emit(0)
    held.session.new()
    assert not held.chat.is_comparing
    assert held.session.ready
    held.session.open(comparing.id)
    assert first.exchange is view_of(held).columns[0].exchange
    first = view_of(held).columns[0]
    first.ribbon.chosen.emit(0)
    gate.set()
    settle(held, qtbot)
    assert first.steps.selected is first.exchange.trace.pieces[0], "a step that was chosen meanwhile stays chosen"
    assert view_of(held).columns[1].steps.selected is None
    assert [each.trace.finish for each in attempts(held)] == [Finish.END_OF_TEXT] * 3
    assert held.session.runs.marks() == {}


def test_tries_that_were_kept_are_compared_after_a_restart(compare, ready, qtbot):
    compare().close()
    window = ready()
    qtbot.waitUntil(lambda: bool(window.session.conversation.leaf))
    window.chat.comparison.show_attempts(last_exchange(window))
    assert len(view_of(window).columns) == 3
    qtbot.waitUntil(lambda: all(column.is_over for column in view_of(window).columns))
    settle(window, qtbot)
    assert view_of(window).columns[0].exchange.trace.text == ALONE


def test_an_answer_is_compared_with_other_arms_without_writing_it_again(ready, qtbot):
    window = ready()
    answer = answer_to(window, qtbot, PROBLEM)
    window.chat.comparison.show_attempts(answer)
    assert window.notice.text.startswith("There is only one answer to this problem.")
    window.chat.compare_answer(answer)
    assert [choice.exchange for choice in dialog().picked()] == [None, answer, None]
    dialog().go.click()
    settle(window, qtbot)
    assert [column.exchange for column in view_of(window).columns] == [attempts(window)[1], answer, attempts(window)[2]]


def test_two_different_columns_are_enough_and_the_rarer_policies_are_offered_after_more(ready):
    window = ready()
    window.chat.composer.set_text(PROBLEM)
    window.chat.compare()
    shown, (first, second, third) = dialog(), dialog().boxes
    third.setCurrentIndex(0)
    assert shown.go.isEnabled()
    assert names(shown.picked()) == ["small", "baton"]
    second.setCurrentIndex(first.currentIndex())
    assert not shown.go.isEnabled(), "twice the same"
    common = ["Every step", "Keywords", "Large only", "Small only", "Token entropy"]
    assert sorted(titles(first)) == sorted([*common, MORE])
    first.setCurrentText(MORE)
    assert sorted(titles(first)[:5]) == common
    assert len(titles(first)) == len(TO_WRITE)
    assert first.currentText() == titles(first)[5], "the first of the others"
    first.hidePopup()
    first.setCurrentText("Large only, drafted")
    assert not shown.go.isEnabled(), "what these models cannot write"
    shown.reject()
    rare = next(choice.name for choice in TO_WRITE if choice.title == titles(first)[-1])
    window.preferences.change_window(compared=(rare, "baton"))
    window.chat.compare()
    assert names(dialog().picked()) == [rare, "baton"], "what was compared last, however rare"
    dialog().reject()


def test_the_usual_columns_follow_the_chosen_policy_also_after_they_were_compared(ready, qtbot):
    window = ready()
    for policy, pair in (("keywords", "baton"), ("every-step", "every-step")):
        window.preferences.change_run(policy=POLICIES[policy].Settings())
        window.chat.composer.set_text(PROBLEM)
        window.chat.compare()
        assert names(dialog().picked()) == ["small", pair, "large"]
        dialog().go.click()
        settle(window, qtbot)


def test_without_a_problem_or_while_an_answer_is_written_nothing_is_compared(ready, gate, qtbot):
    window = ready(arms_loader(gate.wait_at))
    window.preferences.change(models=ModelChoice(small="a.gguf", large="b.gguf"))
    window.chat.compare()
    assert window.notice.text == "There is no problem yet to compare policies on. Write one first."
    window.session.ask(PROBLEM)
    window.chat.compare()
    assert window.notice.text == "An answer is being written. Stop it, or wait for its end."
