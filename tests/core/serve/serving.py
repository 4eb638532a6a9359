"""A running endpoint for tests, and requests to it."""

import socket
import threading
import time
from contextlib import contextmanager

import openai

from baton_reasoning.core.batch.running.arms import arms_of
from baton_reasoning.core.run import RunSettings
from baton_reasoning.core.serve.access import AccessRules
from baton_reasoning.core.serve.api import Endpoint
from baton_reasoning.core.serve.server import EndpointServer
from baton_reasoning.core.thinking.interruptions import Limits
from tests.fakes.scripted import ScriptedEngine
from tests.patience import PATIENCE

SMALL_TEXT = "It is two and two.\n\nSo it is 4.</think>\n\nThe answer is \\boxed{4}."
LARGE_TEXT = "Two and two are 4.</think>\n\nIt is \\boxed{4}."
PLAIN = RunSettings(instruction="")
LOCAL_ONLY = AccessRules()


def settings(base=PLAIN):
    return {arm.name: arm.settings for arm in arms_of(["baton", "small", "large"], base)}


@contextmanager
def serving(pair, arms=None, parallel=1, rules=LOCAL_ONLY, log=None):
    server = EndpointServer("127.0.0.1", 0)
    endpoint = Endpoint(pair, arms or settings(), parallel)
    listening = threading.Event()
    what = (endpoint.application(rules, log), listening.set, endpoint.stop)
    thread = threading.Thread(target=server.serve, args=what)
    thread.start()
    listening.wait()
    try:
        yield server
    finally:
        server.stop()
        thread.join()
        server.close()


def client_of(server):
    return openai.OpenAI(base_url=server.urls[0], api_key="none", max_retries=0)


@contextmanager
def client_for(*served, **more):
    with serving(*served, **more) as server, client_of(server) as client:
        yield client


@contextmanager
def connection(server, sent=b"", buffer=None):
    with socket.socket() as client:
        client.settimeout(PATIENCE)
        if buffer:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        client.connect((server.host, server.port))
        client.sendall(sent)
        yield client


def ask(client, model="small", question="What is 2 + 2?", **options):
    messages = [{"role": "user", "content": question}]
    return client.chat.completions.create(model=model, messages=messages, **options)


MANY = 1_000_000
"""Words of an answer that is not waited for."""
ENDLESS = settings(RunSettings(instruction="", max_tokens=MANY, limits=Limits(repetition=False)))
"""Neither its length nor the same word again and again is a reason to end it."""


def long_winded(begun):
    """Answers the question “long” with `MANY` words. As a model does while it decodes, it lets other threads work."""

    def begin(_text):
        begun.set()
        time.sleep(0)

    return ScriptedEngine(
        continue_with=lambda asked, _: ["so "] * MANY if asked[-1].content == "long" else SMALL_TEXT,
        before_token=begin,
        context=2 * MANY,
        thinking=None,
    )
