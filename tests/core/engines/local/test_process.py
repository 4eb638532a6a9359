"""A model's process that dies again and again, hangs, or gets odd input: the text goes on, or ends in one sentence."""

import multiprocessing
import os
import pickle
import queue
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import psutil
import pytest

from baton_reasoning.core.demo_pair import LARGE_MODEL, SMALL_MODEL
from baton_reasoning.core.engines.base import End, Judgement, Message, Notice, Session, Stop, WriteItem
from baton_reasoning.core.engines.body import Author, Body, Part
from baton_reasoning.core.engines.local import engine as local_engine
from baton_reasoning.core.engines.local import placement, worker
from baton_reasoning.core.engines.local import process as model_process
from baton_reasoning.core.engines.local.engine import REPLACED, LocalEngine
from baton_reasoning.core.engines.local.messages import Tokenize, WorkerOptions
from baton_reasoning.core.engines.local.process import ModelProcess, RestartPolicy
from baton_reasoning.core.errors import Cancelled, ContextFull, EngineError, EngineLost
from baton_reasoning.core.models.options import LoadOptions, Sampling
from tests.core.engines.local.conftest import QUESTION
from tests.core.engines.local.writing import at_token, ids, text_read, write
from tests.patience import PATIENCE

pytestmark = pytest.mark.slow

GREEDY = Sampling(temperature=0)
OPTIONS = LoadOptions(context=512, threads=1)
LONG = 400
"""Tokens: the text ends of itself after some two hundred."""


@pytest.fixture
def engine():
    engine = LocalEngine(SMALL_MODEL, OPTIONS)
    yield engine
    engine.close()


@pytest.fixture
def short_patience(monkeypatch):
    """A stopped process is killed soon; a running one is left alone."""
    monkeypatch.setattr(model_process, "SILENCE_IF_STOPPED", 0.3)
    monkeypatch.setattr(model_process, "LOOK_EVERY", 0.1)


def send(engine: LocalEngine, number: int) -> int:
    pid = engine.process.pid
    assert pid is not None
    os.kill(pid, number)
    return pid


def test_a_model_whose_writes_are_always_closed_early_survives_a_death_between_each(engine):
    """As a large model that only ever writes takeovers."""
    session = engine.open(QUESTION, GREEDY)
    for _ in range(3):
        body = Body()
        assert len(ids(write(session, body, limit=30, stop_after=3))) == 3
        send(engine, signal.SIGKILL)
    assert len(ids(write(session, Body(), limit=3))) == 3


def garble_a_request(engine: LocalEngine) -> None:
    engine.process._connection.send_bytes(b"garbage")


def garble_a_reply(_: LocalEngine) -> NoReturn:
    raise pickle.UnpicklingError


def crash_in_native_code(engine: LocalEngine) -> None:
    """As a failed assertion of ggml, or a segmentation fault."""
    send(engine, signal.SIGSEGV)


def send_a_nameless_signal(engine: LocalEngine) -> None:
    send(engine, signal.SIGRTMIN + 1)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (garble_a_request, "UnpicklingError"),
        (garble_a_reply, "killed"),
        (crash_in_native_code, "stopped with SIGSEGV"),
        pytest.param(
            send_a_nameless_signal,
            "stopped with signal",
            marks=pytest.mark.skipif(not hasattr(signal, "SIGRTMIN"), reason="only Linux has real-time signals"),
        ),
    ],
)
def test_no_fault_leaves_a_write_waiting(engine, monkeypatch, fault, words):
    at_token(3, monkeypatch, partial(fault, engine))
    items = list(engine.open(QUESTION, GREEDY).write([], LONG, 1))
    assert len(ids(items)) >= 2
    assert [words in item.text for item in items if isinstance(item, Notice)] == [True]


@pytest.mark.real_models
@pytest.mark.usefixtures("short_patience")
def test_a_process_that_hangs_is_killed_and_the_text_goes_on(smollm2):
    with closing(LocalEngine(smollm2, OPTIONS)) as engine:
        session, items, is_first = engine.open(QUESTION, GREEDY), list[WriteItem](), True
        for item in session.write([], 40, 1):
            items.append(item)
            if is_first and len(ids(items)) == 2:
                send(engine, signal.SIGSTOP)
                is_first = False
        notices = [item.text for item in items if isinstance(item, Notice)]
        assert len(notices) == 1
        assert "stopped responding" in notices[0]
        assert len(ids(items)) == 40


