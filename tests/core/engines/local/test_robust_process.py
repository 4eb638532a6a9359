"""A model's process that dies again and again, hangs, or gets odd input: the text goes on, or ends in one sentence."""

import os
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from core.demo_pair import SMALL_MODEL
from core.engines.base import End, Message, Notice, Stop, WriteItem
from core.engines.body import Author, Body, Part
from core.engines.local import process as model_process
from core.engines.local.client import LocalEngine
from core.errors import EngineError
from core.models.loading import LoadOptions
from core.models.overrides import Sampling
from tests.core.engines.local.conftest import QUESTION
from tests.core.engines.local.writing import ids, write

GREEDY = Sampling(temperature=0)
OPTIONS = LoadOptions(context=512, threads=1)


@pytest.fixture
def engine() -> Iterator[LocalEngine]:
    engine = LocalEngine(SMALL_MODEL, OPTIONS)
    yield engine
    engine.close()


@pytest.fixture
def short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stopped process is killed soon; a running one is left alone."""
    monkeypatch.setattr(model_process, "SILENCE_IF_STOPPED", 0.3)
    monkeypatch.setattr(model_process, "LOOK_EVERY", 0.1)


def send(engine: LocalEngine, number: int) -> int:
    pid = engine.process.pid
    assert pid is not None
    os.kill(pid, number)
    return pid


def test_a_model_whose_writes_are_always_closed_early_survives_a_death_between_each(engine: LocalEngine) -> None:
    """As a large model that only ever writes takeovers."""
    session = engine.open(QUESTION, GREEDY)
    for _ in range(3):
        body = Body()
        assert len(ids(write(session, body, limit=30, stop_after=3))) == 3
        send(engine, signal.SIGKILL)
    assert len(ids(write(session, Body(), limit=3))) == 3


@pytest.mark.real_models
@pytest.mark.usefixtures("short_patience")
def test_a_process_that_hangs_is_killed_and_the_text_goes_on(smollm2: Path) -> None:
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


def test_stop_ends_a_write_though_the_process_hangs(engine: LocalEngine) -> None:
    session, items = engine.open(QUESTION, GREEDY), []
    for item in session.write([], 400, 1):
        items.append(item)
        if len(ids(items)) == 3:
            send(engine, signal.SIGSTOP)
            session.cancel()
    assert items[-1] == End(Stop.CANCELLED)


def test_closing_ends_a_process_that_hangs() -> None:
    engine = LocalEngine(SMALL_MODEL, OPTIONS)
    pid = send(engine, signal.SIGSTOP)
    engine.close()
    assert not psutil.pid_exists(pid)


def test_loading_is_cancelled_from_its_progress(smollm2: Path) -> None:
    def cancel(_: float) -> None:
        raise EngineError("Cancelled.")

    before = set(psutil.Process().children(recursive=True))
    with pytest.raises(EngineError, match="Cancelled"):
        LocalEngine(smollm2, OPTIONS, on_progress=cancel)
    names = [child.name() for child in set(psutil.Process().children(recursive=True)) - before]
    assert not any("baton" in name for name in names)


def test_ids_outside_the_vocabulary_are_read_as_their_text(engine: LocalEngine) -> None:
    session, vocabulary = engine.open(QUESTION, GREEDY), engine.card.vocabulary
    body = [Part(" two", Author.LARGE, id=10**8, vocabulary=vocabulary), Part(" and", Author.LARGE, -5, vocabulary)]
    session.read(body)
    assert session.text_in_cache().decode().endswith(" two and")
    assert engine.process.alive


def test_half_a_surrogate_pair_in_a_prompt_does_not_kill_the_process(engine: LocalEngine) -> None:
    session = engine.open((Message("user", "What is \ud800?"),), GREEDY)
    assert len(ids(write(session, Body(), limit=2))) == 2
    session.read([Part("\udfff", Author.INSERTED)])
    assert engine.count_tokens("\ud800")
    assert engine.process.alive


def test_the_process_of_a_model_inherits_no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
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
        "ggml_backend_cuda_buffer_type_alloc_buffer: allocating 12 MiB on device 0: cudaMalloc failed: out of memory",
        "terminate called after throwing an instance of 'std::bad_alloc'",
    ],
)
def test_every_back_ends_words_for_memory_are_recognised(line: str) -> None:
    assert model_process.speaks_of_memory(line)
    assert not model_process.speaks_of_memory("GGML_ASSERT(n_tokens > 0) failed")
