"""Stores what is typed in a conversation and not sent yet, so that a kill costs at most the last half second of it.

Several programs may use one store. Of one conversation the text that was typed last is kept. A conversation of which
nothing was sent exists in one window only; once its program has ended, the next one takes the text over.
"""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from baton_reasoning.core.store.database import Database
from baton_reasoning.core.store.owners import is_alive, this_process
from baton_reasoning.core.store.runs import BUFFER_SECONDS
from baton_reasoning.core.store.writer import Buffer
from baton_reasoning.core.text import replace_lone_surrogates


class UnsentText(NamedTuple):
    conversation: str
    text: str


class UnsentTexts(Buffer[None]):
    """One thread keeps texts, the writer's thread saves them."""

    def __init__(self, database: Database) -> None:
        super().__init__()
        self._database = database
        self._typed: dict[str, str] = {}
        """The last text of each conversation in which something was typed here."""
        self._unsaved: list[UnsentText] = []
        self._saving = 0
        """Number of unsaved texts that the current transaction saves."""

    def keep(self, conversation: str, text: str) -> None:
        """Save the text in the place of the one before; "" removes it. Never blocks."""
        self._typed[conversation] = text
        # Appending, slicing and deleting are atomic, so the two threads need no lock.
        self._unsaved.append(UnsentText(conversation, text))
        self._database.writer.save(self, within=BUFFER_SECONDS)

    def read(self, conversation: str) -> str:
        """Return the text as it was typed last, here or elsewhere; "" if there is none. Raises StoreError."""
        if conversation in self._typed:
            return self._typed[conversation]
        with self._database.reading() as connection:
            row = connection.execute("SELECT text FROM unsent WHERE conversation = ?", (conversation,)).fetchone()
            return row["text"] if row else ""

    def take_over(self, conversation: str) -> str:
        """Move the newest unsent text of a program that has ended to a new conversation, and return it; "" if there is
        none. Raises StoreError."""
        with self._database.reading() as connection:
            rows = connection.execute(
                """SELECT conversation, text, owner FROM unsent
                    WHERE conversation NOT IN (SELECT id FROM conversations) ORDER BY number DESC"""
            )
            left = (row for row in rows if row["owner"] == this_process() or not is_alive(connection, row["owner"]))
            if (found := next(left, None)) is None:
                return ""
            before, text = found["conversation"], str(found["text"])
        self.keep(before, "")
        self.keep(conversation, text)
        return text

    def save(self, connection: sqlite3.Connection) -> None:
        unsaved = self._unsaved[:]
        self._saving = len(unsaved)
        for conversation, text in dict(unsaved).items():
            connection.execute("DELETE FROM unsent WHERE conversation = ?", (conversation,))
            if text:
                values = conversation, replace_lone_surrogates(text), this_process()
                connection.execute("INSERT INTO unsent (conversation, text, owner) VALUES (?, ?, ?)", values)

    def saved(self, result: None) -> None:
        del self._unsaved[: self._saving]
        super().saved(result)
