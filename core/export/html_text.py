"""Renders the thinking or the answer of a trace as HTML: its Markdown with signs and colours of the authors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from html import escape
from itertools import groupby, pairwise
from typing import NamedTuple

from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.markdown.blocks import Grid, Kind, Look, Row, Run
from baton_reasoning.core.markdown.latex import typeset
from baton_reasoning.core.thinking.registry import POLICIES
from baton_reasoning.core.thinking.trace import Piece, Trace
from baton_reasoning.core.words.authors import SIGN, WHO
from baton_reasoning.core.words.step_rows import StepRows, TracePart

FORMULA_SIZE = 17.5
"""Pixels, at which capitals of formulas are as tall as those of a page in letters of 16."""


class _Share(NamedTuple):
    """What one piece, or several in a formula, wrote of a row."""

    pieces: tuple[Piece, ...]
    html: str


def text_html(trace: Trace, part: TracePart, own_name: Callable[[Piece], str]) -> str:
    """Render a part of a trace; "" if there is none. `own_name`: names the model of a piece, as `own_names`."""
    written = StepRows(part)
    written.follow(trace, live=False)
    rows: list[Row | Grid] = []
    while True:
        first, portion = written.next_rows()
        rows[first:] = portion
        if written.is_complete:
            break
    return "".join(_Page(written, own_name).rows(rows))


class _Page:
    """Renders rows, and signs each piece where it begins."""

    def __init__(self, written: StepRows, own_name: Callable[[Piece], str]) -> None:
        self._written, self._own_name = written, own_name
        self._signed: Piece | None = None
        """The last piece that has its sign."""

    def rows(self, rows: Sequence[Row | Grid]) -> Iterator[str]:
        for is_code, group in groupby(rows, key=lambda row: isinstance(row, Row) and row.kind in _CODE):
            if is_code:
                yield f'<div class="code">{"".join(map(self._row, group))}</div>'
            else:
                yield from map(self._row, group)

    def _row(self, row: Row | Grid) -> str:
        if isinstance(row, Grid):
            return "".join(("<table>", *map(self._table_row, row.rows), "</table>"))
        shares = self._shares(row.runs) or [_Share((self._owner(row.start),), _HEADS.get(row.kind, ""))]
        if row.kind is Kind.CODE_HEAD:
            shares = [shares[0]._replace(html=f'<span class="why">{escape(row.language)}</span>')]
        indent = f' style="margin-left:{1.5 * row.depth + row.quotes:g}em"' if row.depth or row.quotes else ""
        marker = f'<span class="marker">{row.marker}</span>' if row.marker else ""
        authors, text = self._joined(shares, signs=row.kind is not Kind.CODE)
        kind = f"row {row.kind.name.lower()} {authors}"
        return f'<div class="{kind}">{self._signs(shares)}<span class="text"{indent}>{marker}{text}</span></div>\n'

    def _table_row(self, cells: Sequence[Sequence[Run]]) -> str:
        html = []
        for cell in cells:
            shares = self._shares(cell)
            authors, text = self._joined(shares) if shares else ("", "")
            html.append(f'<td class="{authors}">{self._signs(shares)}{text}</td>')
        return f"<tr>{''.join(html)}</tr>"

    def _owner(self, place: int) -> Piece:
        piece = self._written.piece_at(place)
        assert piece is not None  # there are no rows of no piece
        return piece

    def _shares(self, runs: Sequence[Run]) -> list[_Share]:
        """Cut runs where another piece begins, and join what one piece wrote."""
        shares: list[_Share] = []
        for run in runs:
            pieces = tuple(self._written.pieces_between(run.start, max(run.end, run.start + 1)))
            if not run.is_exact or len(pieces) == 1:
                shares.append(_Share(pieces, _run_html(run.text, run.look)))
                continue
            inner = (piece.position - self._written.start - run.start for piece in pieces[1:])
            edges = pairwise([0, *inner, len(run.text)])
            for piece, (start, end) in zip(pieces, edges, strict=True):
                shares.append(_Share((piece,), _run_html(run.text[start:end], run.look)))
        joined = groupby(shares, key=lambda share: [id(piece) for piece in share.pieces])
        groups = (list(group) for _, group in joined)
        return [_Share(group[0].pieces, "".join(share.html for share in group)) for group in groups]

    def _joined(self, shares: Sequence[_Share], signs: bool = True) -> tuple[str, str]:
        """Return the authors of some shares as CSS classes, and the HTML. Of several authors, each share names its own.

        `signs`: whether with a sign, which in code would move what follows it.
        """
        authors = list(dict.fromkeys(piece.author.value for share in shares for piece in share.pieces))
        if len(authors) == 1:
            return authors[0], "".join(share.html for share in shares)
        return " ".join(["mixed", *authors]), "".join(self._marked(share, signs) for share in shares)

    def _marked(self, share: _Share, signs: bool) -> str:
        """Mark a share of a row of several authors."""
        piece = share.pieces[-1]
        authors = dict.fromkeys(each.author for each in share.pieces)
        name = f' <span class="why">{escape(self._own_name(piece))}</span> ' if self._own_name(piece) else ""
        sign = "".join(f"<b>{SIGN[author]}</b>" for author in authors) + name if signs else ""
        return f'<span class="by {piece.author.value}" title="{_who(piece)}">{sign}{share.html}</span>'

    def _signs(self, shares: Sequence[_Share]) -> str:
        """Sign a row with each of its authors, if a piece begins in it; if they are one, say who and why."""
        pieces = [piece for share in shares for piece in share.pieces]
        fresh = [piece for piece in pieces if self._signed is None or piece.position > self._signed.position]
        if not fresh:
            return ""
        self._signed = fresh[-1]
        shown = {piece.author: piece for piece in reversed(pieces)}
        signs = (f'<b title="{_who(shown[author])}">{SIGN[author]}</b>' for author in Author if author in shown)
        said = [self._own_name(fresh[0]), _reason(fresh[0])] if len(shown) == 1 else []
        notes = "".join(f'<span class="why">{escape(words)}</span> ' for words in said if words)
        return f'<span class="signs">{"".join(signs)}</span>{notes}'


_CODE = (Kind.CODE, Kind.CODE_HEAD)
_HEADS = {Kind.RULE: "<hr>"}


def _reason(piece: Piece) -> str:
    """Return why a piece was not written by the default writer."""
    if not piece.reason:
        return ""
    return POLICIES.reason(piece.reason).label + (f", cue “{piece.cue.word}”" if piece.cue else "")


def _who(piece: Piece) -> str:
    return escape(": ".join(filter(None, (WHO[piece.author], _reason(piece)))))


def _run_html(text: str, look: Look) -> str:
    """Render a run."""
    if look.formula:
        found = typeset(look.formula.latex, look.formula.display, FORMULA_SIZE)
        if found is None:
            return f"<code>{escape(look.formula.source)}</code>"
        label = escape(look.formula.source)
        return f'<span class="formula" title="{label}" style="vertical-align:{-found.descent:.1f}px">{found.svg}</span>'
    html = escape(text)
    marks = ((look.code, "code"), (look.strong, "strong"), (look.emphasis, "em"), (look.struck, "s"), (look.cue, "u"))
    for is_marked, tag in marks:
        kind = f' class="{look.syntax}"' if tag == "code" and look.syntax else ""
        html = f"<{tag}{kind}>{html}</{tag}>" if is_marked else html
    if look.link:
        html = f'<a href="{escape(look.link)}" rel="noopener noreferrer">{html}</a>'
    return f'<span class="why">{html}</span>' if look.muted or look.note else html
