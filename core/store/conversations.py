"""Stores conversations: trees of exchanges, each a problem and its answer. Siblings are other tries at the same place.

The answer is a run with the id of its exchange. Nothing is overwritten; what is deleted can be restored until it
is purged.
"""

from __future__ import annotations

import json
import re
import sqlite3
import unicodedata
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from datetime import date, datetime
from itertools import groupby
from typing import NamedTuple

from baton_reasoning.core.conversation import LONGEST_FULL_NAME, Conversation, Exchange, full_name_of, title_of
from baton_reasoning.core.errors import StoreError
from baton_reasoning.core.store.database import Database
from baton_reasoning.core.store.timestamps import format_timestamp, now
from baton_reasoning.core.text import replace_lone_surrogates
from baton_reasoning.core.thinking.run_settings import RunSettings

BEFORE, AFTER = 16, 60
"""Characters of an excerpt on each side of the match."""
UNSPACED = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)
"""Thai, Lao, Burmese, Khmer, Japanese, Chinese: scripts without spaces between words."""
TEXT = "exchange_text.problem || char(10) || exchange_text.answer || char(10) || coalesce(exchange_text.reasoning, '')"
"""An answer that is still being written has no reasoning here yet."""
CONTAINED = f"instr(lower({TEXT}), ?) > 0"
MOST_FOUND = 100


class Headline(NamedTuple):
    """A conversation in the list."""

    id: str
    name: str
    changed: datetime
    full_name: str
    """The title, or the first problem up to LONGEST_FULL_NAME, on one line."""
    exchanges: int = 0
    is_pinned: bool = False


class Found(NamedTuple):
    """A conversation that matches a search, with its best match."""

    conversation: Headline
    exchange: str
    excerpt: str
    """The words around the match, on one line."""


class Conversations:
    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, conversation: str, exchange: Exchange) -> Future[None]:
        """Add an exchange below its parent, and show it; creates the conversation if it is new.

        Tried again until it succeeds; the future has StoreError if the first try failed.
        """
        return self._database.writer.keep(lambda connection: put_exchange(connection, conversation, exchange))

    def show(self, conversation: str, exchange: str) -> Future[int]:
        """Remember the leaf to open next time; tried again like `put`."""
        return self._database.execute(
            "UPDATE conversations SET leaf = ? WHERE id = ?", exchange, conversation, kept=True
        )

    def keep_settings(self, exchange: Exchange) -> Future[int]:
        """Replace the settings of an exchange; tried again like `put`."""
        statement = "UPDATE exchanges SET settings = ? WHERE id = ?"
        return self._database.execute(statement, exchange.settings.model_dump_json(), exchange.id, kept=True)

    def rename(self, conversation: str, title: str) -> None:
        """Set the title; without one, the first problem is the title. Raises StoreError."""
        self._set("title", replace_lone_surrogates(title.strip()), conversation)

    def pin(self, conversation: str, pinned: bool) -> None:
        """Keep a conversation above all others in lists, or no longer. Raises StoreError."""
        self._set("pinned", now() if pinned else None, conversation)

    def delete(self, conversation: str) -> None:
        """Remove a conversation from all lists; `restore` brings it back until the store is purged."""
        self._set("deleted", now(), conversation)

    def restore(self, conversation: str) -> None:
        self._set("deleted", None, conversation)

    def open(self, conversation: str) -> Conversation:
        """Read the tree of a conversation, also of a deleted one; its traces are still to be read.

        Raises StoreError if it is not there.
        """
        with self._database.reading() as connection:
            row = connection.execute("SELECT * FROM conversations WHERE id = ?", (conversation,)).fetchone()
            if row is None:
                raise StoreError("This conversation is not in the store.", "It may have been deleted for good.")
            exchanges = connection.execute(
                "SELECT * FROM exchanges WHERE conversation = ? ORDER BY number", (conversation,)
            )
            created, changed = (datetime.fromisoformat(row[name]) for name in ("created", "changed"))
            found = Conversation(title=row["title"], id=row["id"], created=created, changed=changed)
            found.set_tree(map(_exchange, exchanges), row["leaf"])
            return found

    def recent(self, most: int = -1) -> list[Headline]:
        """List the conversations, pinned ones first, then last changed first; at most so many, or all if negative."""
        with self._database.reading() as connection:
            rows = connection.execute(
                f"""SELECT {_HEADLINE} FROM conversations WHERE deleted IS NULL
                    ORDER BY pinned IS NULL, changed DESC LIMIT ?""",
                (most,),
            )
            return [_headline(*row) for row in rows]

    def last_problems(self, most: int) -> list[str]:
        """List the problems of the last exchanges, newest first, each once. `most`: of the exchanges."""
        with self._database.reading() as connection:
            rows = connection.execute(
                """SELECT problem FROM exchanges JOIN conversations ON conversations.id = conversation
                    WHERE deleted IS NULL ORDER BY number DESC LIMIT ?""",
                (most,),
            )
            return list(dict.fromkeys(row["problem"] for row in rows))

    def search(self, words: str) -> list[Found]:
        """Find conversations in which one problem with its answer and reasoning has all the words, or words that begin
        with them; best match first.

        At most MOST_FOUND. If a word is of a script without spaces, all are looked for anywhere in the text: the index
        takes a whole phrase of such a script for one word.
        """
        wanted = re.findall(r"\w+", replace_lone_surrogates(words).lower())
        if not wanted:
            return []
        is_spaced = not UNSPACED.search(words)
        values = [" ".join(f'"{word}"*' for word in wanted)] if is_spaced else wanted
        condition = "exchange_text MATCH ?" if is_spaced else " AND ".join([CONTAINED] * len(wanted))
        with self._database.reading() as connection:
            matches = connection.execute(
                f"""SELECT exchanges.conversation, exchanges.number
                    FROM exchange_text JOIN exchanges ON exchanges.number = exchange_text.rowid
                    JOIN conversations ON conversations.id = exchanges.conversation
                    WHERE {condition} AND deleted IS NULL ORDER BY rank, changed DESC""",
                values,
            )
            best: dict[str, int] = {}
            for conversation, number in matches:
                best.setdefault(conversation, number)
            return [_found(connection, number, wanted) for number in list(best.values())[:MOST_FOUND]]

    def _set(self, column: str, value: str | None, conversation: str) -> None:
        self._database.execute(f"UPDATE conversations SET {column} = ? WHERE id = ?", value, conversation).result()


