"""The steps follow a trace token by token, and show at the end what they would have shown at once."""

from itertools import pairwise

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QGuiApplication

from baton_reasoning.app.document.clipboard import fragments
from baton_reasoning.app.document.steps_document import GAP, LONGEST_SET, thinking_pieces
from baton_reasoning.app.document.steps_view import StepsView
from baton_reasoning.app.document.typeset import Typesetter
from baton_reasoning.app.toolkit.background import BackgroundTasks
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.run import RunSettings
from baton_reasoning.core.thinking.cue_profile import lexicon_json
from baton_reasoning.core.thinking.cues import Category, Lexicon
from baton_reasoning.core.thinking.events import RunStarted
from baton_reasoning.core.thinking.policies.keywords import Keywords
from baton_reasoning.core.thinking.policy import PolicyContext
from baton_reasoning.core.thinking.requests import Until
from baton_reasoning.core.thinking.trace import Trace
from tests.core.thinking.running import run
from tests.tiers import size

SETTINGS = Keywords.Settings(n1=6, n2=4, n3=4, n3_step=0, c=1, c_step=0)


@pytest.fixture
def steps(qtbot):
    typesetter = Typesetter()
    view = StepsView(typesetter)
    qtbot.addWidget(view)
    view.resize(600, 400)
    view.show()
    yield view
    BackgroundTasks.of(typesetter).close()


@pytest.fixture(scope="module")
def events():
    """Takeovers, a discarded lookahead, an inserted prompt, formulas, a list, code."""
    small = [
        "One \\(x^2\\).\n\nWait, no",
        "\n\n- a list\n- of two\n\nThree",
        " Four.\n\n```\ncode\n```\n\nEnd.</think>4",
    ]
    large = ["Wait, I see it now, at last. Unwritten words.", "All is \\(y\\) well, I think. Unwritten words."]
    return run(Keywords(SETTINGS), small, large).trace.events


def settled(view, trace, qtbot):
    view.sync(trace, thinking_pieces(trace), live=False)
    qtbot.waitUntil(lambda: view.complete)
    # Formulas are set in a thread: the document is settled when none stands there as source any more.
    qtbot.waitUntil(lambda: "\\(" not in view.toPlainText())
    return view.toPlainText()


