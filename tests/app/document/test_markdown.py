"""Markdown of models becomes a document that shows what was meant."""

import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PySide6.QtCore import QRectF
from PySide6.QtGui import QColor, QImage, QPainter, QTextCharFormat, QTextCursor, QTextDocument

from baton_reasoning.app.document import render_at, render_into
from baton_reasoning.app.document.clipboard import selected_text
from baton_reasoning.app.document.formula_object import OBJECT_CHARACTER, formula_of
from baton_reasoning.app.document.formulas import Formula
from baton_reasoning.app.document.markdown import LINE_BREAK, code_of
from baton_reasoning.app.document.typeset import Typesetter, typeset
from baton_reasoning.app.toolkit.background import BackgroundTasks
from tests.tiers import size


def formats(document: QTextDocument) -> list[tuple[str, QTextCharFormat]]:
    """Every stretch of one format, block by block."""
    found = []
    block = document.begin()
    while block.isValid():
        at = block.begin()
        while not at.atEnd():
            found.append((at.fragment().text(), at.fragment().charFormat()))
            at += 1
        block = block.next()
    return found


def format_of(document: QTextDocument, text: str) -> QTextCharFormat:
    return next(form for part, form in formats(document) if part == text)


def formulas(document: QTextDocument) -> list[Formula]:
    return [formula for _, form in formats(document) if (formula := formula_of(form))]


def painted(document: QTextDocument, ratio: float = 1.0) -> QImage:
    size = document.size()
    image = QImage(round(size.width() * ratio), round(size.height() * ratio), QImage.Format.Format_ARGB32_Premultiplied)
    image.setDevicePixelRatio(ratio)
    image.fill(QColor("white"))
    painter = QPainter(image)
    document.drawContents(painter)
    painter.end()
    return image


def rows_with_ink(image: QImage, area: QRectF) -> list[int]:
    columns = range(max(0, int(area.left())), min(image.width(), int(area.right())))
    rows = range(max(0, int(area.top())), min(image.height(), int(area.bottom())))
    return [y for y in rows if any(image.pixelColor(x, y).lightness() < 140 for x in columns)]


def test_a_formula_is_one_character_that_knows_its_source(document, style):
    render_into(document, r"so \(x^2\) it is", style)
    assert document.begin().text() == f"so {OBJECT_CHARACTER} it is"
    assert formulas(document) == [Formula("x^2", False, r"\(x^2\)")]


def test_a_displayed_formula_stands_alone_and_centred(document, style):
    render_into(document, "We get\n\\[\na = b\n\\]\nso.", style)
    blocks = document.toPlainText().split("\n")
    assert blocks == ["We get", OBJECT_CHARACTER, "so."]


def test_a_formula_sits_on_the_line_of_its_text(document, style):
    render_into(document, "EEEE $E$", style)
    image = painted(document)
    words, formula = QRectF(4, 0, 30, 40), QRectF(document.idealWidth() - 16, 0, 14, 40)
    bottom_of_text, bottom_of_formula = rows_with_ink(image, words)[-1], rows_with_ink(image, formula)[-1]
    assert abs(bottom_of_text - bottom_of_formula) <= 1


def test_a_deep_formula_moves_the_next_line_down(document, style):
    render_into(document, "E $x$\nE", style)
    shallow = document.size().height()
    render_into(document, "E $\\begin{pmatrix}1\\\\2\\\\3\\end{pmatrix}$\nE", style)
    assert document.size().height() > shallow + 30


@pytest.mark.parametrize("broken", [r"$\frac{1}{$", r"\[ \left( x \]", r"\(\nosuch{x}\)", "$a_b_c$"])
def test_a_formula_that_cannot_be_set_stands_as_its_source_in_code(document, style, broken):
    render_into(document, f"so {broken} it is", style)
    assert format_of(document, broken).font().family() == style.code_font.family()
    assert formulas(document) == []