def test_stop_ends_a_write_though_the_process_hangs(engine, monkeypatch):
    session = engine.open(QUESTION, GREEDY)

    def hang() -> None:
        send(engine, signal.SIGSTOP)
        session.cancel()

    at_token(3, monkeypatch, hang)
    assert list(session.write([], LONG, 1))[-1] == End(Stop.CANCELLED)


@pytest.fixture
def hangs(engine, monkeypatch):
    """Its process does not answer, and is not killed for it."""
    monkeypatch.setattr(model_process, "SILENCE_IF_STOPPED", 600.0)
    send(engine, signal.SIGSTOP)
    yield engine
    send(engine, signal.SIGCONT)


def test_a_session_can_be_cancelled_while_the_process_that_opens_it_hangs(hangs):
    opening: queue.SimpleQueue[Session] = queue.SimpleQueue()
    with ThreadPoolExecutor(1) as pool:
        opened = pool.submit(hangs.open, QUESTION, GREEDY, opening.put)
        opening.get().cancel()
        with pytest.raises(Cancelled):
            opened.result()


def test_a_second_cancellation_does_not_prolong_the_first(engine, monkeypatch):
    monkeypatch.setattr(local_engine, "STOP_SECONDS", 0.2)
    monkeypatch.setattr(model_process, "SILENCE_IF_STOPPED", 600.0)
    session = engine.open(QUESTION, GREEDY)
    send(engine, signal.SIGSTOP)
    ended = threading.Event()

    def keep_cancelling() -> None:
        while not ended.wait(0.01):
            session.cancel()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(keep_cancelling)
        assert list(session.write([], LONG, 1)) == [End(Stop.CANCELLED)]
        ended.set()


def test_what_was_cancelled_writes_no_more(engine):
    session = engine.open(QUESTION, GREEDY)
    session.cancel()
    assert list(session.write([], LONG, 1)) == [End(Stop.CANCELLED)]
    assert session.judge([], "?", ("a", "b")) == Judgement.none(2)


def test_a_restart_can_be_cancelled_and_is_tried_again_for_the_next_text(engine):
    def cancelled(_: float) -> NoReturn:
        raise Cancelled

    process = engine.process
    send(engine, signal.SIGKILL)
    with pytest.raises(EngineLost) as lost:
        engine.tokenize("x")
    with pytest.raises(Cancelled):
        engine.recover(lost.value, process, cancelled)
    assert ids(list(engine.open(QUESTION, GREEDY).write([], 3, 1)))


def test_a_reload_keeps_nobody_else_waiting(engine, monkeypatch):
    begun, may_go_on = threading.Event(), threading.Event()

    class Slow(model_process.ModelProcess):
        def __init__(self, options: WorkerOptions, on_progress: Callable[[float], object]) -> None:
            begun.set()
            assert may_go_on.wait(PATIENCE)
            super().__init__(options, on_progress)

    def cancelled(_: float) -> NoReturn:
        raise Cancelled

    monkeypatch.setattr(placement, "ModelProcess", Slow)
    process, session = engine.process, engine.open(QUESTION, GREEDY)
    send(engine, signal.SIGKILL)
    with pytest.raises(EngineLost) as lost:
        engine.tokenize("x")
    with ThreadPoolExecutor(3) as pool:
        writing = pool.submit(list, session.write([], 3, 1))
        assert begun.wait(PATIENCE)
        try:
            with pytest.raises(EngineLost):
                pool.submit(engine.tokenize, "x").result(PATIENCE)
            with pytest.raises(Cancelled):
                pool.submit(engine.recover, lost.value, process, cancelled).result(PATIENCE)
        finally:
            may_go_on.set()
    assert len(ids(writing.result())) == 3


