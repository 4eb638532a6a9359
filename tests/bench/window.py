"""P6: the window. Start to first paint; longest stall of the main thread while 300 tok/s stream into a long answer with
formulas, into three conversations, one line of 5,000 characters or one block of code, and while 5,000 results of a
batch are sorted and filtered; growth of the memory over 50 long answers; opening an answer of 3,000 steps. Scripted
models. The sizes are the largest that people meet."""

import gc
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import psutil
from PySide6.QtCore import QEventLoop, Qt, QTimer
from PySide6.QtWidgets import QApplication, QTableView

from baton_reasoning.app.__main__ import SWITCH_INTERVAL
from baton_reasoning.app.batch.result_table import ResultTable, RowFilter
from baton_reasoning.app.session.loaded_models import Loading
from baton_reasoning.app.toolkit.background import MainThreadCollector
from baton_reasoning.app.window.main_window import MainWindow
from baton_reasoning.core.analysis.run_cost import RunCost, Segment
from baton_reasoning.core.batch.running.arms import arms_of
from baton_reasoning.core.conversation import Exchange
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.engines.remote.known_servers import KnownServers
from baton_reasoning.core.engines.remote.status import StatusCallback
from baton_reasoning.core.grading.verdict import GradingMethod, Outcome, Verdict
from baton_reasoning.core.paths import Paths
from baton_reasoning.core.problem import Problem
from baton_reasoning.core.run import Pair, RunSettings, ask, run
from baton_reasoning.core.settings import ModelChoice
from baton_reasoning.core.store.batches import JobState, ResultRow
from baton_reasoning.core.store.store import Store
from baton_reasoning.core.thinking.events import Finish
from baton_reasoning.core.thinking.interruptions import Limits
from baton_reasoning.core.thinking.policies.alone import Never
from tests.bench.table import Row, at_most
from tests.fakes.scripted import ScriptedEngine, Text
from tests.systems import user_folders

RATE = 300
SECONDS = 12
STEPS = 3_000
ROWS = 5_000
LINE = 5_000
STARTS = 5
ANSWERS = 50
ANSWER_STEPS = 100
WARM = 5
"""Answers after which everything has been loaded once."""
START = """
import time
from baton_reasoning.app.__main__ import shown_window
application, window = shown_window()
application.processEvents()
print(time.monotonic())
"""


class Scripted:
    """A pair that writes the given text, at most `rate` tokens a second; 0 is as fast as it goes."""

    def __init__(self, text: Text, rate: int = RATE) -> None:
        self._text = text
        self._rate = rate
        self._written = 0
        self._began = 0.0

    @property
    def servers(self) -> KnownServers:
        return KnownServers(Path("no-such-folder", "servers.json"))

    def __call__(self, choice: ModelChoice, watcher: StatusCallback) -> Loading:
        yield f"Opening {choice.small}"
        engine = ScriptedEngine(continue_with=lambda *_: self._text, before_token=self._pace)
        yield Pair(engine, engine)

    def _pace(self, _body: str) -> None:
        """Wait as a model would that writes so many tokens a second."""
        if not self._rate:
            return
        self._began = self._began or time.perf_counter()
        self._written += 1
        time.sleep(max(0.0, self._began + self._written / self._rate - time.perf_counter()))


def rows(_: int) -> Iterator[Row]:
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    sys.setswitchinterval(SWITCH_INTERVAL)
    with tempfile.TemporaryDirectory() as name:
        yield at_most("P6", "start of the program to first paint", 0.6, starting(Path(name)), unit="s")
    application = QApplication.instance() or QApplication(sys.argv)
    MainThreadCollector(application)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        what = f"longest stall while {RATE} tok/s stream into"
        yield stall_row(f"{what} a long answer", streaming(Paths.under(folder / "one"), story()))
        several = streaming(Paths.under(folder / "several"), story(), conversations=3)
        yield stall_row(f"{what} three conversations, of which one is in view", several)
        line = streaming(Paths.under(folder / "line"), unbroken_line())
        yield stall_row(f"{what} one line of {LINE:,} characters", line)
        code = streaming(Paths.under(folder / "code"), long_code())
        yield stall_row(f"{what} one block of code", code)
        yield stall_row(f"longest stall while {ROWS:,} results are sorted and filtered", arranging(), goal=None)
        grown = remembering(Paths.under(folder / "many"))
        what = f"growth of the memory from answer {WARM} to {ANSWERS}, 2,600 tokens and {ANSWER_STEPS} formulas each"
        measured = f"{grown[-1]:.0f} MiB, {grown[-1] - grown[0]:.0f} of it in the last {ANSWERS // 2}"
        yield Row("P6", what, "bounded", measured)
        gc.collect()
        gc.freeze()  # a program with one window has not what those before this one have left
        opened_in = opening(Paths.under(folder / "long"))
        yield at_most("P6", f"opening an answer of {STEPS:,} steps", 150, [opened_in * 1000], unit="ms")
    application.quit()


