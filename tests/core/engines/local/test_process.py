"""A model's process that dies again and again, hangs, or gets odd input: the text goes on, or ends in one sentence."""

import multiprocessing
import os
import pickle
import queue
import signal
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from io import BytesIO
from itertools import chain, groupby, repeat
from multiprocessing import reduction
from pathlib import Path
from unittest.mock import MagicMock, Mock, PropertyMock

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from baton_reasoning.core.demo_pair import LARGE_MODEL, SMALL_MODEL, held_out_problems
from baton_reasoning.core.engines.base import (
    Branch,
    Continuation,
    End,
    Judgement,
    Message,
    Session,
    Stop,
    Token,
    WriteItem,
)
from baton_reasoning.core.engines.body import Author, Body, Part
from baton_reasoning.core.engines.local import engine as local_engine
from baton_reasoning.core.engines.local import messages, placement, worker
from baton_reasoning.core.engines.local import process as model_process
from baton_reasoning.core.engines.local.engine import REPLACED, LocalEngine
from baton_reasoning.core.engines.local.llama import Llama
from baton_reasoning.core.engines.local.messages import Tokenize, WorkerOptions
from baton_reasoning.core.engines.local.process import ModelProcess, RestartPolicy
from baton_reasoning.core.errors import Cancelled, ContextFull, EngineError, EngineLost
from baton_reasoning.core.models.load_options import LoadOptions
from baton_reasoning.core.models.sampling import Sampling
from tests.core.engines.local.conftest import GREEDY, at_token, ids, notices, process_of, text_read, write
from tests.core.models.ollama_store import put_model
from tests.fakes.early_death import EXIT_CODE, DiesWhenUnpickled, untaken_ends_stay_open
from tests.patience import PATIENCE
from tests.systems import posix_only

pytestmark = pytest.mark.slow

QUESTION = (Message("user", next(held_out_problems(seed=3)).question),)
OPTIONS = LoadOptions(context=512, threads=1)
LONG = 400
"""Tokens: the text ends of itself after some two hundred."""


@pytest.fixture
def engine():
    with closing(LocalEngine(SMALL_MODEL, OPTIONS)) as engine:
        yield engine


@pytest.fixture
def short_patience(monkeypatch):
    """A stopped process is killed soon; a running one is left alone."""
    monkeypatch.setattr(model_process, "SILENCE_IF_STOPPED", 0.3)
    monkeypatch.setattr(model_process, "LOOK_EVERY", 0.1)


def kill(engine: LocalEngine) -> None:
    process_of(engine).kill()


def suspend(engine: LocalEngine) -> None:
    process_of(engine).suspend()


def crash(engine: LocalEngine) -> None:
    """As a failed assertion of ggml does."""
    process_of(engine).send_signal(signal.SIGSEGV)


def death_of(engine: LocalEngine) -> EngineLost:
    kill(engine)
    with pytest.raises(EngineLost) as lost:
        engine.tokenize("x")
    return lost.value


def cancelled(_):
    raise Cancelled


# The text goes on ----------------------------------------------------------------------------------------------------


def test_a_model_whose_writes_are_always_closed_early_survives_a_death_between_each(engine):
    """As a large model that only ever writes takeovers."""
    session = engine.open(QUESTION, GREEDY)
    for _ in range(3):
        assert len(ids(write(session, Body(), limit=30, stop_after=3))) == 3
        kill(engine)
    assert len(ids(write(session, Body(), limit=3, stop_after=2))) == 2
    with pytest.raises(ContextFull):
        session.read([Part(" word" * 600, Author.INSERTED)])
    with pytest.raises(Cancelled):
        engine.open(QUESTION, GREEDY, lambda session: session.cancel())
    assert not engine.process._sent, "no request left its queue of replies behind"


def garble_a_request(engine: LocalEngine) -> None:
    engine.process._connection.send_bytes(b"garbage")


