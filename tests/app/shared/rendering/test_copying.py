"""What is copied can be pasted: sources instead of gaps, in three ways of writing."""

import pytest
from PySide6.QtGui import QTextCursor, QTextDocument

from app.shared.rendering import TextStyle, as_latex, as_markdown, as_plain_text, code_of, render_into

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


def test_latex_nests_lists_escapes_words_and_sets_formulas_free(document: QTextDocument, style: TextStyle) -> None:
    render_into(document, ANSWER, style)
    assert as_latex(document) == (
        r"""\subsection*{Sum of \(n\)}

We get \textbf{ten} percent: 10\%

\begin{enumerate}
\item first \(x\)
\[\frac{1}{2}\]
and on
\item second
\begin{itemize}
\item inner
\end{itemize}
\end{enumerate}
\begin{quote}
as was said
\end{quote}
\begin{verbatim}
x = 2

y = "$"
\end{verbatim}

\begin{tabular}{ll}
n & \(n^2\) \\ \hline
2 & 4 \\
\end{tabular}
\hrule

Broken $\frac{1}{$ and \(\boxed{15}\)."""
    )


@pytest.mark.parametrize(
    ("latex", "expected"),
    [
        (r"\begin{align*}a&=b\end{align*}", r"\begin{align*}a&=b\end{align*}"),
        (r"\begin{aligned}a&=b\end{aligned}", r"\[\begin{aligned}a&=b\end{aligned}\]"),
        (r"\begin{cases}a\end{cases}", r"\[\begin{cases}a\end{cases}\]"),
        ("$$x$$", r"\[x\]"),
    ],
)
def test_latex_opens_mathematics_just_once(
    document: QTextDocument, style: TextStyle, latex: str, expected: str
) -> None:
    render_into(document, latex, style)
    assert as_latex(document) == expected


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