def stall_row(what: str, gaps: list[float], goal: float | None = 16) -> Row:
    """Milliseconds between two beats of the event loop. One that only the system made longer is seen by the second
    figure."""
    ordered = sorted(gap * 1000 for gap in gaps)
    measured = f"{ordered[-1]:.0f} ms (99 in 100 below {ordered[int(len(ordered) * 0.99)]:.0f} ms)"
    if goal is None:
        return Row("P6", what, "smooth", measured)
    return Row("P6", what, f"< {goal:g} ms", measured, ordered[-1] < goal)


def starting(folder: Path) -> list[float]:
    """Seconds from the start of a process to the first paint of its window, as `baton-window` shows it to a new user.
    The first start, in which Python compiles what it imports, is not counted."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment |= user_folders(folder) | {"PYTHONPYCACHEPREFIX": str(folder / "compiled")}
    took = []
    for _ in range(STARTS + 1):
        began = time.monotonic()
        painted = subprocess.check_output([sys.executable, "-c", START], env=environment, text=True)
        took.append(float(painted) - began)
    return took[1:]


def story() -> str:
    steps = (
        f"Step {n}: " + "some words that fill the line and mean nothing " * 4
        + (f"so \\({n} \\times {n + 1} = {n * (n + 1)}\\)" if n % 3 == 0 else "") + ".\n\n"
        for n in range(4 * SECONDS)
    )  # fmt: skip
    return "".join(steps) * 3


def unbroken_line() -> list[str]:
    """In tokens of almost one length, as many as are written in SECONDS."""
    tokens = RATE * (SECONDS + 1)
    ends = [number * LINE // tokens for number in range(tokens + 1)]
    return ["x" * (end - start) for start, end in pairwise(ends)]


def long_code() -> str:
    """A function after the other, without an end."""
    functions = (
        f'def add_{n}(number: int) -> int:\n    """Add {n} to a number."""\n    result = number + {n}  # the sum\n\n'
        f"    return result if number > 0 else -result\n\n\n"
        for n in range(400)
    )
    return "```python\n" + "".join(functions)


def streaming(paths: Paths, text: Text, conversations: int = 1) -> list[float]:
    """Seconds between two beats of the event loop while an answer is written in each conversation."""
    window = opened(paths, text)
    for number in range(conversations):
        window.session.new()
        window.session.ask(f"A long problem, {number}")
    until(lambda: bool(window.session.current and window.session.current.trace.tokens > RATE))
    end = time.perf_counter() + SECONDS
    with beats() as gaps:
        until(lambda: time.perf_counter() > end)
    window.close()
    return gaps


def arranging() -> list[float]:
    """Seconds between two beats while the results of a batch are sorted by each column, and filtered."""
    problems = [Problem(f"p{n}", f"Count to {n}.", str(n), {}, n + 1) for n in range(ROWS // 2)]
    outcomes = [Verdict(outcome, GradingMethod.EXACT, "") for outcome in (Outcome.CORRECT, Outcome.WRONG)]
    model, view = ResultTable(), QTableView()
    view.setModel(model)
    view.resize(1000, 800)
    view.show()
    arms = [arm.stored() for arm in arms_of(("small", "large"), RunSettings())]
    model.show(problems, arms, (_row(n, outcomes[n * 7919 % 3 % 2]) for n in range(ROWS)))
    columns = range(model.columnCount())
    wishes: list[Callable[[], None]] = [lambda column=column: model.sort(column) for column in columns]  # type: ignore[misc]
    wishes += [lambda shown=shown: model.choose(shown) for shown in RowFilter]  # type: ignore[misc]
    gaps: list[float] = []
    for wish in wishes:
        with beats() as some:
            wish()
            until(lambda some=some: bool(some))  # type: ignore[misc]
        gaps += some
    view.close()
    return gaps


def _row(n: int, verdict: Verdict) -> ResultRow:
    arm, ribbon = ("small", "large")[n % 2], (Segment(Author.SMALL, 9),)
    figures = RunCost(seconds=n * 7 % 13, small_tokens=n * 7919 % 997, ribbon=ribbon)
    return ResultRow(n, "", arm, n // 2, 0, JobState.DONE, str(n), verdict, "", Finish.END_OF_TEXT, figures)


@contextmanager
def beats() -> Iterator[list[float]]:
    """Seconds between two beats of the event loop, as long as this is open."""
    gaps: list[float] = []
    last = [time.perf_counter()]

    def beat() -> None:
        now = time.perf_counter()
        gaps.append(now - last[0])
        last[0] = now

    timer = QTimer()
    timer.setTimerType(Qt.TimerType.PreciseTimer)
    timer.timeout.connect(beat)
    timer.start(1)
    yield gaps
    timer.stop()


def remembering(paths: Paths) -> list[float]:
    """MiB by which the process has grown since the fifth answer: after half of them, and after all.

    Each is asked in a new conversation, as in a day's work; what is no longer shown is to be given back.
    """
    steps = (
        f"Step {n}: " + "some words that fill the line " * 4 + f"so \\({n} + {n} = {2 * n}\\).\n\n"
        for n in range(ANSWER_STEPS)
    )
    window = opened(paths, "".join(steps) + "</think>\n\nSo it is.", rate=0)
    process, at_first, grown = psutil.Process(), 0.0, []
    for number in range(1, ANSWERS + 1):
        window.session.new()
        window.session.ask(f"Problem {number}")
        until(lambda: window.session.ready)
        answer = window.chat.conversation.answers()[0]
        answer.keep_open()
        until(lambda answer=answer: answer.steps.complete)  # type: ignore[misc]
        engine = window.models.pair.small
        assert isinstance(engine, ScriptedEngine)
        engine.sessions.clear()  # its log of calls is no part of the window
        if number == WARM:
            at_first = process.memory_info().rss
        elif number in (ANSWERS // 2, ANSWERS):
            grown.append((process.memory_info().rss - at_first) / 2**20)
    window.close()
    return grown


def opening(paths: Paths) -> float:
    """Seconds from the click on a conversation in the list until its answer is on the screen."""
    conversation = uuid.uuid4().hex
    store_long_answer(paths, conversation)
    window = opened(paths, "")
    began = time.perf_counter()
    window.session.open(conversation)
    QApplication.processEvents()
    took = time.perf_counter() - began
    until(lambda: window.session.ready)
    window.close()
    return took


def store_long_answer(paths: Paths, conversation: str) -> None:
    text = "".join(f"Step {n}.\n\n" for n in range(STEPS)) + "</think>\n\nThe answer is \\boxed{4}."
    settings = RunSettings(policy="never", max_tokens=10**6, limits=Limits(repetition=False))
    exchange = Exchange("2 + 2?", settings)
    with Store.open(paths.store) as store:
        store.conversations.put(conversation, exchange).result()
        recorder = store.runs.record(exchange.id)
        recorder.record(run(Pair(ScriptedEngine(text, context=10**6)), ask("2 + 2?", settings), settings))
        recorder.finish().result()


def opened(paths: Paths, text: Text, rate: int = RATE) -> MainWindow:
    window = MainWindow(paths, Scripted(text, rate))
    window.preferences.change(models=ModelChoice(small="scripted", large="scripted"))
    window.preferences.change_run(policy=Never.Settings(), alternatives=0, limits=Limits(repetition=False))
    window.resize(1440, 900)
    window.show()
    window.begin_work()
    until(lambda: window.session.ready and window.models.pair.small is not None)
    return window


def until(true: Callable[[], bool]) -> None:
    loop = QEventLoop()
    poll = QTimer()
    poll.timeout.connect(lambda: loop.quit() if true() else None)
    poll.start(20)
    loop.exec()