def garble_a_reply(_):
    raise pickle.UnpicklingError


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.usefixtures("short_patience")
@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (garble_a_request, "UnpicklingError"),
        (garble_a_reply, "killed"),
        pytest.param(crash, "stopped with signal 11 (", marks=posix_only("signals that end a process")),
        (kill, "was killed from outside"),
        (suspend, "stopped responding"),
    ],
)
def test_no_fault_leaves_a_write_waiting_or_changes_its_text(engine, monkeypatch, fault, words):
    undisturbed = ids(list(engine.open(QUESTION, GREEDY).write([], LONG, 1)))
    at_token(3, monkeypatch, partial(fault, engine))
    items = list(engine.open(QUESTION, GREEDY).write([], LONG, 1))
    assert ids(items) == undisturbed
    (notice,) = notices(items)
    assert words in notice
    assert "It was started again, and the text goes on." in notice


def test_a_death_loses_none_of_the_texts_under_way(monkeypatch):
    all_begin = threading.Barrier(4)

    def written(number: int) -> list[WriteItem]:
        session = together.open(QUESTION, Sampling())
        all_begin.wait(PATIENCE)
        return list(session.write([], LONG, seed=number))

    with closing(LocalEngine(SMALL_MODEL, LoadOptions(context=512, parallel=4, threads=1))) as together:
        at_token(3, monkeypatch, lambda: kill(together), texts=4)
        with ThreadPoolExecutor(4) as pool:
            texts = list(pool.map(written, range(4)))
    assert all(isinstance(items[-1], End) for items in texts)
    assert all(len(notices(items)) == 1 for items in texts)


def killing(engine: LocalEngine, monkeypatch: pytest.MonkeyPatch, deaths: int, *, before: bool) -> set[int | None]:
    """Kill so many processes over their first token or continuation, in the thread that reads it, so that no text is
    over then; `before`: it is lost. Returns those that were killed."""
    killed, receive = set[int | None](), messages.receive

    def receive_and_kill(connection):
        message = receive(connection)
        has_text = isinstance(message, list) and any(isinstance(item, Token | Continuation) for _, item in message)
        if has_text and len(killed) < deaths and engine.process.pid not in killed:
            killed.add(engine.process.pid)
            kill(engine)
            if before:
                raise EOFError
        return message

    monkeypatch.setattr(messages, "receive", receive_and_kill)
    return killed


def test_a_process_that_dies_again_at_once_is_an_error_in_words(engine, monkeypatch):
    session, killed = engine.open(QUESTION, GREEDY), killing(engine, monkeypatch, deaths=9, before=True)
    with pytest.raises(EngineLost, match="killed from outside") as lost:
        list(session.write([], LONG, 1))
    assert len(killed) == 2
    assert "Load the model again" in lost.value.advice
    assert engine.is_lost


def test_memory_that_runs_out_again_and_again_in_one_request_tries_every_lighter_way(monkeypatch):
    monkeypatch.setattr(placement, "first_layers", lambda *_: 32)
    monkeypatch.setattr(ModelProcess, "_last_line", lambda _: "CUDA error: out of memory")
    with closing(LocalEngine(SMALL_MODEL, OPTIONS)) as engine:
        killed = killing(engine, monkeypatch, deaths=5, before=True)
        items = list(engine.open(QUESTION, GREEDY).write([], 3, 1))
        assert len(ids(items)) == 3
        assert len(killed) == len(notices(items)) == 5
        assert "with 0 of 32 layers" in notices(items)[-1]
        assert (engine.loaded_as.gpu_layers, engine.loaded_as.batch) == (0, 128)


def test_a_long_write_survives_a_crash_after_each_token(engine, monkeypatch):
    undisturbed = ids(list(engine.open(QUESTION, GREEDY).write([], LONG, 1)))
    killed = killing(engine, monkeypatch, deaths=3, before=False)
    assert ids(list(engine.open(QUESTION, GREEDY).write([], LONG, 1))) == undisturbed
    assert len(killed) == 3


def test_branches_survive_a_crash_after_each_that_has_ended(engine, monkeypatch):
    branches = [Branch([], seed, 6) for seed in range(100)]
    killed = killing(engine, monkeypatch, deaths=3, before=False)
    items = list(engine.open(QUESTION, Sampling()).write_branches(branches))
    assert sorted(item.branch for item in items if isinstance(item, Continuation)) == list(range(100))
    assert len(killed) == 3
    assert len(notices(items)) > 1, "branches were left to write after more than one death"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_death_that_cannot_be_explained_still_ends_the_requests_that_wait(engine, monkeypatch):
    def unknown(_):
        raise AttributeError("module 'signal' has no attribute 'SIGKILL'")

    monkeypatch.setattr(ModelProcess, "_cause_of_death", unknown)
    session = engine.open(QUESTION, GREEDY)
    at_token(3, monkeypatch, engine.process._process.kill)
    with ThreadPoolExecutor(1) as pool:
        (notice,) = notices(pool.submit(list, session.write([], LONG, 1)).result(PATIENCE))
    assert "ended. It was started again" in notice