def test_no_request_leaves_its_queue_of_replies_behind(engine, monkeypatch):
    def sent() -> int:
        return len(engine.process._sent)

    for _ in range(3):
        engine.tokenize("x")
        engine.open(QUESTION, GREEDY).close()
    session = engine.open(QUESTION, GREEDY)
    write(session, Body(), limit=30, stop_after=3)
    with pytest.raises(ContextFull):
        session.read([Part(" word" * 600, Author.INSERTED)])
    assert sent() == 0
    at_token(3, monkeypatch, partial(send, engine, signal.SIGKILL))
    process = engine.process
    assert ids(list(session.write([], 30, 1)))
    assert sent() == len(process._sent) == 0
    session.cancel()
    session.read([])
    with pytest.raises(Cancelled):
        engine.open(QUESTION, GREEDY, lambda session: session.cancel())
    assert sent() == 0


def test_a_model_that_was_closed_is_not_started_again(engine):
    """Its sessions may still ask in other threads."""
    session, process = engine.open(QUESTION, GREEDY), engine.process
    engine.close()
    with pytest.raises(EngineLost):
        session.read([])
    assert engine.process is process


def test_a_model_that_is_closed_while_it_is_started_again_leaves_no_process(engine):
    process = engine.process
    send(engine, signal.SIGKILL)
    with pytest.raises(EngineLost) as lost:
        engine.tokenize("x")
    with pytest.raises(EngineLost):
        engine.recover(lost.value, process, lambda _: engine.close())
    assert not engine.process.alive


@pytest.mark.parametrize("is_sending", [False, True], ids=["idle", "in the middle of a message"])
def test_closing_ends_a_process_that_hangs(is_sending, monkeypatch):
    """Without the watchdog, which would kill it after a while."""
    monkeypatch.setattr(model_process, "LOOK_EVERY", 60.0)
    engine = LocalEngine(SMALL_MODEL, OPTIONS)
    pid = send(engine, signal.SIGSTOP)
    threads = [threading.Thread(target=engine.close, daemon=True)]
    if is_sending:  # more than the pipe takes, so that the lock is held
        telling = Tokenize(1, "x" * 2**22, False)
        threads.insert(0, threading.Thread(target=engine.process.tell, args=(telling,), daemon=True))
        threads[0].start()
        wait_until(engine.process._lock.locked)
        threads[1].start()
    else:
        threads[0].start()
    for thread in threads:
        thread.join(PATIENCE)
    is_over = not any(thread.is_alive() for thread in threads)
    if not is_over:
        os.kill(pid, signal.SIGKILL)
    assert is_over
    assert not psutil.pid_exists(pid)


def wait_until(condition: Callable[[], bool]) -> None:
    while not condition():
        threading.Event().wait(0.01)


def test_a_process_that_is_silent_without_being_stopped_is_killed_later(engine, monkeypatch):
    """As one that waits for a disk or a driver: the system does not call it stopped."""
    monkeypatch.setattr(psutil, "STATUS_STOPPED", "of another system")
    monkeypatch.setattr(psutil, "STATUS_TRACING_STOP", "of another system")
    monkeypatch.setattr(model_process, "SILENCE_IF_STOPPED", 0.3)
    monkeypatch.setattr(model_process, "SILENCE", 0.6)
    pid = send(engine, signal.SIGSTOP)
    try:
        psutil.Process(pid).wait(PATIENCE)
    except psutil.TimeoutExpired:
        os.kill(pid, signal.SIGKILL)
        raise
    assert engine.open(QUESTION, GREEDY).prompt_tokens, "it was started again"


def test_native_code_that_never_returns_stops_the_heartbeat(monkeypatch):
    monkeypatch.setattr(worker, "HEARTBEAT_SECONDS", 0.01)
    monkeypatch.setattr(worker, "LONGEST_STEP", 0.1)
    ours, theirs = multiprocessing.Pipe()
    outbox = worker.Outbox(theirs)
    with ours, theirs:
        outbox.begin_heartbeat()
        assert ours.poll(PATIENCE)
        with outbox.step():
            deadline = time.monotonic() + PATIENCE
            while ours.poll(1.0) and time.monotonic() < deadline:
                ours.recv_bytes()
            assert time.monotonic() < deadline, "it is silent for a second"
        assert ours.poll(PATIENCE), "and goes on after the step"


