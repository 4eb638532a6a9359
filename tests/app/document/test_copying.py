"""What is copied can be pasted: sources instead of gaps."""

from PySide6.QtGui import QTextCursor, QTextDocument

from baton_reasoning.app.document import TextStyle, as_plain_text, code_of, render_into


def selected(document: QTextDocument, start: int, end: int) -> QTextCursor:
    cursor = QTextCursor(document)
    cursor.setPosition(start)
    cursor.setPosition(end, QTextCursor.MoveMode.KeepAnchor)
    return cursor


def test_a_text_is_copied_with_the_sources_of_its_formulas(document: QTextDocument, style: TextStyle) -> None:
    text = (
        "**so** $x^2$ or $x^2$$x^2$ and $\\nosuchcommand{x}{$\n\n- a\n\n  3. b\n  4. c\n- d\n\n"
        "| a | b |\n|---|---|\n| | 2 |\n\n```python\nx = 2\n\ny = 3\n```\n\nend"
    )
    render_into(document, text, style)
    assert as_plain_text(document) == (
        "so $x^2$ or $x^2$$x^2$ and $\\nosuchcommand{x}{$\n\n• a\n  3. b\n  4. c\n• d\n\n"
        "a\tb\n\t2\n\nx = 2\n\ny = 3\n\nend"
    )


def test_a_selection_copies_only_what_it_holds(document: QTextDocument, style: TextStyle) -> None:
    render_into(document, "# one $x$ two", style)
    assert as_plain_text(selected(document, 1, 6)) == "ne $x$"
    assert as_plain_text(selected(document, 4, 5)) == "$x$"
    assert as_plain_text(selected(document, 0, 4)) == "one"


def test_each_copy_word_leads_to_its_own_code(document: QTextDocument, style: TextStyle) -> None:
    render_into(document, "```\na\n\nb\n```\n\n```\nc\n```", style)
    addresses = [address for address in _addresses(document) if address.startswith("copy:")]
    assert [code_of(document, address) for address in addresses] == ["a\n\nb", "c"]
    assert code_of(document, "copy:none") == ""


def _addresses(document: QTextDocument) -> list[str]:
    found = []
    block = document.begin()
    while block.isValid():
        at = block.begin()
        while not at.atEnd():
            found.append(at.fragment().charFormat().anchorHref())
            at += 1
        block = block.next()
    return found
