"""A lane is one program at a time, disturbed again and again: a batch in the terminal, or the window with a chat."""

import contextlib
import json
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import psutil

from baton_reasoning.app.terminal.batch_run import STORE_FILE, BatchFolder
from baton_reasoning.core.paths import Paths
from baton_reasoning.core.run import RunSettings
from baton_reasoning.core.settings import ModelChoice, Settings, SettingsFile
from baton_reasoning.core.thinking.policies.keywords import Keywords
from tests.soak import faults
from tests.soak.checks import Comparison, Kept, mark_of, reading
from tests.soak.faults import ENDS_PROGRAM, Fault, UnreliableServer, Workplace
from tests.soak.report import FILES, HANGS, PROBLEMS, PROCESSES, STALLS, TOKENS

# The demo pair's lengths, and the likeliest tokens, so that texts can be compared.
LENGTHS = {"n1": 18, "n2": 22, "n3": 16, "n3_step": 0}
RUN = RunSettings(policy=Keywords.Settings(**LENGTHS), max_tokens=500, temperature=0, small_alone=False, alternatives=0)
BATCH_OPTIONS = [
    *("--policy", "keywords", "--max-tokens", "500", "--set", "temperature=0", "--set", "small_alone=false"),
    *(word for name, value in LENGTHS.items() for word in ("--set", f"{name}={value}")),
]
CONTEXT = ["--context", "1024"]
WINDOW = "import sys; from tests.soak.window import main; sys.exit(main(sys.argv[1:]))"
"""A module of its own would be imported, with Qt, by each child process."""
PACE = 150
"""Tokens a second in the window, so that a fault meets an answer while it is written."""
HANG = 5.0
PATIENCE = 60.0
"""Seconds until a program saves something; then the soak ends it."""
LONGEST = 600.0
"""Seconds for a whole batch without faults."""
LOOK = 0.05
"""Seconds between two looks at another process, which does not tell when it is ready."""
BUFFERED = 0.6
"""Seconds after which everything from before a fault has been saved."""
FAULTS_A_START = (3, 6)
"""A model is restarted six times in ten minutes at most."""


class Soak:
    """What all lanes share."""

    def __init__(self, comparison: Comparison, problems: Path, until: float) -> None:
        self.comparison, self.report = comparison, comparison.report
        self.problems = problems
        self.over = threading.Event()
        self._until = until
        self._left = self.report.wanted
        self._lock = threading.Lock()

    @property
    def goes_on(self) -> bool:
        return not self.over.is_set() and self._left > 0 and time.monotonic() < self._until

    def take(self) -> bool:
        """Whether another fault may be brought about."""
        with self._lock:
            allowed = self.goes_on
            self._left -= allowed
            return allowed


