"""Markdown of models, and the steps of a trace, become a document that shows what was meant."""

import subprocess
import sys
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from PySide6.QtCore import QPoint, QRectF, Qt, QUrl
from PySide6.QtGui import QColor, QGuiApplication, QImage, QPainter, QTextCursor, QTextDocument
from PySide6.QtWidgets import QScrollArea, QTextBrowser, QVBoxLayout, QWidget

from baton_reasoning.app.document.clipboard import fragments, selected_text
from baton_reasoning.app.document.result_label import ResultLabel
from baton_reasoning.app.document.rich_text import RichText
from baton_reasoning.app.document.row_writer import LINE_BREAK, RowWriter
from baton_reasoning.app.document.steps_view import GAP, StepsView, TextMark
from baton_reasoning.app.document.style import TextStyle
from baton_reasoning.app.document.typeset import Typesetter, formula_of, picture
from baton_reasoning.app.toolkit.background import BackgroundTasks
from baton_reasoning.app.toolkit.theme import DARK, LIGHT, current_theme, reading_font
from baton_reasoning.core.analysis.cue_profile import lexicon_json
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.markdown.blocks import FORMULA_CHARACTER, LONGEST_LINE, read
from baton_reasoning.core.markdown.formulas import Formula
from baton_reasoning.core.markdown.latex import typeset
from baton_reasoning.core.markdown.parser import clean
from baton_reasoning.core.run import RunSettings
from baton_reasoning.core.thinking.cues import Category, Lexicon
from baton_reasoning.core.thinking.events import RunStarted
from baton_reasoning.core.thinking.policies.alone import Never
from baton_reasoning.core.thinking.policies.keywords import Keywords
from baton_reasoning.core.thinking.policy import PolicyContext
from baton_reasoning.core.thinking.trace import Trace, thinking_pieces
from baton_reasoning.core.words.step_rows import TracePart
from tests.authored import authored
from tests.core.thinking.running import run
from tests.fakes.scripted import ScriptedEngine, characters
from tests.tiers import size


@pytest.fixture
def style(qapp):
    return TextStyle.of(LIGHT, reading_font())


@pytest.fixture
def document(qapp):
    document = QTextDocument()
    document.setTextWidth(500)
    return document


def render_into(document, markdown, style):
    """Write a text into an empty document, with its formulas set at once."""
    document.clear()
    writer = RowWriter(document, style, None)
    writer.write(0, [row for block in read(clean(markdown)).blocks for row in block.rows])
    return writer


def blocks(document):
    block = document.begin()
    while block.isValid():
        yield block
        block = block.next()


def formats(document):
    """Every stretch of one format, block by block."""
    return [(part.text(), part.charFormat()) for block in blocks(document) for part in fragments(block)]


def format_of(document, text):
    return next(form for part, form in formats(document) if part == text)


def formulas(document):
    return [formula for _, form in formats(document) if (formula := formula_of(form))]


def painted(document, ratio=1.0):
    size = document.size()
    image = QImage(round(size.width() * ratio), round(size.height() * ratio), QImage.Format.Format_ARGB32_Premultiplied)
    image.setDevicePixelRatio(ratio)
    image.fill(QColor("white"))
    painter = QPainter(image)
    document.drawContents(painter)
    painter.end()
    return image


def rows_with_ink(image, area):
    columns = range(max(0, int(area.left())), min(image.width(), int(area.right())))
    rows = range(max(0, int(area.top())), min(image.height(), int(area.bottom())))
    return [y for y in rows if any(image.pixelColor(x, y).lightness() < 140 for x in columns)]


def test_a_formula_is_one_character_that_knows_its_source(document, style):
    render_into(document, r"so \(x^2\) it is", style)
    assert document.begin().text() == f"so {FORMULA_CHARACTER} it is"
    assert formulas(document) == [Formula("x^2", False, r"\(x^2\)")]
    render_into(document, "We get\n\\[\na = b\n\\]\nso.", style)
    assert document.toPlainText().split("\n") == ["We get", FORMULA_CHARACTER, "so."]
    render_into(document, "| n | $n^2$ |\n|---|---|\n| 1 | $1$ |", style)
    assert [formula.latex for formula in formulas(document)] == ["n^2", "1"]
    render_into(document, "[a](https://example.org/$x$) $y$", style)
    assert document.toPlainText() == f"a {FORMULA_CHARACTER}", "an address shows no formula"


