"""`baton batch list` and `show`: the batches of the history, and the answers of one to a problem."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click

from baton_reasoning.app.terminal.batch_run import BatchFolder
from baton_reasoning.app.terminal.command_line import as_json, command, option
from baton_reasoning.app.terminal.history import full_id, open_history, short_id
from baton_reasoning.app.terminal.options import SEED
from baton_reasoning.app.terminal.output import Field, listing, write
from baton_reasoning.app.terminal.printer import print_stored_answer
from baton_reasoning.app.terminal.streams import write_json
from baton_reasoning.core.batch.reporting.results import ExportedResult, Results
from baton_reasoning.core.batch.running.batch import BatchSettings, models_of
from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.store.batches import Batch
from baton_reasoning.core.store.store import Store
from baton_reasoning.core.text import one_line
from baton_reasoning.core.thinking.trace import Trace

BATCH_FIELDS: tuple[Field[Batch], ...] = (
    Field("id", lambda batch: batch.id, "id", short_id),
    Field("", lambda batch: f"{batch.created.astimezone():%Y-%m-%d %H:%M}", "begun"),
    Field("created", lambda batch: batch.created.isoformat()),
    Field("", lambda batch: f"{batch.done:,} of {batch.jobs:,}", "answers", is_number=True),
    Field("done", lambda batch: batch.done),
    Field("jobs", lambda batch: batch.jobs),
    Field("name", lambda batch: batch.name, "name"),
    Field("arms", lambda batch: [arm.name for arm in batch.arms], "arms", lambda arms: "; ".join(arms)),
    Field("models", models_of, "models"),
)
batch_argument = click.argument("name", type=click.Path(), metavar="DIR|ID")
of_arm = option("--arm", metavar="NAME", help="Only the answers of this arm.")


@command("list")
@as_json
def list_batches(json: bool) -> None:
    """List the batches of the history, the newest first. A batch with --no-history is in its folder only."""
    with open_history(to_read=True) as store:
        listing(store.batches.all(), BATCH_FIELDS, json, "The history has no batch.")


@command("show")
@batch_argument
@click.argument("problem")
@of_arm
@option("--seed", type=SEED, help="Only the answers with this seed.")
@as_json.but(help="Print the results as in results.jsonl.")
def show(name: str, problem: str, arm: str | None, seed: int | None, json: bool) -> None:
    """Show the answers of a batch to PROBLEM, with steps by author.

    DIR is the folder of the batch; ID is that of a batch in `baton batch list`. PROBLEM is an id as in results.csv.
    """
    with opened_batch(name, arm, to_read=True) as (store, batch):
        results, seeds = Results.read(store, batch.id), BatchSettings.of(batch).seed_numbers
        places = {each.id: place for place, each in enumerate(results.problems)}
        if problem not in places or (seed is not None and seed not in seeds):
            what = f"problem {problem}" if problem not in places else f"seed {seed}"
            known = f"Its problems are {one_line(', '.join(places), 100)}; its seeds {', '.join(map(str, seeds))}."
            raise SettingsError(f"The batch has no {what}.", known)
        asked = results.problems[places[problem]]
        if not json:
            write(asked.text, "bold")
        for row in results.rows:
            if row.position == places[problem] and arm in (None, row.arm) and seed in (None, row.seed):
                trace = store.runs.read(row.run).noticed if row.started else Trace()
                result = ExportedResult.of(batch.id, asked, row, trace)
                if json:
                    write_json(result.model_dump(mode="json", by_alias=True))
                else:
                    facts = filter(None, (row.arm, f"seed {row.seed}", result.outcome, row.answer, row.error))
                    write(f"\n{' · '.join(facts)}", "bold")
                    print_stored_answer(trace)


@contextmanager
def opened_batch(name: str, arm: str | None, to_read: bool = False) -> Iterator[tuple[Store, Batch]]:
    """Open a batch by its folder or its id in the history.

    Raises SettingsError, also if it has not this arm, and StoreError.
    """
    with ExitStack() as stack:
        if Path(name).is_dir():
            store, batch = stack.enter_context(BatchFolder(Path(name)).opened(to_read))
        else:
            store = stack.enter_context(open_history(to_read))
            batches = {each.id: each for each in store.batches.all()}
            batch = batches[full_id(batches, name, "batches", "Name the folder of one, or see baton batch list.")]
        arms = [each.name for each in batch.arms]
        if arm and arm not in arms:
            raise SettingsError(f"The batch has no arm {arm}.", f"Name one of {', '.join(arms)}.")
        yield store, batch