@settings(max_examples=size(25, long=500), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example([(moment, False) for moment in range(200)])
@given(st.lists(st.tuples(st.integers(0, 200), st.booleans()), max_size=12))
def test_whenever_the_view_looks_it_shows_at_the_end_what_it_shows_at_once(qtbot, events, looks):
    """The view may be told at any moment, wrongly too, that nothing is being written any more."""
    typesetter = Typesetter()
    view, whole = StepsView(typesetter), StepsView(typesetter)
    trace, done = Trace(), 0
    for moment, live in sorted(looks):
        for event in events[done:moment]:
            trace.apply(event)
        done = moment
        view.sync(trace, thinking_pieces(trace), live)
        QGuiApplication.processEvents()
        assert [(shown.piece, shown.length) for shown in view.shown] == [
            (piece, piece.length) for piece in thinking_pieces(trace)
        ]
    for event in events[done:]:
        trace.apply(event)
    assert settled(view, trace, qtbot) == settled(whole, Trace.of(events), qtbot)
    assert looks_of(view) == looks_of(whole)
    BackgroundTasks.of(typesetter).close()
    view.close()
    whole.close()


def looks_of(view):
    """Each block of its document: text, margins, and the formats in it."""
    found = []
    block = view.document().begin()
    while block.isValid():
        form = block.blockFormat()
        formats = [(part.text(), part.charFormat()) for part in fragments(block)]
        found.append((form.bottomMargin(), form.lineHeight(), block.textList() is not None, formats))
        block = block.next()
    return found


def test_what_stands_in_the_text_is_shown_piece_below_piece_and_chosen_by_a_click(steps, events, qtbot):
    trace = Trace.of(events)
    text = settled(steps, trace, qtbot)
    assert "Wait, no" not in text, "it was discarded"
    assert "Wait, I see it now, at last." in text
    assert text.strip().endswith("End."), "the closing tag is not shown"
    places = [steps.place_of(piece) for piece in thinking_pieces(trace)]
    assert all(above.bottom() <= below.top() + 3 for above, below in pairwise(places))
    large = next(piece for piece in trace.pieces if piece.author is Author.LARGE)
    with qtbot.waitSignal(steps.piece_clicked) as clicked:
        y = int(steps.place_of(large).center().y())
        qtbot.mouseClick(steps.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(20, y))
    assert clicked.args == [large]
    assert steps.selected is large


@pytest.mark.parametrize("step", ["One.", "- one", "| one |\n|---|", "```\none\n```", "> one", "# one"])
def test_there_is_the_same_gap_below_each_piece(steps, qtbot, step):
    trace = run(Keywords(SETTINGS), [f"First.\n\n{step}\n\nLast.</think>\n\n4"]).trace
    settled(steps, trace, qtbot)
    ends = [steps.document().findBlockByNumber(shown.first - 1) for shown in steps.shown[1:]]
    assert [block.blockFormat().bottomMargin() for block in ends] == [GAP, GAP]


def test_a_long_answer_comes_in_portions_and_completely(steps, qtbot):
    text = "".join(f"Step {number}.\n\n" for number in range(300)) + "</think>\n\n4"
    trace = run(Keywords(SETTINGS), [text]).trace
    steps.sync(trace, thinking_pieces(trace), live=False)
    assert not steps.complete
    qtbot.waitUntil(lambda: steps.complete)
    assert steps.toPlainText().count("Step ") == 300


@pytest.mark.parametrize("length", [LONGEST_SET, LONGEST_SET + 1])
def test_a_line_without_end_stays_plain(steps, length, qtbot):
    line = "**bold** " + "x" * (length - 9)
    trace = run(Keywords(SETTINGS), [f"First.\n\n{line}\n\nLast.</think>\n\n4"]).trace
    shown = settled(steps, trace, qtbot)
    assert ("**bold**" in shown) is (length > LONGEST_SET)
    assert shown.count("x") == length - 9
    assert shown.endswith("\nLast.")


def test_the_cues_of_the_run_are_underlined_and_not_the_english_ones(steps, qtbot):
    own = Lexicon({Category.REFLECTION: {"moment": ()}})
    run_settings = RunSettings(policy=SETTINGS, cue_list=lexicon_json(own)).model_dump(mode="json")
    large = ["A momentous moment, and wait: I see it now, at last. Unwritten words."]
    done = run(Keywords(SETTINGS, PolicyContext(0, own)), ["One.\n\nA moment of", "\n\nEnd.</think>\n\n4"], large)
    started, *events = done.trace.events
    assert isinstance(started, RunStarted)
    settled(steps, Trace.of([replace(started, settings=run_settings), *events]), qtbot)
    assert underlined(steps) == ["moment"]


@pytest.mark.parametrize(
    ("written", "cues"),
    [
        ("Wait, let me check this, and hold on.", ["Wait", "check", "hold on"]),
        ("Wait, I check \\(\\text{check}\\) at last.", ["Wait", "check"]),
        ("Hold on, I verify it, and recap it.", ["Hold on", "verify", "recap"]),
    ],
)
def test_each_cue_of_the_large_model_is_underlined_and_none_of_the_small_one(steps, qtbot, written, cues):
    """“check” is a reflection and a verification: it is found twice, and stands there once."""
    small = ["One.\n\nWait, no", "\n\nSo we check, verify and recap it.</think>\n\n4"]
    trace = run(Keywords(SETTINGS), small, [f"{written} Unwritten words."]).trace
    assert written in trace.text
    settled(steps, trace, qtbot)
    assert underlined(steps) == cues


def underlined(view):
    words, block = [], view.document().begin()
    while block.isValid():
        words += [part.text() for part in fragments(block) if part.charFormat().fontUnderline()]
        block = block.next()
    return words


@pytest.mark.parametrize(("small", "note"), [("5", "5 → 4"), ("4", "")])
def test_a_corrected_value_is_noted_beside_the_step_and_a_repeated_one_is_not(steps, qtbot, small, note):
    chosen = Keywords.Settings(n1=20, n2=20, n3=20, n3_step=0, c=9, c_step=0)
    written = [f"So 2 + 2 = {small}.\n\nWait, no", "\n\nEnd.</think>\n\n4"]
    takeover = "Wait, 4 fish are 2 + 2 = 4. Unwritten words."
    trace = run(Keywords(chosen), written, [takeover]).trace
    shown = settled(steps, trace, qtbot).split("\n")[1]
    assert shown.removeprefix(takeover).strip() == note
    steps.selectAll()
    steps.copy()
    assert QGuiApplication.clipboard().text().split("\n")[1] == takeover, "the note is no part of the text"


def test_a_formula_over_two_pieces_stands_there_as_its_source(steps, qtbot):
    trace = run(Keywords(SETTINGS), ["So \\[ x = 2\n\nless 3 \\] it is.</think>\n\n4"], []).trace
    assert settled(steps, trace, qtbot) == "So \\[ x = 2\nless 3 \\] it is."


@pytest.mark.parametrize("rest", ["98.", "- 3 is 5.", "# 4", "> 2"])
def test_the_rest_of_a_line_begins_no_list_heading_or_quotation(steps, qtbot, rest):
    chosen = Keywords.Settings(n1=2, n2=2, n3=2, n3_step=0, c=9, c_step=0, until=Until.TOKENS)
    small = ["One.\n\nWait, no", f"{rest}\n\nEnd.</think>\n\n4"]
    trace = run(Keywords(chosen), small, ["Wait, unwritten words."]).trace
    text = settled(steps, trace, qtbot)
    block = steps.document().findBlock(text.index(rest))
    assert block.text() == rest
    assert block.textList() is None