@pytest.mark.parametrize(
    ("platform", "codes", "line", "words"),
    [
        ("linux", [-9], "", "was killed from outside"),
        ("linux", [-11], "GGML_ASSERT", "stopped with signal 11 ("),
        ("linux", [1], "", "ended unexpectedly (exit code 1)."),
        # It tells one of the threads that wait for a process, and the others of no such process.
        ("linux", [None, None, 3], "", "ended unexpectedly (exit code 3)."),
        ("win32", [-15], "", "was killed from outside"),
        ("win32", [15], "", "was killed from outside"),
        ("win32", [1], "", "was killed from outside"),
        ("win32", [1], "ImportError: no", "ended unexpectedly (exit code 1): ImportError: no."),
        ("win32", [0xC0000005], "", "ended unexpectedly (exit code 0xc0000005)."),
        ("win32", [0xC0000005 - 2**32], "", "ended unexpectedly (exit code 0xc0000005)."),
    ],
)
def test_each_system_says_in_its_own_way_how_a_process_ended(platform, codes, line, words, monkeypatch):
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(signal, "SIGKILL", 9, raising=False)
    if platform == "win32":
        monkeypatch.delattr(signal, "SIGKILL")
    exit_codes = PropertyMock(side_effect=chain(codes, repeat(codes[-1])))
    dead = Mock(has_other_files=False, _was_silent=0.0, _process=type("Process", (), {"exitcode": exit_codes})())
    dead.name = "m.gguf"
    dead._closing.locked.return_value, dead._last_line.return_value = False, line
    assert f"The process of m.gguf {words}" in ModelProcess._cause_of_death(dead).message


@given(st.lists(st.tuples(st.sampled_from("restart success wait".split()), st.integers(1, 300)), max_size=40))
def test_restarts_are_bounded_and_none_follows_another_without_a_success(happenings):
    now, allowed, succeeded = 0.0, list[float](), True
    policy = RestartPolicy(lambda: now)
    for kind, seconds in happenings:
        if kind == "wait":
            now += seconds
        elif kind == "success":
            policy.succeeded()
            succeeded = True
        else:
            recent = [at for at in allowed if at > now - model_process.RESTART_SECONDS]
            expected = succeeded and len(recent) < model_process.MOST_RESTARTS
            assert policy.allows_restart() == expected
            if expected:
                allowed.append(now)
                succeeded = False


# Stop ----------------------------------------------------------------------------------------------------------------


def test_stop_ends_a_write_and_an_opening_though_the_process_hangs_and_a_second_one_does_not_prolong_it(
    engine, monkeypatch
):
    monkeypatch.setattr(local_engine, "STOP_SECONDS", 0.2)
    monkeypatch.setattr(model_process, "SILENCE_IF_STOPPED", 600.0)
    session, ended = engine.open(QUESTION, GREEDY), threading.Event()
    opening: queue.SimpleQueue[Session] = queue.SimpleQueue()

    def keep_cancelling() -> None:
        while not ended.wait(0.01):
            session.cancel()

    def hang() -> None:
        suspend(engine)
        pool.submit(keep_cancelling)

    with ThreadPoolExecutor(1) as pool:
        at_token(3, monkeypatch, hang)
        try:
            assert list(session.write([], LONG, 1))[-1] == End(Stop.CANCELLED)
        finally:
            ended.set()
        opened = pool.submit(engine.open, QUESTION, GREEDY, opening.put)
        opening.get().cancel()
        with pytest.raises(Cancelled):
            opened.result()
    assert list(session.write([], LONG, 1)) == [End(Stop.CANCELLED)], "what was cancelled writes no more"
    assert session.judge([], "?", ("a", "b")) == Judgement.none(2)