def test_a_formula_wider_than_the_page_shrinks_to_it(document, style):
    document.setTextWidth(300)
    render_into(document, "$" + "a + " * 12 + "b$", style)
    assert document.idealWidth() <= 300


def test_a_formula_drawn_on_a_fine_screen_is_finer(document, style):
    render_into(document, r"\(\frac{a}{b}\)", style)
    once, twice = painted(document), painted(document, 2.0)
    coarse = once.scaled(twice.size()).convertToFormat(twice.format())
    assert coarse != twice
    assert rows_with_ink(twice, QRectF(twice.rect())) != []


def test_formulas_set_ahead_in_another_thread_are_found_done(document, style, qtbot):
    text = r"so \(\sqrt{1729}\) and \[\sqrt{1730}\]"
    typesetter, ready = Typesetter(), []
    typesetter.prepare(text, style.formula_size, lambda: ready.append(typeset.cache_info().misses), typesetter)
    assert not ready
    qtbot.waitUntil(lambda: bool(ready))
    render_into(document, text, style)
    assert len(formulas(document)) == 2
    assert typeset.cache_info().misses == ready[0]
    BackgroundTasks.of(typesetter).close()


def test_spans_are_set_as_markdown_means_them(document, style):
    render_into(document, "**b** *i* ~~s~~ `c`", style)
    assert format_of(document, "b").fontWeight() > 400
    assert format_of(document, "i").fontItalic()
    assert format_of(document, "s").fontStrikeOut()
    assert format_of(document, "c").font().family() == style.code_font.family()


def test_lines_end_where_the_model_ended_them(document, style):
    render_into(document, "one\ntwo", style)
    assert document.begin().text() == f"one{LINE_BREAK}two"


def test_lists_count_from_where_the_model_began(document, style):
    render_into(document, "3. three\n4. four\n   - inner", style)
    first = document.begin()
    items = first.textList()
    assert items is not None
    assert items.itemText(first) == "3."
    assert items.count() == 2


def test_indented_text_is_no_code_and_dashes_make_no_heading(document, style):
    render_into(document, "    $x$\n\ntext\n---\nmore", style)
    assert len(formulas(document)) == 1
    assert document.findBlockByNumber(1).text() == "text"
    assert format_of(document, "text").fontWeight() == 400


@pytest.mark.parametrize(
    ("markdown", "shown", "address"),
    [
        ("[a](https://example.org/x)", "a", "https://example.org/x"),
        ("![a](http://example.org/p.png)", "a", "http://example.org/p.png"),
        ("[a](mailto:a@example.org)", "[a](mailto:a@example.org)", ""),
        ("[a](relative)", "[a](relative)", ""),
        ("[a](javascript:x)", "[a](javascript:x)", ""),
        ("[a](file:///etc/passwd)", "[a](file:///etc/passwd)", ""),
    ],
)
def test_links_lead_only_to_the_web_and_pictures_are_links(document, style, markdown, shown, address):
    render_into(document, markdown, style)
    assert document.toPlainText() == shown
    assert {form.anchorHref() for _, form in formats(document)} == {address}


def test_html_is_shown_and_not_obeyed(document, style):
    render_into(document, "<script>x</script> <img src='http://e.org/p'>", style)
    assert document.toPlainText() == "<script>x</script> <img src='http://e.org/p'>"


def test_a_table_has_its_rows_and_its_formulas(document, style):
    render_into(document, "| n | $n^2$ |\n|---|---|\n| 1 | $1$ |", style)
    assert [formula.latex for formula in formulas(document)] == ["n^2", "1"]


def test_rendering_again_replaces_what_was_there(document, style):
    render_into(document, "```\ncode\n```\n\n- item", style)
    render_into(document, "plain", style)
    assert document.toPlainText() == "plain"
    assert document.begin().textList() is None


