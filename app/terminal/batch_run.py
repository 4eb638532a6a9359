"""Run, resume and report a batch in a folder, for `baton batch` and `baton evidence`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from pathlib import Path
from tempfile import TemporaryFile

from baton_reasoning.app.terminal import output
from baton_reasoning.app.terminal.history import open_history
from baton_reasoning.app.terminal.models import source_of
from baton_reasoning.app.terminal.options import LoadingOptions, ModelOptions
from baton_reasoning.app.terminal.pair import open_pair, remark_on_choice
from baton_reasoning.app.terminal.streams import (
    ExitCode,
    exit_code_of_signal,
    remark,
    report,
    stops_on_interrupt,
    write_json,
)
from baton_reasoning.core.batch.reading.problems import ProblemOrigin
from baton_reasoning.core.batch.reporting.exports import EXPORTS
from baton_reasoning.core.batch.reporting.report import Report
from baton_reasoning.core.batch.reporting.results import ExportedResult, Results
from baton_reasoning.core.batch.reporting.tables import report_parts
from baton_reasoning.core.batch.running import batch, progress
from baton_reasoning.core.batch.running.arms import Arm, OtherModels
from baton_reasoning.core.batch.running.control import BatchControl
from baton_reasoning.core.batch.running.execution import WantedPair, execute, pairs_to_open
from baton_reasoning.core.errors import SettingsError, StoreError
from baton_reasoning.core.export.formats import write_file
from baton_reasoning.core.files import FULL_DISK, private_folder
from baton_reasoning.core.grading.verdict import Grading, GradingMethod
from baton_reasoning.core.models.gguf import read_header
from baton_reasoning.core.models.source import local_path
from baton_reasoning.core.problem import Problem
from baton_reasoning.core.run import Pair
from baton_reasoning.core.store.batches import Batch
from baton_reasoning.core.store.damage import is_foreign
from baton_reasoning.core.store.store import Store
from baton_reasoning.core.text import counted, shell_command
from baton_reasoning.core.words.labels import bills_of

LINK_FILE = "batch.json"
STORE_FILE = "batch.sqlite"
"""The database of a batch that is not in the history: of `baton evidence`, and with --no-history."""
HISTORY = "history"
OTHER_FOLDER = "Name another folder with --out."


@dataclass(frozen=True)
class BatchFolder:
    """The folder of a batch (DIR): its results, and a link to the database that holds the batch."""

    path: Path
    database: str = HISTORY
    """Where a new batch is kept: HISTORY, or STORE_FILE in the folder."""

    def file(self, ending: str) -> Path:
        """Return where the export with this ending, such as “.csv”, is written."""
        return self.path / f"{'results' if ending in ('.csv', '.jsonl') else 'report'}{ending}"

    @property
    def holds_batch(self) -> bool:
        return self._link_file.exists()

    def prepare(self) -> None:
        """Make the folder for a new batch, before its models are loaded.

        Raises SettingsError if it cannot be written to, or holds a batch or a file of a name that the batch needs, and
        StoreError if the disk is full.
        """
        if self.holds_batch:
            raise self._taken()
        others = [file for file in map(self.file, EXPORTS) if file.exists()]
        if self.database == STORE_FILE and is_foreign(self.path / STORE_FILE):
            others.append(self.path / STORE_FILE)
        if others:
            raise SettingsError(f"{others[0]} exists already.", OTHER_FOLDER)
        try:
            private_folder(self.path)
            TemporaryFile(dir=self.path).close()
        except OSError as error:
            raise _refused(self.path, error) from error

    def create(self, create: Callable[[Store], str]) -> None:
        """Create a batch by `create`, which returns its id, and write the link to it.

        If that fails, or if another command was faster, the batch is deleted. Raises SettingsError, StoreError.
        """
        with self._store(self.database) as store:
            id = create(store)
            try:
                self._link_file.touch(mode=0o600, exist_ok=False)
                self._link_file.write_text(json.dumps({"database": self.database, "batch": id}), encoding="utf-8")
            except OSError as error:
                with suppress(StoreError):
                    store.batches.delete(id)
                if isinstance(error, FileExistsError):
                    raise self._taken() from error
                self._link_file.unlink(missing_ok=True)
                raise _refused(self._link_file, error) from error

    def discard(self) -> None:
        """Delete the batch if no answer was written, as if it had not been created."""
        with self.opened() as (store, batch):
            if batch.done:
                return
            store.batches.delete(batch.id)
        self._link_file.unlink(missing_ok=True)

    @contextmanager
    def opened(self, to_read: bool = False) -> Iterator[tuple[Store, Batch]]:
        """Open the database and the batch that the link names, as `open_history`. Raises SettingsError, StoreError."""
        try:
            link = json.loads(self._link_file.read_text(encoding="utf-8"))
            database, id = link["database"], link["batch"]
        except (FileNotFoundError, NotADirectoryError) as error:
            advice = "Name the folder that baton batch run wrote into."
            raise SettingsError(f"{self.path} holds no batch.", advice) from error
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise SettingsError(
                f"{self._link_file} cannot be read.", "Name another folder, or delete this file: no answer is in it."
            ) from error
        with self._store(database, to_read) as store:
            yield store, store.batches.open(id)

    @property
    def _link_file(self) -> Path:
        return self.path / LINK_FILE

    def _store(self, database: str, to_read: bool = False) -> AbstractContextManager[Store]:
        return open_history(to_read, None if database == HISTORY else self.path / STORE_FILE)

    def _taken(self) -> SettingsError:
        return SettingsError(
            f"{self.path} holds a batch already.",
            f"Continue it with {shell_command(['baton', 'batch', 'resume', str(self.path)])}, or name another --out.",
        )


def _refused(file: Path, error: OSError) -> StoreError | SettingsError:
    """Describe why a file or folder cannot be written: the disk is full, or it is the wrong place."""
    told = f"{file} cannot be written: {error.strerror}."
    if error.errno in FULL_DISK:
        return StoreError(told, "Free some space, then repeat the command.")
    return SettingsError(told, OTHER_FOLDER)


@dataclass(frozen=True)
class BatchRun:
    """A batch in a folder, with the models and options that run it."""

    folder: Path
    models: ModelOptions = field(default_factory=ModelOptions)
    loading: LoadingOptions = field(default_factory=LoadingOptions)
    parallel: int = 0
    """Problems at once; 0 for as many as the batch had before."""
    json: bool = False
    no_history: bool = False
    """Whether a new batch is kept in the folder only."""
    prints_report: bool = True
    continued_by: str = ""
    """The command that continues it; by default `baton batch resume`."""

    @property
    def place(self) -> BatchFolder:
        return BatchFolder(self.folder, STORE_FILE if self.no_history else HISTORY)

    @property
    def to_continue(self) -> str:
        return self.continued_by or self._command("resume")

    def begin(
        self,
        name: str,
        problems: Sequence[Problem],
        arms: Sequence[Arm],
        seeds: Sequence[int],
        how: Grading = GradingMethod.AUTO,
        origin: ProblemOrigin = ProblemOrigin(),  # noqa: B008 - immutable
    ) -> int:
        """Create a batch in the folder and run it."""

        command = [Path(sys.argv[0]).name, *sys.argv[1:]]
        provenance = batch.Provenance.of_this_machine(command, *self.models.texts, origin)
        settings = (seeds, self.parallel, how, provenance)
        self.place.prepare()
        distinct = batch.without_duplicates(arms)
        for note in distinct.notes:
            remark(note)
        if not self.models.are_given:
            remark_on_choice(self.models, self.models.sources(small=True, large=True))
        self.place.create(lambda store: batch.create_batch(store, name, problems, distinct.arms, *settings))
        try:
            return self.go_on()
        except StoreError:
            raise
        except BaseException:  # a model is missing, say, or Ctrl+C came while it was loaded
            self.place.discard()
            raise

    @contextmanager
    def results(self) -> Iterator[Results]:
        """Open the batch in the folder with its results."""
        with self.place.opened(to_read=True) as (store, stored):
            yield Results.read(store, stored.id)

    def conclude(self) -> int:
        """Write results and report of the batch as it is, print the report, and return the exit code."""
        with self.results() as results, output.progress("Writing results", self.json) as line:
            for written, ending in enumerate(EXPORTS, 1):
                file = self.place.file(ending)
                try:
                    write_file(file, EXPORTS, results)
                except (SettingsError, StoreError) as error:
                    again = self._command("report")
                    raise StoreError(error.message, f"Every answer is saved. To write it: {again}") from error
                line.show(written / len(EXPORTS), file.name)
        self._print(results.report)
        if not (failed := sum(arm.failed for arm in results.report.arms)):
            return ExitCode.ANSWERED
        report(f"{counted(failed, 'error')}. The report has the reasons. To try again: {self.to_continue}")
        return ExitCode.FAILED

    def go_on(self) -> int:
        """Run the jobs of the batch in the folder that wait or failed, then write results and report.

        Models, context and problems at once are those of the batch, unless others are given. Returns the exit code.
        """
        control, moved = BatchControl(), OtherModels(self.models.small, self.models.large)
        with self.place.opened() as (store, stored):
            pairs = list(pairs_to_open(store, stored.id, self.parallel, moved).values())
            for text in filter(None, chain.from_iterable((pair.small, pair.large) for pair in pairs)):
                if path := local_path(source_of(text)):
                    read_header(path)  # a missing file is reported before the first pair runs
            counts = progress.BatchProgress(
                store.batches.totals(stored.id), max((each.parallel for each in pairs), default=1)
            )
            opened = partial(self._opened, control)
            try:
                self._draw(
                    store,
                    stored,
                    counts,
                    execute(store, stored.id, opened, control, parallel=self.parallel, moved=moved),
                )
            except StoreError as error:
                again = f"To continue, and to write again what is lost: {self.to_continue}"
                raise StoreError(error.message, f"{error.advice} {again}".strip()) from error
        if control.ending:
            return self._stopped()
        code = self.conclude()
        with self.place.opened() as (_, stored):
            left = stored.jobs - stored.done
        if not left:
            return code
        command = self._command("report")
        report(f"Another program is writing {counted(left, 'answer')}. When it is done: {command}")
        return ExitCode.FAILED

    @contextmanager
    def _opened(self, control: BatchControl, wanted: WantedPair) -> Iterator[Pair]:
        """Load a pair, and let signals end the batch while it writes."""
        models = ModelOptions(wanted.small, wanted.large, self.models.yes)
        loading = replace(self.loading, context=self.loading.context or wanted.context or None)
        with open_pair(models, loading, wanted.needs, parallel=wanted.parallel) as pair:
            with stops_on_interrupt(control.stop, control.finish):
                yield pair
            if control.ending:  # to sum up 100,000 answers takes seconds
                remark("Stopping. Summing up what is done.")
            for bill in bills_of(pair):
                (remark if self.json else output.write)(bill)

    def _draw(
        self, store: Store, stored: Batch, counts: progress.BatchProgress, events: Generator[progress.BatchEvent]
    ) -> None:
        """Show how far the batch is and, for a program, each answer as it is done."""
        problems = list(store.batches.problems(stored.id)) if self.json else []
        arm, line, shown = "", None, ExitStack()
        with shown, closing(events):
            for event in events:
                counts.take(event)
                match event:
                    case progress.Opening():  # which has a line of its own
                        shown.close()
                    case progress.Opened():
                        line = shown.enter_context(output.progress("Batch", self.json))
                    case progress.PolicyChosen(name, reason) if line:
                        line.remark(f"{name}: {reason}")
                    case progress.Calibrated(name, chance, share) if line:
                        line.remark(f"{name}: p = {chance:.3f} for a large share of {share:.1%}")
                    case progress.Finishing(answers) if line:
                        line.report(f"Finishing {counted(answers, 'answer')}. Press Ctrl+C again to stop now.")
                    case progress.JobStarted(job):
                        arm = job.arm
                    case progress.JobEnded(row) if self.json:
                        trace = store.runs.read(row.run).noticed
                        result = ExportedResult.of(stored.id, problems[row.position], row, trace)
                        write_json(result.model_dump(mode="json", by_alias=True))
                if line:
                    _show(line, arm, counts)

    def _stopped(self) -> int:
        """Report how far a stopped batch came, and say how to resume it."""
        with self.results() as results:
            jobs, done = results.batch.jobs, results.batch.done
        if done == jobs:  # the last answers were under way, and were finished
            self.conclude()
        else:
            self._print(results.report)
            report(
                f"Stopped at {done:,} of {jobs:,}; every answer is saved. To continue: {self.to_continue}. "
                f"To write results and report so far: {self._command('report')}"
            )
        return exit_code_of_signal()

    def _print(self, found: Report) -> None:
        if self.json:
            write_json({"report": found.model_dump(mode="json", by_alias=True)})
        elif self.prints_report:
            output.write_parts(report_parts(found))

    def _command(self, verb: str) -> str:
        return shell_command(["baton", "batch", verb, str(self.folder)])


def _show(line: output.ProgressLine, arm: str, counts: progress.BatchProgress) -> None:
    total = counts.total
    line.show(
        total.done / max(1, total.jobs),
        f"{arm} · {total.done:,} of {total.jobs:,} · {total.correct:,} ✓ {total.wrong:,} ✗ {total.unscored:,} – · "
        f"{counted(total.failed, 'error')} · {counts.status}",
    )