def test_a_reload_keeps_nobody_else_waiting_and_one_that_was_cancelled_is_tried_again(engine, monkeypatch):
    begun, may_go_on = threading.Event(), threading.Event()

    class Slow(model_process.ModelProcess):
        def __init__(self, options, on_progress):
            begun.set()
            assert may_go_on.wait(PATIENCE)
            super().__init__(options, on_progress)

    monkeypatch.setattr(placement, "ModelProcess", Slow)
    process, session = engine.process, engine.open(QUESTION, GREEDY)
    lost = death_of(engine)
    with ThreadPoolExecutor(3) as pool:
        writing = pool.submit(list, session.write([], 3, 1))
        assert begun.wait(PATIENCE)
        try:
            with pytest.raises(EngineLost):
                pool.submit(engine.tokenize, "x").result(PATIENCE)
            with pytest.raises(Cancelled):
                pool.submit(engine.recover, lost, process, cancelled).result(PATIENCE)
        finally:
            may_go_on.set()
    assert len(ids(writing.result())) == 3
    with pytest.raises(Cancelled):
        engine.recover(death_of(engine), engine.process, cancelled)
    assert len(ids(list(session.write([], 3, 1)))) == 3


# Close ---------------------------------------------------------------------------------------------------------------


def test_a_model_that_was_closed_is_not_started_again_nor_one_that_is_closed_meanwhile():
    """Its sessions may still ask in other threads."""
    engine = LocalEngine(SMALL_MODEL, OPTIONS)
    session, process = engine.open(QUESTION, GREEDY), engine.process
    engine.close()
    with pytest.raises(EngineLost):
        session.read([])
    assert engine.process is process
    engine = LocalEngine(SMALL_MODEL, OPTIONS)
    process = engine.process
    with pytest.raises(EngineLost):
        engine.recover(death_of(engine), process, lambda _: engine.close())
    assert not engine.process.alive


@pytest.mark.parametrize("is_sending", [False, True], ids=["idle", "in the middle of a message"])
def test_closing_ends_a_process_that_hangs(is_sending, monkeypatch):
    """Without the watchdog, which would kill it after a while."""
    monkeypatch.setattr(model_process, "LOOK_EVERY", 60.0)
    engine = LocalEngine(SMALL_MODEL, OPTIONS)
    process = process_of(engine)
    process.suspend()
    threads = [threading.Thread(target=engine.close, daemon=True)]
    if is_sending:  # more than the pipe takes, so that the lock is held
        telling = Tokenize(1, "x" * 2**22, False)
        threads.append(threading.Thread(target=engine.process.tell, args=(telling,), daemon=True))
        threads[1].start()
        while not engine.process._lock.locked():
            threading.Event().wait(0.01)
    threads[0].start()
    for thread in threads:
        thread.join(PATIENCE)
    is_over = not any(thread.is_alive() for thread in threads)
    if not is_over:
        process.kill()
    assert is_over
    assert not process.is_running()


def test_a_pipe_is_closed_between_two_messages_since_the_next_pipe_may_get_its_file_descriptor(monkeypatch):
    """A Cancel that three sessions had for a dead process went to the one that was being started, once in ten."""
    engine = LocalEngine(SMALL_MODEL, OPTIONS)
    process, held = engine.process, list[bool]()
    monkeypatch.setattr(process._connection, "close", lambda: held.append(process._lock.locked()))
    engine.close()
    monkeypatch.undo()
    process._connection.close()
    assert held == [True]


def test_a_log_that_somebody_reads_stays_and_is_no_error(monkeypatch):
    """As a virus scanner on Windows, where a file that is open cannot be deleted."""

    def refused(self, missing_ok=False):
        raise PermissionError(13, "The process cannot access the file because it is being used by another process")

    with closing(LocalEngine(SMALL_MODEL, OPTIONS)) as engine:
        monkeypatch.setattr(Path, "unlink", refused)
        engine.close()
        assert not engine.process.alive
    with pytest.raises(Cancelled):
        LocalEngine(SMALL_MODEL, OPTIONS, on_progress=cancelled)


# Silence -------------------------------------------------------------------------------------------------------------


def test_a_process_that_is_silent_without_being_stopped_is_killed_later(engine, monkeypatch):
    """As one that waits for a disk or a driver: the system does not call it stopped."""
    monkeypatch.setattr(psutil, "STATUS_STOPPED", "of another system")
    monkeypatch.setattr(psutil, "STATUS_TRACING_STOP", "of another system")
    monkeypatch.setattr(model_process, "SILENCE_IF_STOPPED", 0.3)
    monkeypatch.setattr(model_process, "SILENCE", 0.6)
    process = process_of(engine)
    process.suspend()
    process.wait(PATIENCE)
    assert engine.open(QUESTION, GREEDY).prompt_tokens, "it was started again"