def test_a_formula_takes_the_room_it_needs_and_shrinks_to_the_page(document, style):
    render_into(document, "E $x$\nE", style)
    shallow = document.size().height()
    render_into(document, "E $\\begin{pmatrix}1\\\\2\\\\3\\end{pmatrix}$\nE", style)
    assert document.size().height() > shallow + 30
    document.setTextWidth(300)
    render_into(document, "$" + "a + " * 12 + "b$", style)
    assert document.idealWidth() <= 300


def test_a_formula_sits_on_the_line_of_its_text_and_is_finer_on_a_fine_screen(document, style):
    render_into(document, "EEEE $E$", style)
    image = painted(document)
    words, formula = QRectF(4, 0, 30, 40), QRectF(document.idealWidth() - 16, 0, 14, 40)
    bottom_of_text, bottom_of_formula = rows_with_ink(image, words)[-1], rows_with_ink(image, formula)[-1]
    assert abs(bottom_of_text - bottom_of_formula) <= 1
    twice = painted(document, 2.0)
    assert image.scaled(twice.size()).convertToFormat(twice.format()) != twice, "drawn anew, and finer"


@pytest.mark.parametrize("broken", [r"$\frac{1}{$", r"\[ \left( x \]", r"\(\nosuch{x}\)", "$a_b_c$"])
def test_a_formula_that_cannot_be_set_stands_as_its_source_in_code(document, style, broken):
    render_into(document, f"so {broken} it is", style)
    assert format_of(document, broken).font().family() == style.code_font.family()
    assert formulas(document) == []


def test_formulas_are_set_in_another_thread_and_then_take_the_place_of_their_sources(document, style, qtbot):
    text = r"so \(\sqrt{1729}\) and" + "\n\n| a |\n|---|\n| \\(\\nosuch{x}\\) $x^{1730}$ |\n\nend"
    typesetter = Typesetter()
    writer = RowWriter(document, style, typesetter)
    with qtbot.waitSignal(writer.formulas_set):
        writer.write(0, [row for block in read(clean(text)).blocks for row in block.rows])
        assert "1729" in document.toPlainText()
        assert not formulas(document)
    assert [formula.latex for formula in formulas(document)] == [r"\sqrt{1729}", "x^{1730}"]
    assert r"\(\nosuch{x}\)" in document.toPlainText()
    BackgroundTasks.of(typesetter).close()


RESULTS = [(r"\frac{1}{2}", True), ("x^2", True), ("12", False), (r"\no{1", False)]


@pytest.mark.parametrize(("text", "is_formula"), RESULTS)
def test_a_result_is_typeset_where_it_is_a_formula_that_can_be(qtbot, text, is_formula):
    typesetter, page = Typesetter(), QWidget()
    result = ResultLabel(typesetter)
    QVBoxLayout(page).addWidget(result)
    qtbot.addWidget(page)
    page.show()
    result.setText(text)
    formula = Formula(text, display=True, source=text)
    size = TextStyle.of(LIGHT, result.font()).formula_size
    qtbot.waitUntil(lambda: text == "12" or typesetter.is_set(formula, size))
    qtbot.waitUntil(lambda: result.pixmap().isNull() is not is_formula)
    assert result.text() == text
    assert result.accessibleName() == f"Result: {text}"
    page.adjustSize()
    assert result.height() >= result.pixmap().height()
    BackgroundTasks.of(typesetter).close()


def test_spans_are_set_as_markdown_means_them(document, style):
    render_into(document, "**b** *i* ~~s~~ `c`", style)
    assert format_of(document, "b").fontWeight() > 400
    assert format_of(document, "i").fontItalic()
    assert format_of(document, "s").fontStrikeOut()
    assert format_of(document, "c").font().family() == style.code_font.family()
    render_into(document, "# a\n\n## b\n\n### c\n\nd", style)
    sizes, usual = [format_of(document, letter).font().pointSizeF() for letter in "abc"], style.font.pointSizeF()
    assert sizes == pytest.approx([usual * 17 / 13, usual * 17 / 13, usual], abs=0.1), "titles are larger"


