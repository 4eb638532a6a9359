"""`baton history`: list, show, search, export, delete and restore the answers and batches in the store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import click

from baton_reasoning.app.terminal.command_line import as_json, command_group, option
from baton_reasoning.app.terminal.output import Field, listing, write, write_parts
from baton_reasoning.app.terminal.printer import print_stored_answer
from baton_reasoning.app.terminal.streams import ExitCode, confirmed, remark, report, write_json
from baton_reasoning.core.batch.reporting.exports import EXPORTS, export
from baton_reasoning.core.batch.reporting.results import Results
from baton_reasoning.core.batch.reporting.tables import report_parts
from baton_reasoning.core.conversation import Conversation
from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.export.formats import FORMATS, write_file
from baton_reasoning.core.export.json_format import gather
from baton_reasoning.core.files import expanded
from baton_reasoning.core.paths import Paths
from baton_reasoning.core.store.conversations import Found
from baton_reasoning.core.store.deleted import Deleted
from baton_reasoning.core.store.store import Store
from baton_reasoning.core.text import LONGEST_MESSAGE, counted, one_line
from baton_reasoning.core.thinking.trace_json import trace_to_json

SHORT = 8
"""Characters of an id that are shown; any unique prefix names it."""


class Entry(NamedTuple):
    """An entry of the list: a conversation or a batch."""

    id: str
    kind: str
    changed: datetime
    name: str
    size: str


def short_id(id: str) -> str:
    return id[:SHORT]


def _kind(deleted: Deleted) -> str:
    return "batch" if deleted.is_batch else "answer"


ENTRY_FIELDS: tuple[Field[Entry], ...] = (
    Field("id", lambda entry: entry.id, "id", short_id),
    Field("kind", lambda entry: entry.kind, "kind"),
    Field("", lambda entry: f"{entry.changed.astimezone():%Y-%m-%d %H:%M}", "changed"),
    Field("changed", lambda entry: entry.changed.isoformat()),
    Field("size", lambda entry: entry.size, "size"),
    Field("name", lambda entry: entry.name, "name"),
)
FOUND_FIELDS: tuple[Field[Found], ...] = (
    Field("id", lambda found: found.conversation.id, "id", short_id),
    Field("name", lambda found: found.conversation.name, "name"),
    Field("excerpt", lambda found: found.excerpt, "excerpt"),
)
DELETED_FIELDS: tuple[Field[Deleted], ...] = (
    Field("id", lambda each: each.id, "id", short_id),
    Field("kind", _kind, "kind"),
    Field("deleted", lambda each: each.deleted.isoformat()),
    Field("days_left", lambda each: each.days_left, "days left", is_number=True),
    Field("name", lambda each: each.name, "name"),
)


@command_group("history")
def history() -> None:
    """List, show, search, export, delete and restore answers and batches, also those of the window."""


@history.command("list")
@option("--limit", type=click.IntRange(min=1), default=30, help="Only the N newest [30].")
@as_json
def list_history(limit: int, json: bool) -> None:
    """List answers and batches, the newest first."""
    with open_history(to_read=True) as store:
        entries = _entries(store)[:limit]
    listing(entries, ENTRY_FIELDS, json, "The history is empty.")


@history.command("show")
@click.argument("id")
@as_json
def show(id: str, json: bool) -> None:
    """Show an answer with its problem and figures, or the report of a batch. ID is one of `baton history list`."""
    with open_history(to_read=True) as store:
        entry = _named(store, id)
        if entry.kind == "batch":
            report = Results.read(store, entry.id).report
            if json:
                write_json({"report": report.model_dump(mode="json", by_alias=True)})
            else:
                write_parts(report_parts(report))
        else:
            _show_conversation(gather(store, entry.id), json)


@history.command("search")
@click.argument("words", nargs=-1, required=True)
@as_json
def search(words: tuple[str, ...], json: bool) -> int:
    """Search problems, answers and reasoning for all these words, or words that begin with them.

    Each conversation is listed once, with its best match. Batches are not searched.
    """
    with open_history(to_read=True) as store:
        found = store.conversations.search(" ".join(words))
    listing(found, FOUND_FIELDS, json, "No conversation has all these words.")
    return ExitCode.ANSWERED if found else ExitCode.FAILED


@history.command("export")
@click.argument("id")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--force", "-f", is_flag=True, help="Replace FILE if it is there.")
def export_one(id: str, file: Path, force: bool) -> None:
    """Write an answer or a batch to FILE, in the format that its ending names.

    Answers: .json (which the window imports), .md, .html. Batches: .csv, .jsonl, .html, .md, .json.
    """
    target = expanded(file)
    if target.exists() and not force:
        raise SettingsError(f"{file} is there already.", "Add --force to replace it, or name another file.")
    with open_history(to_read=True) as store:
        entry = _named(store, id)
        endings = [*(EXPORTS if entry.kind == "batch" else FORMATS)]
        if target.suffix.lower() not in endings:
            raise SettingsError(f"{file} names no format for the {entry.kind}.", f"End it in {', '.join(endings)}.")
        if entry.kind == "batch":
            export(store, entry.id, target)
        else:
            write_file(target, FORMATS, gather(store, entry.id))


@history.command("deleted")
@as_json
def list_deleted(json: bool) -> None:
    """List what was deleted in the last 30 days, and can be restored."""
    with open_history(to_read=True) as store:
        listing(store.deleted(), DELETED_FIELDS, json, "Nothing was deleted in the last 30 days.")


@history.command("restore")
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
def restore(ids: tuple[str, ...]) -> None:
    """Bring deleted answers and batches back. ID is one of `baton history deleted`."""
    with open_history() as store:
        known = {each.id: each for each in store.deleted()}
        for id in dict.fromkeys(full_id(known, id, "deleted entries", "See baton history deleted.") for id in ids):
            store.restore(known[id])
            remark(f"Restored: the {_kind(known[id])} {short_id(id)} “{known[id].name}”.")


@history.command("rm")
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")  # no variable sets it: BATON_YES is for downloads
def remove(ids: tuple[str, ...], yes: bool) -> int:
    """Delete answers and batches from the history.

    An answer goes with all its follow-ups, a batch with all its answers; files that were exported stay. `baton history
    restore` brings back what was deleted, until it is erased from the disk after 30 days.
    """
    with open_history() as store:
        entries = list(dict.fromkeys(_named(store, id) for id in ids))
        names = "; ".join(_called(entry) for entry in entries)
        if not yes and not confirmed(f"Delete {one_line(names, LONGEST_MESSAGE)}?"):
            return ExitCode.FAILED
        for entry in entries:
            (store.batches if entry.kind == "batch" else store.conversations).delete(entry.id)
            remark(f"Deleted: {_called(entry)}.")
    return ExitCode.ANSWERED


def _called(entry: Entry) -> str:
    size = f"{entry.size} answers" if entry.kind == "batch" else counted(int(entry.size), "problem")
    return f"the {entry.kind} {short_id(entry.id)} “{entry.name}” ({size})"


def _entries(store: Store) -> list[Entry]:
    conversations = [
        Entry(each.id, "answer", each.changed, each.name, f"{each.exchanges}") for each in store.conversations.recent()
    ]
    batches = [
        Entry(each.id, "batch", each.created, each.name, f"{each.done} of {each.jobs}") for each in store.batches.all()
    ]
    return sorted(conversations + batches, key=lambda entry: entry.changed, reverse=True)


def _named(store: Store, id: str) -> Entry:
    """Return the entry whose id begins like this. Raises SettingsError unless it is exactly one."""
    entries = {entry.id: entry for entry in _entries(store)}
    return entries[full_id(entries, id, "entries")]


def _show_conversation(conversation: Conversation, json: bool) -> None:
    for exchange in conversation.path:
        if json:
            write_json({"problem": exchange.problem, **trace_to_json(exchange.trace)})
            continue
        write(exchange.problem, "bold")
        print_stored_answer(exchange.trace)


@contextmanager
def open_history(to_read: bool = False, file: Path | None = None) -> Iterator[Store]:
    """Open the store, or another in this file, and create it if it is missing. Raises StoreError.

    `to_read`: works on a full disk, too, and leaves a damaged file as it is.
    """
    path = file or Paths.of_user().store
    with Store.open_to_read(path) if to_read else Store.open(path) as store:
        for notice in store.notices:
            report(notice)
        yield store


def full_id(ids: Iterable[str], prefix: str, kind: str, advice: str = "See baton history list.") -> str:
    """Return the id that begins with this prefix. Raises SettingsError unless it is exactly one.

    `kind`: what has these ids, in the plural.
    """
    if not prefix:  # an unset variable in a script; it would name an only entry
        raise SettingsError("The id is empty.", advice)
    found = [id for id in ids if id.startswith(prefix.lower())]
    if len(found) != 1:
        number = "several" if found else "no"
        raise SettingsError(f"The history has {number} {kind} whose id begins with {prefix}.", advice)
    return found[0]