def test_native_code_that_never_returns_stops_the_heartbeat(monkeypatch):
    monkeypatch.setattr(worker, "HEARTBEAT_SECONDS", 0.01)
    monkeypatch.setattr(worker, "LONGEST_STEP", 0.1)
    ours, theirs = multiprocessing.Pipe()
    outbox = worker.Outbox(theirs)
    with ours, theirs:
        assert ours.poll(PATIENCE)
        outbox.step_began = time.monotonic()
        deadline = time.monotonic() + PATIENCE
        while ours.poll(1.0) and time.monotonic() < deadline:
            ours.recv_bytes()
        assert time.monotonic() < deadline, "it is silent for a second"
        outbox.step_began = None
        assert ours.poll(PATIENCE), "and goes on after the step"


def test_a_decode_is_such_a_step(monkeypatch):
    at_work = MagicMock()
    at_work.scheduler.idle = False
    at_work.scheduler.next_turns.side_effect = [["one"], KeyboardInterrupt]
    at_work.outbox.step_began, steps = None, []
    for step in (at_work.scheduler.decode, at_work.branches.step):
        step.side_effect = lambda *_: steps.append(at_work.outbox.step_began)
    monkeypatch.setattr(worker, "Scheduler", lambda *_: at_work.scheduler)
    monkeypatch.setattr(worker.Worker, "_listen", lambda _: None)
    working = worker.Worker(at_work, at_work.outbox, at_work, at_work)
    working.branches[1] = at_work.branches
    with pytest.raises(KeyboardInterrupt):
        working.run()
    assert all(began is not None for began in steps)
    assert len(steps) == 2
    assert at_work.outbox.step_began is None


@pytest.mark.parametrize("returns_early", [False, True], ids=["on a CPU", "on a device"])
def test_where_a_decode_returns_before_its_result_the_token_before_is_weighed_and_sent_meanwhile(
    returns_early, monkeypatch
):
    happened, real = list[str](), Llama(WorkerOptions(str(SMALL_MODEL), OPTIONS), lambda _: None)
    real.returns_early = returns_early

    class Noted(MagicMock):
        def send(self, replies):
            happened.extend("send" for _, item in replies if isinstance(item, Token))
            assert all(item.alternatives[0].id == item.id for _, item in replies if isinstance(item, Token))

    def noted(name, function):
        def call(*arguments):
            happened.append(name)
            return function(*arguments)

        return call

    for name in ("decode", "logits", "likelihood"):
        monkeypatch.setattr(real, name, noted(name, getattr(real, name)))
    monkeypatch.setattr(worker.Worker, "_listen", lambda _: None)
    working = worker.Worker(MagicMock(), Noted(), real, WorkerOptions(str(SMALL_MODEL), OPTIONS))
    working.scheduler.open(1, (1, 2, 3))
    working.scheduler.begin(messages.Read(1, 2, [()], limit=3, sampling=GREEDY, alternatives=2))
    working.inbox = Mock()
    working.inbox.empty.return_value, working.inbox.get.side_effect = True, KeyboardInterrupt  # once it is idle
    with pytest.raises(KeyboardInterrupt):
        working.run()
    real.close_context()
    a_token, waits = ["likelihood", "send"], ["decode", "logits"]
    usual = (waits + a_token) * 3
    overlapped = ["decode", "logits", "decode", *a_token, "logits", "decode", *a_token, "logits", *a_token]
    assert [name for name, _ in groupby(happened)] == (overlapped if returns_early else usual)


def test_a_process_is_not_silent_while_the_program_itself_was_stopped():
    """As by Ctrl+Z, or while a laptop sleeps: what counts is how often it was looked at, not the time that passed."""
    allowed = round(model_process.SILENCE / model_process.LOOK_EVERY)
    for looks in (1 + allowed, 2 + allowed):  # the first look hears its first message
        watched = Mock(_received=1)
        watched._ended.wait.side_effect = [False] * looks + [True]
        watched._longest_silence.return_value = model_process.SILENCE
        ModelProcess._watch(watched)
        assert watched._process.kill.called == (looks > 1 + allowed)