def test_text_stands_as_the_model_wrote_it(document, style):
    render_into(document, "a   b\nc", style)
    assert document.begin().text() == f"a   b{LINE_BREAK}c"
    render_into(document, "    $x$\n\ntext\n---\nmore", style)
    assert len(formulas(document)) == 1, "indented text is no code"
    assert document.findBlockByNumber(1).text() == "text"
    assert format_of(document, "text").fontWeight() == 400, "dashes make no heading"
    render_into(document, "```\ncode\n```\n\n- item", style)
    render_into(document, "plain", style)
    assert document.toPlainText() == "plain"
    assert document.begin().textList() is None
    render_into(document, "3. three\n4. four\n   - inner", style)
    items = document.begin().textList()
    second = document.begin().next()
    numbers = items.itemText(document.begin()), second.textList().itemText(second)
    assert numbers == ("3.", "4."), "it counts from where the model began"


@pytest.mark.parametrize(
    ("markdown", "shown", "address"),
    [
        ("[a](https://example.org/x)", "a", "https://example.org/x"),
        ("![a](http://example.org/p.png)", "a", "http://example.org/p.png"),
        ("[a](mailto:a@example.org)", "[a](mailto:a@example.org)", ""),
        ("[a](relative)", "[a](relative)", ""),
        ("[a](javascript:x)", "[a](javascript:x)", ""),
        ("[a](file:///etc/passwd)", "[a](file:///etc/passwd)", ""),
        ("<script>x</script> <img src='http://e.org/p'>", "<script>x</script> <img src='http://e.org/p'>", ""),
    ],
)
def test_links_lead_only_to_the_web_and_pictures_are_links(document, style, markdown, shown, address):
    render_into(document, markdown, style)
    assert document.toPlainText() == shown
    assert {form.anchorHref() for _, form in formats(document)} == {address}


@pytest.mark.parametrize("markdown", ["two", "- two", "| two |\n|---|", "# two", "> two", "```\ntwo\n```", "$$two$$"])
def test_a_text_after_another_stands_there_as_it_does_alone(document, style, markdown):
    render_into(document, markdown, style)
    alone = looks(document)
    render_into(document, f"one\n\n{markdown}", style)
    assert looks(document)[0][0] == "one"
    assert looks(document)[1:] == alone


def looks(document):
    """Each block: its text, its place in lists and tables, and its margins."""
    found = []
    for block in blocks(document):
        form, around = block.blockFormat(), block.textList()
        table = QTextCursor(block).currentTable() is not None
        place = (around.format().indent(), around.format().style()) if around else None
        found.append((block.text(), place, table, form.bottomMargin(), form.lineHeight(), form.alignment()))
    return found


BLOCKS = ["- ", "1. ", "> ", "```\n", "~~~\n", "| a | b |\n|---|---|\n| 1 | 2 |\n", "\n", "\n\n", "# ", "---\n"]
SPANS = ["**", "*", "`", "   ", "word ", "[l](http://e.org)", "![p](http://e.org/p)", "<b>", "|", "\r\n", "😀"]
MATHS = ["$x$", "\\[y\\]", "$$\nz\n$$", "\\boxed{5}", "\\begin{cases}a\\end{cases}", "\\", "\\("]
ODDITIES = ["\x00", "\ue000", "\ufffc", "\u2028"]


@settings(max_examples=size(40, long=1_000), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(BLOCKS + SPANS + MATHS + ODDITIES), max_size=20))
def test_any_text_at_all_is_set_and_copied(document, style, pieces):
    render_into(document, "".join(pieces), style)
    # No formula is left as a gap.
    cursor = QTextCursor(document)
    cursor.select(QTextCursor.SelectionType.Document)
    assert selected_text(cursor).count("\ufffc") <= pieces.count("\ufffc")
    assert not set("\ue000\ue001\ue002") & set(document.toPlainText())


# The widget


@pytest.fixture
def view(qtbot):
    """As in a conversation: the page is longer than the window."""
    window, page, view = QScrollArea(), QWidget(), RichText()
    qtbot.addWidget(window)
    window.setWidgetResizable(True)
    window.resize(400, 600)
    QVBoxLayout(page).addWidget(view)
    window.setWidget(page)
    window.show()
    yield view
    window.close()


