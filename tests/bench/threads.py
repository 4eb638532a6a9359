"""P13: one model through Baton, which chooses its threads, over what a person would run instead with its own defaults.

The models are those of a real pair, and the small one of the other figures. On a machine that does nothing else Baton
is compared with bare decodes as llama-bench makes them and with llama.cpp's own server; beside processes that keep a
core busy each, with every fixed number of threads through Baton.
"""

import importlib.util
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from baton_reasoning.core.engines.local.engine import LocalEngine
from baton_reasoning.core.engines.local.threads import default_threads
from baton_reasoning.core.engines.remote.connection import ServerAddress
from baton_reasoning.core.engines.remote.engine import RemoteEngine
from baton_reasoning.core.engines.remote.servers import open_server
from baton_reasoning.core.models.load_options import LoadOptions, Switch
from baton_reasoning.core.run import Pair, RunSettings, run
from baton_reasoning.core.thinking.interruptions import Limits
from tests.bench.generated import NO_REAL_PAIR, bench_model
from tests.bench.path import QUESTION, SETTLING, Setup, bare_decodes, prompt_length, tokens_per_second
from tests.bench.table import Row, at_least, in_turn, left_out, ratios, spread
from tests.packaged_models import real_pair_paths
from tests.servers.llama_server import BINARY, KEY, LlamaServer, ServerOptions

CONTEXT = 1024
ANSWER = RunSettings(policy="never", temperature=0, max_tokens=100, limits=Limits(repetition=False))
IDLE, BESIDE = 0.97, 0.85
BUSY = (1, 2)


def rows(rounds: int) -> Iterator[Row]:
    pair = real_pair_paths()
    if not pair:
        yield left_out("P13", NO_REAL_PAIR)
    for path in (*(pair or ()), bench_model()):
        yield from idle_rows(path, rounds)
        with ExitStack() as stack:
            engines = {
                count: stack.enter_context(closing(LocalEngine(path, LoadOptions(context=CONTEXT, threads=count))))
                for count in (0, *counts())
            }
            for busy in BUSY:
                with busy_processes(busy):
                    yield beside_row(path, busy, engines, rounds)


def counts() -> list[int]:
    """Fixed numbers of threads to compare with; on a machine of many cores not each."""
    most = default_threads()
    return sorted({count for count in (1, most // 2, most - 2, most - 1, most) if count > 0})


def idle_rows(path: Path, rounds: int) -> Iterator[Row]:
    """With llama.cpp's defaults: all performance cores, threads that spin, and flash attention."""
    defaults = LoadOptions(context=CONTEXT, threads=default_threads(), flash_attention=Switch.ON)
    with ExitStack() as stack:
        engine = stack.enter_context(closing(LocalEngine(path, LoadOptions(context=CONTEXT))))
        bare_speed = stack.enter_context(bare_decodes(Setup(path, CONTEXT), defaults))
        text = prompt_length(engine)
        ways = {"Baton": lambda: speed_of(engine), "bare `llama_decode`": lambda: bare_speed(text)}
        if os.environ.get(BINARY) or importlib.util.find_spec("xllamacpp"):
            options = ServerOptions(str(path), context=CONTEXT, batch=512, threads=0)
            server = stack.enter_context(LlamaServer(options))
            remote = stack.enter_context(closing(open_server(ServerAddress(server.url, KEY))))
            ways["llama-server"] = lambda: speed_of(remote)
        speeds = in_turn(ways, rounds)
    own = speeds.pop("Baton")
    for name, others in speeds.items():
        what = f"{path.stem} alone through Baton / {name} with llama.cpp's default threads, idle"
        more = f"; {spread(own)} and {spread(others)} tok/s"
        yield at_least("P13", what, IDLE, ratios(own, others), more)


def beside_row(path: Path, busy: int, engines: dict[int, LocalEngine], rounds: int) -> Row:
    """`engines`: by number of threads; 0 is the one that chooses."""
    ways = {str(count): lambda engine=engine: speed_of(engine) for count, engine in engines.items()}
    speeds = in_turn(ways, rounds)
    own = speeds.pop("0")
    best = max(speeds.values(), key=statistics.median)
    each = ", ".join(f"{count}: {spread(taken)}" for count, taken in speeds.items())
    processes = "one busy process" if busy == 1 else f"{busy} busy processes"
    what = f"{path.stem} alone, automatic threads / the best number, beside {processes}"
    return at_least("P13", what, BESIDE, ratios(own, best), f"; {spread(own)} tok/s, with {each}")


@contextmanager
def busy_processes(count: int) -> Iterator[None]:
    """They end with this process, too, whatever ends it."""
    code = "import os, sys, threading\n"
    code += "threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0))).start()\n"
    code += "while True: pass"
    command = [sys.executable, "-c", code]
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def speed_of(engine: LocalEngine | RemoteEngine) -> float:
    """Tokens a second of one answer, from its first token on."""
    time.sleep(SETTLING)
    return tokens_per_second(run(Pair(engine), QUESTION, ANSWER))
