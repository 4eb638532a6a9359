"""The two real models, each loaded once for all tests of the local engine, and a pipe that holds little."""

import multiprocessing
import os
import socket
from contextlib import closing
from multiprocessing.connection import Connection

import pytest

from baton_reasoning.core.engines.base import Conversation, Message
from baton_reasoning.core.engines.local.engine import LocalEngine
from baton_reasoning.core.models.options import LoadOptions, Sampling

QUESTION: Conversation = (Message("user", "How many pets has Ed, who has 2 dogs, 3 cats and 4 fish? Check it."),)


@pytest.fixture(scope="session")
def small_engine(smollm2):
    engine = LocalEngine(smollm2, LoadOptions(context=2048, batch=128, threads=1))
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def large_engine(gemma):
    engine = LocalEngine(gemma, LoadOptions(context=2048, batch=128, threads=1))
    yield engine
    engine.close()


@pytest.fixture
def session(small_engine):
    """A text of the small model, which takes the likeliest token each time."""
    with closing(small_engine.open(QUESTION, Sampling(temperature=0))) as session:
        yield session


@pytest.fixture(autouse=True)
def narrow_pipe(monkeypatch):
    """A pipe that holds a few replies, so that a model is never far ahead of the thread that reads them."""
    spawn = multiprocessing.get_context("spawn")
    make = spawn.Pipe

    def narrow(duplex: bool = True) -> tuple[Connection, Connection]:
        ours, theirs = make(duplex)
        if duplex and os.name == "posix":
            with socket.socket(fileno=os.dup(theirs.fileno())) as end:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)  # the least that the system has
        return ours, theirs

    monkeypatch.setattr(spawn, "Pipe", narrow)