def test_a_decode_is_such_a_step(monkeypatch):
    steps: list[str] = []

    class Recorded(worker.Outbox):
        @contextmanager
        def step(self) -> Iterator[None]:
            steps.append("begins")
            yield
            steps.append("ends")

    class Decoding:
        """The scheduler, and a writer of branches."""

        idle = False

        def next_turns(self) -> list[str]:
            return ["one"] if not steps else self.stop()

        def decode(self, turns: list[str], _: object) -> None:
            steps.extend(turns)

        def step(self) -> None:
            steps.append("branches")

        def stop(self) -> NoReturn:
            raise KeyboardInterrupt

    ours, theirs = multiprocessing.Pipe()
    with ours, theirs:
        monkeypatch.setattr(worker, "Scheduler", lambda *_: Decoding())
        monkeypatch.setattr(worker.Worker, "_listen", lambda _: None)
        working = worker.Worker(theirs, Recorded(theirs), Any, Any)  # type: ignore[arg-type]
        working.branches[1] = Decoding()  # type: ignore[assignment]
        with pytest.raises(KeyboardInterrupt):
            working.run()
    assert steps == ["begins", "one", "branches", "ends"]


def test_loading_is_cancelled_from_its_progress(smollm2):
    def cancel(_: float) -> None:
        raise EngineError("Cancelled.")

    before = set(psutil.Process().children(recursive=True))
    with pytest.raises(EngineError, match="Cancelled"):
        LocalEngine(smollm2, OPTIONS, on_progress=cancel)
    names = [child.name() for child in set(psutil.Process().children(recursive=True)) - before]
    assert not any("baton" in name for name in names)


@pytest.mark.usefixtures("short_patience")
def test_a_model_that_hangs_while_it_loads_is_ended_in_a_sentence(smollm2):
    def stop(_: float) -> None:
        for child in multiprocessing.active_children():
            if child.name == f"baton {smollm2.name}" and child.pid:
                os.kill(child.pid, signal.SIGSTOP)

    with pytest.raises(EngineError, match=r"could not be loaded: .* stopped responding"):
        LocalEngine(smollm2, OPTIONS, on_progress=stop)