class Lane:
    """Its faults are drawn from the seed and its name."""

    def __init__(self, name: str, soak: Soak, place: Workplace, server: UnreliableServer) -> None:
        self.name = name
        self.thread = threading.Thread(target=self._run, name=name)
        self.soak, self.place, self.server, self.report = soak, place, server, soak.report
        self.chance = random.Random(f"{soak.report.seed} {name}")
        self.program: subprocess.Popen[str] | None = None
        self.code = 0
        """The last program's exit code."""
        self.is_remote = False
        self.fault = "no fault"
        """The fault that was brought about last."""
        self.kept = Kept(self.store)
        self._output: list[str] = []
        self._readers: list[threading.Thread] = []
        self._children: set[psutil.Process] = set()

    def _run(self) -> None:
        try:
            while self.soak.goes_on:
                self._disturb_one_program()
            self.end()
        finally:
            self._kill_program()
            self.place.close()

    @property
    def store(self) -> Path:
        raise NotImplementedError

    def command(self) -> list[str]:
        """The words after `python`, for the next start."""
        raise NotImplementedError

    def ask_to_end_program(self, program: subprocess.Popen[str]) -> None:
        raise NotImplementedError

    def stopped(self) -> None:
        """The program has ended, by itself or not: check what it left."""

    def end(self) -> None:
        """The soak is over: let a batch come to its end, and check it. The last answer of a chat may stay as it is."""

    def heard(self, line: str) -> None:
        """A line of standard output."""

    # One program ------------------------------------------------------------------------------------------------

    def _disturb_one_program(self) -> None:
        self._start_program()
        for _ in range(self.chance.randint(*FAULTS_A_START)):
            pause = self.chance.uniform(0.1, 0.8)
            fault = faults.draw(self.chance, self.is_remote, self.place.can_fill_disk)
            if not self._writes() or not self.soak.take():
                break
            self.soak.over.wait(pause)
            self.fault = fault.value[0]
            self._bring_about(fault)
            if not self._runs:
                break
        self._end_program(is_asked=self.chance.random() < 0.5)

    @property
    def _runs(self) -> bool:
        return self.program is not None and self.program.poll() is None

    def _start_program(self) -> None:
        self.report.starts += 1
        self._output.clear()
        self.program = subprocess.Popen(
            [sys.executable, *self.command()],
            env=self.place.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
        assert self.program.stdout
        assert self.program.stderr
        self._readers = [
            threading.Thread(target=self._read, args=(self.program.stdout, self.heard)),
            threading.Thread(target=self._read, args=(self.program.stderr, self._output.append)),
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, stream, take) -> None:
        for line in stream:
            take(line.rstrip())
        stream.close()

    def _writes(self) -> bool:
        """Wait until something is saved, or the program ends; whether it still runs."""
        before = mark_of(self.store)
        end = time.monotonic() + PATIENCE
        while self._runs and time.monotonic() < end and not self.soak.over.is_set():
            now = mark_of(self.store)
            if now is not None and now != before:
                self._children.update(faults.descendants(self._pid))
                return True
            self.soak.over.wait(LOOK)
        if self._runs and not self.soak.over.is_set():
            self.report.count(HANGS, 1, f"{self.name}: nothing was saved for {PATIENCE:.0f} s")
            self._kill_program()
        return False

    @property
    def _pid(self) -> int:
        assert self.program
        return self.program.pid

    def _bring_about(self, fault: Fault) -> None:
        self.kept.look()
        self._children.update(faults.descendants(self._pid))
        if fault in ENDS_PROGRAM:
            began = time.monotonic()
            self._end_program(is_asked=fault is Fault.PROGRAM_STOPPED)
            self.report.took(fault, time.monotonic() - began)
            return
        with self._caused(fault):
            self.soak.over.wait(0 if fault in AT_ONCE else self.chance.uniform(0.5, 2.0))
            began = time.monotonic()
        if fault in AT_ONCE:
            self.soak.over.wait(BUFFERED)
        self._writes()
        seconds = time.monotonic() - began
        if seconds > HANG:
            self.report.count(HANGS, 1, f"{self.name}: {self.fault}: {seconds:.1f} s")
        self.report.took(fault, seconds)

    def _caused(self, fault: Fault) -> AbstractContextManager[object]:
        """What goes wrong, as long as this is open."""
        models = sorted(faults.model_processes(self._pid).items())
        name, model = self.chance.choice(models) if models else ("small", None)
        match fault:
            case Fault.MODEL_KILLED if model:
                faults.attempt(model.kill)
            case Fault.MODEL_HUNG if model:
                faults.attempt(model.suspend)
            case Fault.OUT_OF_MEMORY if model:
                return faults.no_more_memory(model)
            case Fault.HELPER_KILLED:
                for helper in faults.helper_processes(self._pid):
                    faults.attempt(helper.kill)
            case Fault.SERVER_KILLED | Fault.SERVER_GARBAGE | Fault.SERVER_REFUSES:
                return self.server.disturbed_by(fault)
            case Fault.DISK_FULL:
                return self.place.with_full_disk()
            case Fault.STORE_LOCKED:
                return faults.store_locked(self.store)
            case Fault.FILE_REPLACED:
                replaced = self.place.with_another_model(name)
                if model:
                    faults.attempt(model.kill)  # so that it is loaded again
                return replaced
        return nullcontext()

    # Its end ----------------------------------------------------------------------------------------------------

    def _end_program(self, is_asked: bool) -> None:
        if self.program and self._runs:
            self._children.update(faults.descendants(self._pid))
            self.kept.look()
            if is_asked:
                self.ask_to_end_program(self.program)
                try:
                    self.program.wait(HANG)
                except subprocess.TimeoutExpired:
                    self.program.send_signal(signal.SIGABRT)  # it says where each thread is
                    self.program.wait()
                    self.report.count(HANGS, 1, f"{self.name}: not stopped after {HANG:.0f} s", *self._output)
            self._kill_program()
        self._wait_for_end()

    def _kill_program(self) -> None:
        if self.program and self._runs:
            self.program.kill()
            self.program.wait()

    def _wait_for_end(self) -> None:
        """Of a program that was ended, or ends by itself; then see what it left behind."""
        if self.program is None:
            return
        try:
            self.program.wait(LONGEST)
        except subprocess.TimeoutExpired:
            self.report.count(HANGS, 1, f"{self.name}: not done after {LONGEST:.0f} s without faults")
            self._kill_program()
        for child in self._children:
            faults.attempt(child.resume)  # what the soak itself has stopped cannot end by itself
        if self.program.stdin:
            with contextlib.suppress(OSError):
                self.program.stdin.close()
        alive = psutil.wait_procs(self._children, timeout=HANG)[1]
        self.report.count(PROCESSES, len(alive), *(f"{self.name}: {process}" for process in alive))
        for process in alive:
            process.kill()
        for reader in self._readers:
            reader.join()
        left = list(self.place.temporary.iterdir())
        self.report.count(FILES, len(left), *(f"{self.name}: {path.name}" for path in left))
        for path in left:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        self._children.clear()
        if "Traceback" in (words := "\n".join(self._output)):
            self.report.hear(words)
        self.code = self.program.returncode
        self.program = None
        self.stopped()


AT_ONCE = frozenset({Fault.MODEL_KILLED, Fault.MODEL_HUNG, Fault.HELPER_KILLED})
"""Faults that are over at once; others last up to two seconds, and what they cost is measured from their end."""


class BatchLane(Lane):
    """`baton batch`, resumed until each problem is answered; then the next batch, by turns here and on a server."""

    def __init__(self, soak: Soak, place: Workplace, server: UnreliableServer) -> None:
        self._number = 0
        super().__init__("batch", soak, place, server)

    @property
    def store(self) -> Path:
        return self._folder / STORE_FILE

    @property
    def _folder(self) -> Path:
        return self.place.disk / f"batch-{self._number}"

    @property
    def _is_begun(self) -> bool:
        """Whether a resume finds it: a program that is stopped while its first models load deletes its new batch."""
        return BatchFolder(self._folder, STORE_FILE).holds_batch

    def command(self) -> list[str]:
        large = self.server.url if self.is_remote else str(self.place.model("large"))
        models = ["--small", str(self.place.model("small")), "--large", large, "--threads", "1"]
        if self._is_begun:
            begun = ["resume", str(self._folder)]
        else:
            self.report.count(TOKENS, self.kept.seen_tokens(), f"{self.store}: the batch was deleted")
            shutil.rmtree(self._folder, ignore_errors=True)
            self.kept = Kept(self.store)
            begun = ["run", str(self.soak.problems), *BATCH_OPTIONS, "--out", str(self._folder), "--no-history"]
        return ["-m", "baton_reasoning", "batch", *begun, "--parallel", "3", *models, *CONTEXT]

    def ask_to_end_program(self, program: subprocess.Popen[str]) -> None:
        program.send_signal(signal.SIGTERM)  # Ctrl+C would finish the answers under way first

    def stopped(self) -> None:
        self.kept.look()  # before a resume tries again what has failed
        words = [line for line in self._output if line.startswith("baton: ")]
        if words and self.code in (1, 2):  # it ended by itself, with the reason in its last line
            self.report.hear(words[-1].removeprefix("baton: "))
        if self._jobs_left() == 0:
            self._finish_batch()

    def end(self) -> None:
        for _ in range(3):
            if self.soak.over.is_set() or not self._jobs_left():
                break
            self._start_program()
            self._wait_for_end()
        left = self._jobs_left()
        if not self.soak.over.is_set():
            self.report.count(PROBLEMS, left or 0, f"{self.store}: not finished by three undisturbed resumes")
        elif left is not None:  # Ctrl+C: what is not written yet is not compared
            self.report.count(TOKENS, self.kept.lost_tokens(), str(self.store))

    def _jobs_left(self) -> int | None:
        """Those that wait and those that failed; None if there is no batch."""
        try:
            with reading(self.store) as connection:
                row = connection.execute(
                    "SELECT count(*), coalesce(sum(state <> 'done' OR error <> ''), 0) FROM jobs"
                ).fetchone()
                return int(row[1]) if row[0] else None
        except sqlite3.Error:
            return None

    def _finish_batch(self) -> None:
        self.report.count(TOKENS, self.kept.lost_tokens(), str(self.store))
        self.soak.comparison.check_batch(self.store)
        shutil.rmtree(self._folder)
        self._number += 1
        self.is_remote = self._number % 2 == 1


class ChatLane(Lane):
    """The window, which asks one problem after the other; by turns with both models here and the large on a server."""

    def __init__(self, soak: Soak, place: Workplace, server: UnreliableServer) -> None:
        super().__init__("chat", soak, place, server)
        self._problems = place.folder / "problems.json"
        lines = soak.problems.read_text(encoding="utf-8").splitlines()
        self._problems.write_text(json.dumps([json.loads(line)["problem"] for line in lines]), encoding="utf-8")
        self._known: set[str] = set()
        self._compared: set[str] = set()

    @property
    def store(self) -> Path:
        return Paths.under(self.place.disk).store

    def command(self) -> list[str]:
        large = self.server.url if self.is_remote else str(self.place.model("large"))
        choice = ModelChoice.model_validate(
            {"small": str(self.place.model("small")), "large": large, "threads": 1, "context": int(CONTEXT[1])}
        )
        settings = Settings(models=choice, run=RUN)
        SettingsFile(Paths.under(self.place.disk).settings).save(settings)
        asked, last = 0, []
        with contextlib.suppress(sqlite3.Error), reading(self.store) as connection:
            asked = connection.execute("SELECT count(*) FROM exchanges").fetchone()[0]
            rows = connection.execute("SELECT conversation FROM exchanges ORDER BY number DESC LIMIT 1")
            last = [row[0] for row in rows]
        return ["-c", WINDOW, str(self.place.disk), str(self._problems), str(asked), str(PACE), *last]

    def ask_to_end_program(self, program: subprocess.Popen[str]) -> None:
        assert program.stdin
        with contextlib.suppress(OSError):
            program.stdin.write("close\n")
            program.stdin.flush()

    def heard(self, line: str) -> None:
        try:
            said = json.loads(line)
        except ValueError:
            return
        match said["event"]:
            case "stall":
                self.report.count(STALLS, 1, f"{said['seconds'] * 1000:.0f} ms {said['what']}; {self.fault}")
            case "closed" if said["seconds"] > HANG:
                self.report.count(HANGS, 1, f"chat: closed after {said['seconds']} s")
            case "notice":
                self.report.hear(said["text"])

    def stopped(self) -> None:
        self.report.count(TOKENS, self.kept.lost_tokens(), str(self.store))
        self.kept = Kept(self.store)
        self.soak.comparison.check_chat(self.store, self._known, self._compared)
        self.is_remote = self.chance.random() < 0.4