def test_the_widget_is_as_tall_as_its_text_and_tells_its_source(view, qtbot):
    view.set_markdown("one")
    low = view.height()
    view.set_markdown("one\n\ntwo\n\n\\[\\frac{a}{b}\\]")
    assert view.height() > 2 * low
    view.set_markdown("so **that** $x^2$")
    assert view.accessibleName() == "Text"
    assert view.accessibleDescription() == "so **that** $x^2$", "for a screen reader"
    view.selectAll()
    assert view.createMimeDataFromSelection().text() == "so that $x^2$"
    view.set_markdown(f"\\[{'+'.join(f'x_{{{number}}}' for number in range(60))}\\]\n\nThe last line.")
    qtbot.waitUntil(view.horizontalScrollBar().isVisible)
    qtbot.waitUntil(lambda: view.viewport().height() >= view.document().size().height() - 1)
    view.window().resize(9000, 600)
    qtbot.waitUntil(lambda: view.height() == round(view.document().size().height()))


def test_a_link_is_not_opened_and_the_word_copy_copies_the_code(view):
    view.set_markdown("[a](https://example.org)\n\n```python\na = '<é>'\n\nb $x$\n```\n\n```\nc\n```")
    view.anchorClicked.emit(QUrl("https://example.org"))
    assert view.document().toPlainText().startswith("a\n")
    assert not view.openLinks()
    assert not view.openExternalLinks()
    copies = [form.anchorHref() for text, form in formats(view.document()) if text.startswith("Copy")]
    for address, code in zip(copies, ("a = '<é>'\n\nb $x$", "c"), strict=True):
        view.anchorClicked.emit(QUrl(address))
        assert clipboard() == code


def test_code_below_other_code_has_a_ground_of_its_own(view, qtbot):
    view.set_markdown("```\na\n```\n```\nb\n```")
    qtbot.waitExposed(view)
    upper, lower = (view.cursorRect(QTextCursor(block)) for block in list(blocks(view.document()))[1:3])
    image, x = view.viewport().grab().toImage(), view.viewport().width() // 2
    colours = {image.pixelColor(x, y).name() for y in range(upper.bottom() + 1, lower.top())}
    assert len(colours) > 1, "the page is seen between them"


def test_a_text_follows_the_theme(view):
    theme = current_theme()
    before = theme.colours
    view.set_markdown("so $x$\n\n- one\n\n```\nc\n```")
    text = view.document().toPlainText()
    for colours in (DARK, before):
        theme.colours = colours
        theme.changed.emit()
        assert view.document().toPlainText() == text
        assert formats(view.document())[0][1].foreground().color() == QColor(colours.text)


def test_nothing_is_fetched(view, tmp_path):
    file = QUrl.fromLocalFile(str(tmp_path / "p.png"))
    QImage(2, 2, QImage.Format.Format_RGB32).save(str(tmp_path / "p.png"))
    picture = QTextDocument.ResourceType.ImageResource.value
    plain = QTextBrowser()
    assert plain.document().resource(picture, file) is not None, "Qt would load it"
    view.document().setHtml(f'<img src="{file.toString()}">')  # not ours to make
    for address in (file, QUrl("http://example.org/p.png")):
        loaded = view.document().resource(picture, address)
        assert isinstance(loaded, QImage)
        assert loaded.isNull()


def test_a_closing_tag_that_is_repeated_is_never_seen_in_the_answer(qtbot):
    small = ScriptedEngine("Hm.</think>\n\nOne <\n</think>\n\nTwo <", split=characters)
    answer, trace, seen = StepsView(Typesetter(), TracePart.ANSWER), Trace(), [""]
    qtbot.addWidget(answer)
    for event in run(Never(), small).trace.events:
        trace.apply(event)
        answer.sync(trace, live=True)
        seen.append(answer.toPlainText().rstrip("<"))
    assert not [text for text in seen if "/" in text]
    assert all(later.startswith(earlier) for earlier, later in pairwise(seen)), "what was shown stays"
    answer.sync(trace, live=False)
    assert answer.toPlainText().split() == ["One", "<", "Two", "<"]
    assert answer.accessibleDescription().split() == ["One", "<", "Two", "<"], "for a screen reader"