@pytest.mark.skipif(os.name != "posix", reason="elsewhere a file that is open keeps its name")
def test_no_log_is_left_behind_if_the_program_is_killed_while_a_model_loads(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    seen: list[list[Path]] = []
    with closing(LocalEngine(SMALL_MODEL, OPTIONS, on_progress=lambda _: seen.append(list(tmp_path.iterdir())))):
        seen.append(list(tmp_path.iterdir()))
    assert len(seen) > 1
    assert not any(seen)


def test_a_file_that_is_overwritten_in_use_is_reported_instead_of_read(tmp_path, monkeypatch):
    """The file is mapped, so that the weights become zeros, of which a model writes fluent nonsense."""
    file = tmp_path / "model.gguf"
    file.write_bytes(SMALL_MODEL.read_bytes())

    def overwrite() -> None:
        with file.open("r+b") as opened:
            opened.seek(file.stat().st_size // 2)
            opened.write(bytes(file.stat().st_size // 2))

    with closing(LocalEngine(file, OPTIONS)) as engine:
        at_token(3, monkeypatch, overwrite)
        written: list[WriteItem] = []
        with pytest.raises(EngineLost, match=r"its file was changed while it was in use\. Load the model again"):
            written.extend(engine.open(QUESTION, GREEDY).write([], LONG, 1))
        assert len(ids(written)) < 100


def test_a_file_that_was_replaced_is_not_loaded_in_the_middle_of_a_text(tmp_path, monkeypatch):
    file, other = tmp_path / "model.gguf", tmp_path / "other.gguf"
    file.write_bytes(SMALL_MODEL.read_bytes())
    other.write_bytes(LARGE_MODEL.read_bytes())
    with closing(LocalEngine(file, OPTIONS)) as engine:

        def replace_and_kill() -> None:
            other.replace(file)
            send(engine, signal.SIGKILL)

        at_token(3, monkeypatch, replace_and_kill)
        with pytest.raises(EngineLost, match="was changed"):
            list(engine.open(QUESTION, GREEDY).write([], LONG, 1))


def test_a_file_that_was_replaced_since_it_was_loaded_is_told_once_a_text(tmp_path):
    """It may have been damaged when it was loaded; a checksum would be of the other file."""
    file, other = tmp_path / "model.gguf", tmp_path / "other.gguf"
    file.write_bytes(SMALL_MODEL.read_bytes())
    other.write_bytes(SMALL_MODEL.read_bytes())
    with closing(LocalEngine(file, OPTIONS)) as engine:
        session = engine.open(QUESTION, GREEDY)

        def told() -> list[str]:
            return [item.text for item in session.write((), 2, 0) if isinstance(item, Notice)]

        assert told() == []
        other.replace(file)
        assert told() == [REPLACED.format(engine.card.name)]
        assert told() == []


def test_a_process_is_not_silent_while_the_program_itself_was_stopped():
    """As by Ctrl+Z, or while a laptop sleeps."""

    class Looks:
        """The event that ends the watch, after so many looks; another hour passes before each."""

        def __init__(self, process: "WatchedProcess", number: int) -> None:
            self.process, self.left = process, number

        def wait(self, _: float) -> bool:
            self.left -= 1
            return self.left < 0 or self.process.is_killed

    class WatchedProcess(ModelProcess):
        """Silent since its first message, as the program that watches it sees it."""

        def __init__(self, looks: int) -> None:
            self._process: Any = self
            self._received = 1
            self._ended: Any = Looks(self, looks)
            self.is_killed = False
            self._watch()

        def kill(self) -> None:
            self.is_killed = True

        def _longest_silence(self) -> float:
            return model_process.SILENCE

    allowed = round(model_process.SILENCE / model_process.LOOK_EVERY)
    assert not WatchedProcess(1 + allowed).is_killed, "the first look hears its message"
    assert WatchedProcess(2 + allowed).is_killed


def test_ids_outside_the_vocabulary_are_read_as_their_text(engine):
    session, vocabulary = engine.open(QUESTION, GREEDY), engine.card.vocabulary
    body = [Part(" two", Author.LARGE, id=10**8, vocabulary=vocabulary), Part(" and", Author.LARGE, -5, vocabulary)]
    assert text_read(session, body) == " two and"
    assert engine.process.alive


def test_half_a_surrogate_pair_in_a_prompt_does_not_kill_the_process(engine):
    session = engine.open((Message("user", "What is \ud800?"),), GREEDY)
    assert len(ids(write(session, Body(), limit=2))) == 2
    session.read([Part("\udfff", Author.INSERTED)])
    assert engine.tokenize("\ud800")
    assert engine.process.alive


def test_the_process_of_a_model_inherits_no_keys(monkeypatch):
    secrets = {"HF_TOKEN": "hf_secret", "OFFICE_API_KEY": "secret", "db_password": "secret"}
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)
    with closing(LocalEngine(SMALL_MODEL, OPTIONS)) as engine:
        inherited = psutil.Process(engine.process.pid).environ()
    assert not set(secrets) & set(inherited)
    assert os.environ["HF_TOKEN"] == "hf_secret", "this program keeps its own"


@pytest.mark.parametrize(
    "line",
    [
        "ggml_vulkan: Device memory allocation of size 1024 failed: vk::Device::allocateMemory: ErrorOutOfDeviceMemory",
        "CUDA error: out of memory",
        "MemoryError",
        "ggml_backend_cuda_buffer_type_alloc_buffer: allocating 12 MiB on device 0: cudaMalloc failed: out of memory",
        "terminate called after throwing an instance of 'std::bad_alloc'",
    ],
)
def test_the_words_of_every_back_end_and_of_python_for_memory_are_recognised(line):
    assert model_process.speaks_of_memory(line)
    assert not model_process.speaks_of_memory("GGML_ASSERT(n_tokens > 0) failed")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_second_death_without_a_success_between_is_final():
    policy = RestartPolicy()
    assert policy.allows_restart()
    assert not policy.allows_restart()


def test_a_success_allows_another_restart():
    policy = RestartPolicy()
    for _ in range(3):
        assert policy.allows_restart()
        policy.succeeded()


def test_restarts_are_bounded_in_time_also_where_each_is_followed_by_a_success():
    clock = Clock()
    policy = RestartPolicy(clock)
    for clock.now in range(model_process.MOST_RESTARTS):
        assert policy.allows_restart()
        policy.succeeded()
    assert not policy.allows_restart()
    clock.now = model_process.RESTART_SECONDS
    assert policy.allows_restart(), "the first one no longer counts"
    policy.succeeded()
    assert not policy.allows_restart()
