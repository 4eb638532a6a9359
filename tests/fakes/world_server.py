"""A llama-server that writes what a random world says (tests/core/thinking/running.py).

The world is named in the problem, “World 17”, so that each problem of a batch has its own. Ids below 256 are bytes, by
which prompts are tokenised; each word of a world has an id of its own above.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from baton_reasoning.core.engines.body import Author
from tests.core.thinking.running import BOUNDARIES, CUES, STATEMENTS, World
from tests.fakes.faulty_server import FaultyServer, Wire, about, end, event
from tests.fakes.scripted import THINK

MARK = "<|assistant|>"
PIECES = (*STATEMENTS, *CUES, *BOUNDARIES, THINK.closing)
IDS = {piece: 256 + number for number, piece in enumerate(PIECES)}


def problem_of(world: World) -> str:
    return f"World {world.seed}"


def world_server(author: Author, worlds: Callable[[int], World], *, tagged: bool) -> FaultyServer:
    """A context manager with `url`. `worlds`: the world of a number; `tagged`: whether its models think apart."""
    opening = THINK.opening if tagged else ""
    template = "{{ messages[-1]['content'] }}\n" + MARK + opening

    def complete(wire: Wire) -> None:
        request = server.completions[-1]
        text = _decoded(request["prompt"])
        prompt, _, body = text.partition(MARK + opening)
        found = re.search(r"World (\d+)", prompt)
        assert found, prompt
        wire.head(200, Content_Type="text/event-stream")
        written, why = 0, "eos"
        for piece in worlds(int(found[1])).tokens(author, body):
            if written == request["n_predict"]:
                why = "limit"
                break
            written += 1
            event({"content": piece, "tokens": [IDS[piece]], "stop": False, "tokens_predicted": written})(wire)
        end(written, why)(wire)

    routes = about(f"{author.value}.gguf", context=100_000)
    routes["/props"]["chat_template"] = template
    server = FaultyServer(complete, routes=routes)
    return server


def _decoded(ids: list[int]) -> str:
    parts = (bytes([id]) if id < 256 else PIECES[id - 256].encode() for id in ids)
    return b"".join(parts).decode()