# Loading -------------------------------------------------------------------------------------------------------------


def test_loading_is_cancelled_from_its_progress():
    before = set(psutil.Process().children(recursive=True))
    with pytest.raises(Cancelled):
        LocalEngine(SMALL_MODEL, OPTIONS, on_progress=cancelled)
    names = [child.name() for child in set(psutil.Process().children(recursive=True)) - before]
    assert not any("baton" in name for name in names)


def test_a_process_that_the_system_does_not_start_is_an_error_in_words(monkeypatch, tmp_path):
    """As when a virus scanner refuses it."""

    def refused(*_):
        raise OSError(1, "the file contains a virus")

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(model_process, "start_shielded", refused)
    with pytest.raises(EngineError, match=r"could not be started: the file contains a virus\."):
        LocalEngine(SMALL_MODEL, OPTIONS)
    assert not list(tmp_path.iterdir()), "its log is gone"


def test_loading_ends_though_the_process_died_before_it_took_its_end_of_the_pipe(monkeypatch):
    receive = messages.receive

    def receive_soon(connection):
        assert connection.poll(PATIENCE), "it waits for ever"
        return receive(connection)

    monkeypatch.setattr(messages, "receive", receive_soon)
    monkeypatch.setattr(model_process, "run_worker", DiesWhenUnpickled())
    words = rf"could not be loaded: .*\(exit code {EXIT_CODE}\)"
    with untaken_ends_stay_open(), pytest.raises(EngineError, match=words):
        LocalEngine(SMALL_MODEL, OPTIONS)


def test_a_process_gets_its_options_through_the_pipe_for_windows_starts_it_only_when_all_else_is_read(monkeypatch):
    """A chat template may be long, and what a process is started with passes through 4 KB there."""
    sizes, dump = list[int](), reduction.dump

    def measured(value, file, protocol=None):
        pickled = BytesIO()
        dump(value, pickled, protocol)
        sizes.append(len(pickled.getvalue()))
        file.write(pickled.getvalue())

    monkeypatch.setattr(reduction, "dump", measured)
    options = WorkerOptions(str(SMALL_MODEL), OPTIONS, template="x" * 100_000)
    with closing(ModelProcess(options, lambda _: None)) as process:
        assert process.loaded.vocabulary_size
    assert sizes
    assert sizes[-1] < 1024


@pytest.mark.usefixtures("short_patience")
def test_a_model_that_hangs_while_it_loads_is_ended_in_a_sentence(smollm2):
    def stop(_: float) -> None:
        for child in multiprocessing.active_children():
            if child.name == f"baton {smollm2.name}" and child.pid:
                psutil.Process(child.pid).suspend()

    with pytest.raises(EngineError, match=r"could not be loaded: .* stopped responding"):
        LocalEngine(smollm2, OPTIONS, on_progress=stop)


def test_an_architecture_that_llama_cpp_does_not_know_is_named(copied):
    copied.write_bytes(copied.read_bytes().replace(b"llama", b"lhama"))
    with pytest.raises(EngineError, match=r"could not be loaded: .*unknown model architecture: 'lhama'"):
        LocalEngine(copied, OPTIONS)


def test_a_model_of_ollama_that_llama_cpp_does_not_load_is_offered_on_its_server(copied, tmp_path):
    content = copied.read_bytes().replace(b"llama", b"lhama")
    blob = put_model(tmp_path / "store", "registry.ollama.ai/library/lhama/1b", content)
    with pytest.raises(EngineError, match=r"^lhama:1b could not be loaded: .*localhost:11434#lhama:1b\.$"):
        LocalEngine(blob, OPTIONS)


@posix_only("files that are open and have no name")
def test_loading_tells_how_far_it_is_and_leaves_no_log_behind_if_the_program_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    told, logs = list[float](), list[Path]()

    def look(fraction: float) -> None:
        told.append(fraction)
        logs.extend(tmp_path.iterdir())

    with closing(LocalEngine(SMALL_MODEL, OPTIONS, on_progress=look)):
        logs.extend(tmp_path.iterdir())
    assert told == sorted(told)
    assert (told[-1], logs) == (1, [])


