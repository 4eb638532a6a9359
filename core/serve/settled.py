"""Which part of a growing text can no longer be discarded.

A policy may discard a lookahead, or a step that the large model writes again. What a client was sent cannot be taken
back, so text is sent one finished step behind: a policy discards at most the step that has just ended. In a run of a
single model nothing is ever discarded, and every token is sent at once.
"""

from __future__ import annotations

from typing import NamedTuple

from core.thinking.events import Event, TextDiscarded, TextInserted, ThinkingClosed, TokenWritten


class SettledText(NamedTuple):
    """Text that a client may be sent."""

    reasoning: str
    content: str


class TextSettler:
    """The text of one run, and how much of it was handed out."""

    def __init__(self, at_once: bool) -> None:
        """`at_once`: nothing is ever discarded."""
        self._at_once = at_once
        self._text = ""
        self._sent = 0
        self._steps = [0]
        """Where each step begins, in characters."""
        self._closed: ThinkingClosed | None = None

    def apply(self, event: Event) -> None:
        match event:
            case TokenWritten(text=text, ends_step=ends_step):
                self._text += text
                if ends_step:
                    self._steps.append(len(self._text))
            case TextInserted(text=text):
                self._text += text
            case TextDiscarded(position=position):
                self._text = self._text[:position]
                self._steps = [start for start in self._steps if start <= position] or [0]
                if self._closed and position < self._closed.position:
                    self._closed = None
            case ThinkingClosed():
                self._closed = event

    def take(self, thinks: bool, over: bool = False) -> SettledText:
        """What has settled since the last call; everything that is left if the run is `over`."""
        end = len(self._text) if over or self._at_once else self._steps[max(0, len(self._steps) - 2)]
        if thinks and not over:
            end = min(end, self._before_half_a_tag())
        start, self._sent = self._sent, max(self._sent, end)
        if end <= start:
            return SettledText("", "")
        if not thinks:
            return SettledText("", self._text[start:end])
        if self._closed is None:
            return SettledText(self._text[start:end], "")
        opening = self._closed.position - len(self._closed.tag)
        return SettledText(
            self._text[start : min(end, max(start, opening))], self._text[max(start, self._closed.position) : end]
        )

    def _before_half_a_tag(self) -> int:
        """A closing tag arrives in several tokens: what may be its beginning waits."""
        if self._closed:
            return len(self._text)
        tail = self._text.rfind("<", max(0, len(self._text) - 32))
        return tail if tail >= 0 else len(self._text)