_HEADLINE = f"""conversations.id, title, changed, pinned,
    (SELECT count(*) FROM exchanges AS one WHERE one.conversation = conversations.id),
    (SELECT substr(problem, 1, {LONGEST_FULL_NAME}) FROM exchanges AS one
        WHERE one.conversation = conversations.id ORDER BY number LIMIT 1)"""


def _headline(id: str, title: str, changed: str, pinned: str | None, exchanges: int, problem: str | None) -> Headline:
    name, full_name = title or title_of(problem), title or full_name_of(problem)
    return Headline(id, name, datetime.fromisoformat(changed), full_name, exchanges, pinned is not None)


def _found(connection: sqlite3.Connection, number: int, words: Sequence[str]) -> Found:
    text, exchange, *headline = connection.execute(
        f"""SELECT {TEXT}, exchanges.id, {_HEADLINE}
            FROM exchange_text JOIN exchanges ON exchanges.number = exchange_text.rowid
            JOIN conversations ON conversations.id = exchanges.conversation
            WHERE exchange_text.rowid = ?""",
        (number,),
    ).fetchone()
    return Found(_headline(*headline), exchange, excerpt_of(text, words))


def excerpt_of(text: str, words: Sequence[str]) -> str:
    """Return on one line what stands around the words, if they stand together, or else around the longest of them.

    (The index has a function for this, which takes seconds where a letter begins thousands of words.)
    """
    sought = [r"\W+".join(words), *sorted(words, key=len, reverse=True)]
    # At the beginning of a word, if it stands at one.
    tries = (re.search(before + each, text, re.IGNORECASE) for each in sought for before in (r"\b", ""))
    found = next(filter(None, tries), None)
    if not found and (plain := [_without_accents(each) for each in (text, *words)]) != [text, *words]:
        return excerpt_of(plain[0], plain[1:])
    start, end = found.span() if found else (0, 0)
    left, right = "…" * (start > BEFORE), "…" * (end + AFTER < len(text))
    return " ".join(f"{left}{text[max(0, start - BEFORE) : end + AFTER]}{right}".split())


def _without_accents(text: str) -> str:
    return "".join(each for each in unicodedata.normalize("NFD", text) if not unicodedata.combining(each))


def by_day(headlines: Iterable[Headline]) -> list[tuple[date, list[Headline]]]:
    """Group by the day of the last change, in local time."""
    days = groupby(headlines, lambda headline: headline.changed.astimezone().date())
    return [(day, list(group)) for day, group in days]


def put_exchange(connection: sqlite3.Connection, conversation: str, exchange: Exchange) -> None:
    """Add an exchange below its parent, inside a transaction."""
    connection.execute(
        """INSERT INTO conversations (id, leaf, created, changed) VALUES (?, ?, ?, ?)
            ON CONFLICT (id) DO UPDATE SET leaf = excluded.leaf, changed = excluded.changed""",
        (conversation, exchange.id, format_timestamp(exchange.created), now()),
    )
    connection.execute(
        """INSERT INTO exchanges (id, conversation, parent, problem, settings, created)
            VALUES (?, ?, (SELECT id FROM exchanges WHERE id = ?), ?, ?, ?)""",
        (
            exchange.id,
            conversation,
            exchange.parent.id if exchange.parent else None,
            replace_lone_surrogates(exchange.problem),
            exchange.settings.model_dump_json(),
            format_timestamp(exchange.created),
        ),
    )


def _exchange(row: sqlite3.Row) -> tuple[Exchange, str | None]:
    settings, created = RunSettings.stored(json.loads(row["settings"])), datetime.fromisoformat(row["created"])
    return Exchange(row["problem"], settings, id=row["id"], created=created, is_read=False), row["parent"]