@pytest.mark.parametrize("chosen", ["", "7"])
def test_the_process_of_a_model_inherits_no_keys_and_its_threads_spin_as_a_person_chose_or_briefly(chosen, monkeypatch):
    """From its start: a program's main module, which the child imports first, may load OpenMP's library."""
    secrets = {"HF_TOKEN": "hf_secret", "OFFICE_API_KEY": "secret", "db_password": "secret"}
    for name, value in (secrets | ({"GOMP_SPINCOUNT": chosen} if chosen else {})).items():
        monkeypatch.setenv(name, value)
    before = dict(os.environ)
    with closing(LocalEngine(SMALL_MODEL, OPTIONS)) as engine:
        inherited = psutil.Process(engine.process.pid).environ()
    assert not set(secrets) & set(inherited)
    assert inherited["GOMP_SPINCOUNT"] == (chosen or model_process.SPIN["GOMP_SPINCOUNT"])
    assert not model_process.spin_variables({"OMP_WAIT_POLICY": "active"})
    assert dict(os.environ) == before, "this program keeps its own"


# A file that changes, and odd input ----------------------------------------------------------------------------------


@pytest.fixture
def copied(tmp_path):
    file = tmp_path / "model.gguf"
    file.write_bytes(SMALL_MODEL.read_bytes())
    return file


def overwrite(engine: LocalEngine, file: Path) -> None:
    """It is mapped, so that the weights become zeros, of which a model writes fluent nonsense."""
    with file.open("r+b") as opened:
        opened.seek(file.stat().st_size // 2)
        opened.write(bytes(file.stat().st_size // 2))


def replace_and_kill(engine: LocalEngine, file: Path) -> None:
    other = file.with_name("other.gguf")
    other.write_bytes(LARGE_MODEL.read_bytes())
    other.replace(file)
    kill(engine)


AN_OPEN_FILE_IS_REPLACED = posix_only("files that are replaced while they are open")


@pytest.mark.parametrize("fault", [overwrite, pytest.param(replace_and_kill, marks=AN_OPEN_FILE_IS_REPLACED)])
def test_a_file_that_is_changed_in_use_is_reported_instead_of_read(copied, monkeypatch, fault):
    with closing(LocalEngine(copied, OPTIONS)) as engine:
        at_token(3, monkeypatch, partial(fault, engine, copied))
        written: list[WriteItem] = []
        with pytest.raises(EngineLost, match=r"its file was changed while it was in use\. Load the model again"):
            written.extend(engine.open(QUESTION, GREEDY).write([], LONG, 1))
        assert len(ids(written)) < 100


@AN_OPEN_FILE_IS_REPLACED
def test_a_file_that_was_replaced_since_it_was_loaded_is_told_once_a_text(copied):
    """It may have been damaged when it was loaded; a checksum would be of the other file."""
    other = copied.with_name("other.gguf")
    other.write_bytes(SMALL_MODEL.read_bytes())
    with closing(LocalEngine(copied, OPTIONS)) as engine:
        session = engine.open(QUESTION, GREEDY)
        assert notices(list(session.write((), 2, 0))) == []
        other.replace(copied)
        assert notices(list(session.write((), 2, 0))) == [REPLACED.format(engine.card.name)]
        assert notices(list(session.write((), 2, 0))) == []


def test_ids_outside_the_vocabulary_and_halves_of_characters_do_not_kill_the_process(engine):
    session, vocabulary = engine.open(QUESTION, GREEDY), engine.card.vocabulary
    body = [Part(" two", Author.LARGE, id=10**8, vocabulary=vocabulary), Part(" and", Author.LARGE, -5, vocabulary)]
    assert text_read(session, body) == " two and"
    session = engine.open((Message("user", "What is \ud800?"),), GREEDY)
    assert len(ids(write(session, Body(), limit=2))) == 2
    session.read([Part("\udfff", Author.INSERTED)])
    assert engine.tokenize("\ud800")
    assert engine.process.alive


def test_the_words_of_every_back_end_and_of_python_for_memory_are_recognised():
    vulkan = "vk::Device::allocateMemory: ErrorOutOfDeviceMemory"
    for line in (vulkan, "CUDA error: out of memory", "MemoryError", "an instance of 'std::bad_alloc'"):
        assert model_process.speaks_of_memory(line)
    assert not model_process.speaks_of_memory("GGML_ASSERT(n_tokens > 0) failed")
