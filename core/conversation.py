"""A conversation as a tree: each exchange is a problem and its answer; its siblings are other attempts at that place.

Asked again with another seed, edited, or forked at a step, an exchange gets a sibling; nothing is ever overwritten.
The path from a root to a leaf is what stands in the window.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from baton_reasoning.core.demo_pair.task import DemoProblem
from baton_reasoning.core.engines.base import Message, Messages
from baton_reasoning.core.run import RunSettings, ask, question
from baton_reasoning.core.text import one_line
from baton_reasoning.core.thinking.trace import Trace

UNTITLED = "New conversation"
LONGEST_TITLE = 60
LONGEST_FULL_NAME = 1000
"""Characters of the first problem in a full name."""


@dataclass(eq=False)
class Exchange:
    """One problem and what was written for it."""

    problem: str
    settings: RunSettings = field(default_factory=RunSettings)
    parent: Exchange | None = None
    trace: Trace = field(default_factory=Trace)
    children: list[Exchange] = field(default_factory=list)
    shown_child: Exchange | None = None
    """The child that a person saw last; None: the newest."""
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    """Also the id of its run in the store."""
    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    is_read: bool = True
    """False while its trace is still being read from the store."""
    attempt: str = ""
    """Names the recording that wrote its trace, in the store; "" if it was never recorded."""
    is_written_elsewhere: bool = False
    """Whether another Baton is writing it; its trace is what that had saved when it was read."""

    def path(self) -> list[Exchange]:
        """Return the exchanges from the root to this one."""
        path = [self]
        while parent := path[-1].parent:
            path.append(parent)
        return path[::-1]

    def messages(self) -> Messages:
        """Return what the models are given: the earlier turns without their thinking, then this problem.

        Earlier questions stand as they were asked, so that the KV cache holds them. A problem of the demo stands alone:
        its models have never seen a second turn.
        """
        before: list[Message] = []
        for exchange in [] if DemoProblem.of(self.problem) else self.path()[:-1]:
            answer = Message("assistant", exchange.trace.answer.strip())
            before += [question(exchange.problem, exchange.settings), answer]
        return ask(self.problem, self.settings, tuple(before))


@dataclass(frozen=True)
class ShownComparison:
    """Answers to one problem that are shown side by side."""

    exchanges: tuple[Exchange, ...]
    expected: str = ""
    """The right answer, where it is known."""
    before: Exchange | None = None
    """The answer that was compared, shown again afterwards; None for a new problem."""


@dataclass(eq=False)
class Conversation:
    roots: list[Exchange] = field(default_factory=list)
    leaf: Exchange | None = None
    """The end of the path that is shown."""
    title: str = ""
    """The name that a person gave it; "" for its first problem."""
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    system: str | None = None
    """The system prompt for the next answers; None: as it is for new conversations. Each exchange keeps its own."""
    unsent: str = ""
    """What is typed there and not sent yet."""
    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    changed: datetime = field(default_factory=lambda: datetime.now(UTC))
    comparison: ShownComparison | None = None
    """What is shown instead of the path, as long as the conversation stays in memory."""

    @property
    def path(self) -> list[Exchange]:
        return self.leaf.path() if self.leaf else []

    @property
    def name(self) -> str:
        return self.title or title_of(self.roots[0].problem if self.roots else "")

    def siblings(self, exchange: Exchange) -> list[Exchange]:
        """Return all attempts at its place, itself included, oldest first."""
        return exchange.parent.children if exchange.parent else self.roots

    def add(self, exchange: Exchange, shows: bool = True) -> None:
        """Put it into the tree below its parent; `shows`: at the end of the path."""
        self.siblings(exchange).append(exchange)
        if shows:
            self._leave(exchange)
        self.touch()

    def set_tree(self, exchanges: Iterable[tuple[Exchange, str | None]], leaf: str | None) -> None:
        """Put exchanges into the tree, parents first, each with the id of its parent; the first is a root.

        The path shown ends at the leaf, or at the newest exchange where there is no such leaf.
        """
        known: dict[str, Exchange] = {}
        for exchange, parent in exchanges:
            exchange.parent = known.get(parent or "")
            known[exchange.id] = exchange
            self.siblings(exchange).append(exchange)
        self.leaf = known.get(leaf or "") or next(reversed(known.values()), None)

    def show(self, exchange: Exchange) -> None:
        """Show the path through it, down the branch that was shown last, or else its newest."""
        leaf = exchange
        while leaf.children:
            leaf = leaf.shown_child or leaf.children[-1]
        self._leave(leaf)

    def _leave(self, leaf: Exchange) -> None:
        """Show another path, and remember this one."""
        for exchange in self.path:
            if exchange.parent:
                exchange.parent.shown_child = exchange
        self.leaf = leaf

    def touch(self) -> None:
        self.changed = datetime.now(UTC)

    def __iter__(self) -> Iterator[Exchange]:
        """Iterate over every exchange, parents first."""
        waiting = list(self.roots)
        while waiting:
            exchange = waiting.pop(0)
            yield exchange
            waiting += exchange.children


def title_of(problem: str | None) -> str:
    """Cut a problem to a title at a word. (Thinking would be no title: it always begins with "Okay, so".)"""
    words = full_name_of(problem)
    if len(words) <= LONGEST_TITLE:
        return words
    return words[:LONGEST_TITLE].rsplit(" ", 1)[0] + " …"


def full_name_of(problem: str | None) -> str:
    """Return a problem on one line; `UNTITLED` without one."""
    return one_line(problem or "", LONGEST_FULL_NAME) or UNTITLED