@pytest.mark.parametrize("markdown", ["two", "- two", "| two |\n|---|", "# two", "> two", "```\ntwo\n```", "$$two$$"])
def test_a_text_after_another_stands_there_as_it_does_alone(document, style, markdown):
    render_into(document, markdown, style)
    alone = looks(document)
    render_into(document, "one", style)
    cursor = QTextCursor(document)
    cursor.movePosition(QTextCursor.MoveOperation.End)
    render_at(cursor, markdown, style)
    assert cursor.atEnd()
    assert looks(document)[0][0] == "one"
    assert looks(document)[1:] == (alone if alone[0][0] else alone[1:])  # Qt hides an empty block before a table


def looks(document: QTextDocument) -> list[tuple[object, ...]]:
    """Each block: its text, its place in lists and tables, and its margins."""
    found: list[tuple[object, ...]] = []
    block = document.begin()
    while block.isValid():
        form, around = block.blockFormat(), block.textList()
        table = QTextCursor(block).currentTable() is not None
        place = (around.format().indent(), around.format().style()) if around else None
        found.append((block.text(), place, table, form.bottomMargin(), form.lineHeight(), form.alignment()))
        block = block.next()
    return found


def test_a_text_before_others_is_replaced_in_its_place(document, style):
    for text in ("one", "- two", "three"):
        cursor = QTextCursor(document)
        cursor.movePosition(QTextCursor.MoveOperation.End)
        render_at(cursor, text, style)
    cursor = QTextCursor(document.findBlockByNumber(0))
    cursor.movePosition(QTextCursor.MoveOperation.EndOfBlock)
    render_at(cursor, "> inserted $x$", style)
    assert document.toPlainText().split("\n") == ["one", f"inserted {OBJECT_CHARACTER}", "two", "three"]
    assert document.findBlockByNumber(2).textList() is not None


def test_the_word_copy_over_code_leads_to_that_code(document, style):
    render_into(document, "```python\na = '<é>'\n\nb $x$\n```\n\n```\nc\n```", style)
    addresses = [form.anchorHref() for text, form in formats(document) if text.startswith("Copy")]
    assert [code_of(address) for address in addresses] == ["a = '<é>'\n\nb $x$", "c"]


def test_titles_are_larger_and_other_headings_are_not(document, style):
    render_into(document, "# a\n\n## b\n\n### c\n\nd", style)
    sizes = [format_of(document, letter).font().pointSizeF() for letter in "abc"]
    size = style.font.pointSizeF()
    assert sizes == pytest.approx([size * 17 / 13, size * 17 / 13, size], abs=0.1)


def test_blanks_are_kept(document, style):
    render_into(document, "a   b\nc", style)
    assert document.begin().text() == f"a   b{LINE_BREAK}c"


BLOCKS = st.sampled_from(
    ["- ", "1. ", "> ", "```\n", "~~~\n", "| a | b |\n|---|---|\n| 1 | 2 |\n", "\n", "\n\n", "   ", "$x$", "\\[y\\]"]
)
SPANS = st.sampled_from(
    ["$$\nz\n$$", "**", "*", "`", "# ", "---\n", "word ", "[l](http://e.org)", "![p](http://e.org/p)", "<b>", "|"]
)
ODDITIES = st.sampled_from(
    ["\\boxed{5}", "\\begin{cases}a\\end{cases}", "\\", "\\(", "\x00", "\ue000", "\ufffc", "\u2028", "\r\n", "😀"]
)


@settings(max_examples=size(40, long=1_000), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(BLOCKS | SPANS | ODDITIES, max_size=20))
def test_any_text_at_all_is_set_and_copied(document, style, pieces):
    render_into(document, "".join(pieces), style)
    # No formula is left as a gap.
    cursor = QTextCursor(document)
    cursor.select(QTextCursor.SelectionType.Document)
    assert selected_text(cursor).count("\ufffc") <= pieces.count("\ufffc")
    assert not set("\ue000\ue001\ue002") & set(document.toPlainText())


@pytest.mark.slow
def test_warming_up_loads_what_the_first_text_needs():
    code = """if True:
        import sys
        from baton_reasoning.app import document
        document.warm_up()
        print({'markdown_it', 'ziamath'} - set(sys.modules))
    """
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