@pytest.mark.parametrize("text", ["- l", "- a\n    - l"])
def test_a_bullet_stands_off_its_text(document, style, text):
    render_into(document, text, style)
    image = painted(document)
    last = range(image.height() // 2 * text.count("\n"), image.height())
    inked = [x for x in range(image.width()) if any(image.pixelColor(x, y).lightness() < 160 for y in last)]
    assert inked[-1] < 80, "bullet and letter are all there is"
    assert max(after - before for before, after in pairwise(inked)) > 6


# Copying


def clipboard():
    return QGuiApplication.clipboard().text()


def selected(document, start=0, end=None):
    cursor = QTextCursor(document)
    cursor.setPosition(start)
    cursor.setPosition(document.characterCount() - 1 if end is None else end, QTextCursor.MoveMode.KeepAnchor)
    return selected_text(cursor)


def test_a_text_is_copied_with_the_sources_of_its_formulas(document, style):
    text = (
        "**so** 😀 $x^2$ or $x^2$$x^2$ and $\\nosuchcommand{x}{$\n\n- a\n- b\n\n"
        "| a | b |\n|---|---|\n| | $2$ |\n\n```python\nx = 2\n\ny = 3\n```\n\nend"
    )
    render_into(document, text, style)
    assert selected(document) == (
        "so 😀 $x^2$ or $x^2$$x^2$ and $\\nosuchcommand{x}{$\na\nb\na\tb\n\t$2$\nx = 2\n\ny = 3\nend"
    )

    render_into(document, "# one 😀 $x$ two", style)
    assert selected(document, 1, 8) == "ne 😀 $x$"
    assert selected(document, 7, 8) == "$x$"
    assert selected(document, 0, 4) == "one"

    render_into(document, "```\n    x = 2\n    y = 3\n```", style)
    assert selected(document) == "    x = 2\n    y = 3"


def test_a_selection_that_was_copied_does_not_crash_the_program_at_its_end_and_warming_up_loads_all():
    code = """if True:
        import sys
        from PySide6.QtGui import QGuiApplication
        from PySide6.QtWidgets import QApplication
        from baton_reasoning.app.document.row_writer import warm_up
        from baton_reasoning.app.document.rich_text import RichText
        from baton_reasoning.app.document.clipboard import release_clipboard
        application = QApplication([])
        text = RichText()
        text.set_markdown("One **two**")
        text.selectAll()
        text.copy()
        release_clipboard()
        print(QGuiApplication.clipboard().text())
        warm_up()
        print({'markdown_it', 'ziamath'} - set(sys.modules))
    """
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ended.stdout, ended.returncode) == ("One two\nset()\n", 0)


# The steps of a trace

SMALL, LARGE, PERSON = Author.SMALL, Author.LARGE, Author.PERSON
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
    view.sync(trace, live=False)
    qtbot.waitUntil(lambda: view.complete)
    qtbot.waitUntil(lambda: not view.writer.waits)
    return view.toPlainText()


