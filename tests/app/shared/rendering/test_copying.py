"""What is copied can be pasted: sources instead of gaps, in two formats."""

from PySide6.QtGui import QTextCursor, QTextDocument

from baton_reasoning.app.shared.rendering import TextStyle, as_markdown, as_plain_text, code_of, render_into

ANSWER = r"""## Sum of $n$

We get **ten** percent: 10%

1. first \(x\)

   \[ \frac{1}{2} \]

   and on

2. second
   - inner

> as was said

```python
x = 2

y = "$"
```

| n | $n^2$ |
|---|---|
| 2 | 4 |

---

Broken $\frac{1}{$ and \boxed{15}."""


def selected(document: QTextDocument, start: int, end: int) -> QTextCursor:
    cursor = QTextCursor(document)
    cursor.setPosition(start)
    cursor.setPosition(end, QTextCursor.MoveMode.KeepAnchor)
    return cursor


def test_markdown_comes_back_as_it_was_read(document: QTextDocument, style: TextStyle) -> None:
    render_into(document, ANSWER, style)
    assert as_markdown(document) == ANSWER


def test_plain_text_keeps_the_sources_of_formulas(document: QTextDocument, style: TextStyle) -> None:
    render_into(document, "**so** $x^2$ or $x^2$$x^2$ and\n\n- a\n- b\n\n| a | b |\n|---|---|\n| 1 | 2 |", style)
    assert as_plain_text(document) == "so $x^2$ or $x^2$$x^2$ and\n\n• a\n• b\n\na\tb\n1\t2"


def test_a_selection_copies_only_what_it_holds(document: QTextDocument, style: TextStyle) -> None:
    render_into(document, "# one $x$ two", style)
    assert as_markdown(selected(document, 1, 6)) == "ne $x$"
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