@settings(max_examples=size(25, long=500), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example([(moment, False) for moment in range(200)])
@given(st.lists(st.tuples(st.integers(0, 200), st.booleans()), max_size=12))
def test_whenever_the_view_looks_it_shows_at_the_end_what_it_shows_at_once(qtbot, events, glances):
    """The view may be told at any moment, wrongly too, that nothing is being written any more."""
    typesetter = Typesetter()
    view, whole = StepsView(typesetter), StepsView(typesetter)
    trace, done = Trace(), 0
    for moment, live in sorted(glances):
        for event in events[done:moment]:
            trace.apply(event)
        done = moment
        view.sync(trace, live)
        QGuiApplication.processEvents()
        assert view.pieces == thinking_pieces(trace)
    for event in events[done:]:
        trace.apply(event)
    assert settled(view, trace, qtbot) == settled(whole, Trace.of(events), qtbot)
    assert looks(view.document()) == looks(whole.document())
    assert formats(view.document()) == formats(whole.document())
    BackgroundTasks.of(typesetter).close()
    view.close()
    whole.close()


def test_what_stands_in_the_text_is_shown_piece_below_piece_and_chosen_by_a_click(steps, events, qtbot):
    trace = Trace.of(events)
    text = settled(steps, trace, qtbot)
    inserted = f"Let us check whether there are some wrong steps. All is {FORMULA_CHARACTER} well, I think. Four."
    assert text.split("\n")[:3] == [f"One {FORMULA_CHARACTER}.", "Wait, I see it now, at last.", inserted]
    assert text.endswith("End."), "the closing tag is not shown"
    steps.selectAll()
    steps.copy()
    assert clipboard().startswith("One \\(x^2\\).\n")
    places = [steps.place_of(piece) for piece in thinking_pieces(trace)]
    assert all(above.top() <= below.top() for above, below in pairwise(places))
    large = next(piece for piece in trace.pieces if piece.author is Author.LARGE)
    with qtbot.waitSignal(steps.piece_clicked) as clicked:
        y = int(steps.place_of(large).center().y())
        qtbot.mouseClick(steps.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(20, y))
    assert clicked.args == [large]
    assert steps.selected is large


PARTS = st.tuples(st.sampled_from([SMALL, LARGE, PERSON]), st.sampled_from(BLOCKS + SPANS + MATHS + ODDITIES))


@given(st.lists(PARTS, max_size=14))
@settings(max_examples=size(40, long=800), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example([(SMALL, "```\na\n\n"), (LARGE, "b\n```\n")])
@example([(SMALL, "\\[y +"), (LARGE, " 2\\] z")])
@example([(SMALL, "- ```\n"), (LARGE, "**")])
@example([(SMALL, "One.\n\nIt is "), (LARGE, "- 3 is 5."), (SMALL, "\n\nEnd.")])
def test_a_text_has_the_blocks_of_its_whole_and_each_letter_its_author_whoever_wrote_what(qtbot, parts):
    """However it is cut into steps and authors: a click on a letter chooses the piece that it is in."""
    trace = authored(parts)
    typesetter, whole = Typesetter(), RichText(GAP)
    view = StepsView(typesetter)
    for widget in (view, whole):
        qtbot.addWidget(widget)
        widget.resize(600, 400)
        widget.show()
    settled(view, trace, qtbot)
    whole.set_markdown(trace.text.rstrip())
    assert [look[0] for look in looks(view.document())] == [look[0] for look in looks(whole.document())]
    assert looks(view.document()) == looks(whole.document())
    for row in view.writer.rows:
        for part in getattr(row, "runs", ()):
            if len(part.text) == part.end - part.start and part.text.strip() and part.look.formula is None:
                at = part.start + len(part.text) - len(part.text.lstrip())
                owner = next(piece for piece in trace.pieces if piece.position <= at < piece.end_position)
                place = view.mark_place(TextMark(at, at + 1, ""))
                assert owner.author in [each.author for each in lines_at(view, place)]
    BackgroundTasks.of(typesetter).close()


def lines_at(view, place):
    """The pieces of the line at a place of the view."""
    point = QPoint(int(place.left()) + 1, int(place.center().y()))
    return [piece for piece in (view.piece_at(point), view.piece_at(point - QPoint(3, 0))) if piece]


def test_a_block_of_code_that_both_models_wrote_is_one_with_the_authors_beside_its_lines(steps, qtbot):
    code = ["def f():", "", "    return 1", "", "# no heading", "x = 2"]
    parts = ["So:\n\n```python\ndef f():\n\n", "    return 1\n\n# no heading\n", "x = 2\n```"]
    trace = authored(zip((SMALL, LARGE, SMALL), parts, strict=True))
    assert settled(steps, trace, qtbot).split("\n")[1:] == ["Copy python", *code]
    copied = next(form.anchorHref() for _, form in formats(steps.document()) if form.anchorHref())
    steps.anchorClicked.emit(QUrl(copied))
    assert clipboard() == "\n".join(code)
    assert [line.authors for line in steps._lines(0, 9)] == [[SMALL]] * 4 + [[LARGE]] * 3 + [[SMALL]]
    first, last = (steps.place_of(piece) for piece in trace.pieces if piece.author is LARGE)
    assert first.bottom() <= last.top() + 3


def test_a_formula_and_a_line_of_two_authors_have_the_signs_of_both(steps, qtbot):
    trace = authored([(SMALL, "So \\[ x = 2\n\n"), (LARGE, "+ 3 \\] it"), (SMALL, " is\nso.")])
    settled(steps, trace, qtbot)
    assert [line.authors for line in steps._lines(0, 9)] == [[SMALL], [SMALL, LARGE], [LARGE, SMALL], [SMALL]]


def test_each_author_of_a_formula_has_a_part_of_it_as_long_as_what_was_written(steps, qtbot):
    settled(steps, authored([(LARGE, "\\[ x = \\frac{1}{2"), (SMALL, "}\n\\]")]), qtbot)
    (line,) = steps._lines(0, 0)
    large, small = line.shares
    assert large.right == small.left
    assert large.right - large.left > 2 * (small.right - small.left) > 0


@pytest.mark.parametrize("words", [("one ", "two three"), ("אחת ", "שתיים שלוש")])
def test_in_a_line_of_two_each_is_chosen_where_it_stands_also_from_right_to_left(steps, qtbot, words):
    trace = authored(zip((SMALL, LARGE), words, strict=True))
    settled(steps, trace, qtbot)
    for piece in trace.pieces:
        place = steps.mark_place(TextMark(piece.position, piece.position + 2, "")).center().toPoint()
        assert steps.piece_at(place) is piece
    (line,) = steps._lines(0, 0)
    small, large = line.shares
    assert (small.left < large.left) is words[0].isascii()


@pytest.mark.parametrize("step", ["One.", "- one", "| one |\n|---|", "```\none\n```", "> one", "# one"])
def test_there_is_the_same_gap_below_each_block(steps, qtbot, step):
    settled(steps, authored([(SMALL, f"First.\n\n{step}\n\nLast.")]), qtbot)
    ends = [block for block in blocks(steps.document()) if block.blockFormat().bottomMargin()]
    assert [block.blockFormat().bottomMargin() for block in ends] == [GAP, GAP, GAP]


def test_a_long_answer_comes_in_portions_and_completely(steps, qtbot):
    text = "".join(f"Step {number}.\n\n" for number in range(900)) + "</think>\n\n4"
    trace = run(Keywords(SETTINGS), [text]).trace
    steps.sync(trace, live=False)
    assert not steps.complete
    qtbot.waitUntil(lambda: steps.complete)
    assert steps.toPlainText().count("Step ") == 900


@pytest.mark.parametrize("length", [LONGEST_LINE, LONGEST_LINE + 1])
def test_a_line_without_end_stays_plain(steps, length, qtbot):
    line = "**bold** " + "x" * (length - 9)
    shown = settled(steps, authored([(SMALL, f"First.\n\n{line}\n\nLast.")]), qtbot)
    assert ("**bold**" in shown) is (length > LONGEST_LINE)
    assert shown.count("x") == length - 9
    assert shown.endswith("\nLast.")


def underlined(document):
    return [text for text, form in formats(document) if form.fontUnderline()]


def test_the_cues_of_the_run_are_underlined_and_not_the_english_ones(steps, qtbot):
    own = Lexicon({Category.REFLECTION: {"moment": ()}})
    run_settings = RunSettings(policy=SETTINGS, cue_list=lexicon_json(own)).model_dump(mode="json")
    large = ["A momentous moment, and wait: I see it now, at last. Unwritten words."]
    done = run(Keywords(SETTINGS, PolicyContext(0, own)), ["One.\n\nA moment of", "\n\nEnd.</think>\n\n4"], large)
    started, *events = done.trace.events
    assert isinstance(started, RunStarted)
    settled(steps, Trace.of([replace(started, settings=run_settings), *events]), qtbot)
    assert underlined(steps.document()) == ["moment"]


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
    assert underlined(steps.document()) == cues


def test_a_corrected_value_is_noted_beside_the_step(steps, qtbot):
    chosen = Keywords.Settings(n1=20, n2=20, n3=20, n3_step=0, c=9, c_step=0)
    takeover = "Wait, 4 fish are 2 + 2 = 4. Unwritten words."
    trace = run(Keywords(chosen), ["So 2 + 2 = 5.\n\nWait, no", "\n\nEnd.</think>\n\n4"], [takeover]).trace
    assert settled(steps, trace, qtbot).split("\n")[1].removeprefix(takeover).strip() == "5 → 4"
    steps.selectAll()
    steps.copy()
    assert clipboard().split("\n")[1] == takeover, "the note is no part of the text"


def test_the_picture_is_sharp_on_a_fine_screen_and_has_the_colour_asked_for(qapp):
    letter = typeset(r"\mathbf{H}", False, 20.0)
    assert letter is not None
    once, twice = picture(letter, "#c02020", 1.0), picture(letter, "#c02020", 2.0).toImage()
    assert twice.width() == pytest.approx(2 * once.width(), abs=2)
    pixels = [twice.pixelColor(x, y) for x in range(twice.width()) for y in range(twice.height())]
    assert {pixel.name() for pixel in pixels if pixel.alpha() == 255} == {"#c02020"}
    assert picture(letter, "#000001", 1.0).cacheKey() != once.cacheKey()
