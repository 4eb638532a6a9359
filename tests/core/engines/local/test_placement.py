"""Where a model goes and how it runs: layers where memory is short, threads, chunks, its tokenizer, and its ledger."""

import ctypes
import os
import subprocess
import sys
from collections import namedtuple
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, takewhile
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from baton_reasoning.core.demo_pair import LARGE_MODEL, SMALL_MODEL
from baton_reasoning.core.engines.base import DeviceShare
from baton_reasoning.core.engines.local import llama as llama_module
from baton_reasoning.core.engines.local import placement as placement_module
from baton_reasoning.core.engines.local import threads as threads_module
from baton_reasoning.core.engines.local.cache import Ledger, common_text
from baton_reasoning.core.engines.local.engine import LocalEngine
from baton_reasoning.core.engines.local.llama import BatchEntry, Decoded, Llama, Tokenizer, chunk_for, shares_of
from baton_reasoning.core.engines.local.messages import ModelLoaded, WorkerOptions
from baton_reasoning.core.engines.local.placement import ModelLoader, attempts, first_layers
from baton_reasoning.core.engines.local.process import DiedLoading
from baton_reasoning.core.engines.local.threads import INTERVAL, CpuTimes, ThreadChoice, cpu_times, default_threads
from baton_reasoning.core.errors import EngineError, OutOfMemory
from baton_reasoning.core.models.devices import Device, DeviceKind, Devices
from baton_reasoning.core.models.fit import estimate, fit
from baton_reasoning.core.models.gguf import read_header
from baton_reasoning.core.models.load_options import KvType, LoadOptions, Switch
from tests.patience import PATIENCE
from tests.systems import posix_only

MIB, GIB = 2**20, 2**30

# Where memory is short -----------------------------------------------------------------------------------------------


def test_the_batch_shrinks_before_layers_leave_the_gpu_and_keeps_room_for_one_token_of_every_text():
    ways = list(attempts(LoadOptions(batch=512, context=4096), layers=32))
    lighter = [(-1, 512), (-1, 128), (24, 128), (16, 128), (8, 128), (0, 128)]
    assert [(way.options.gpu_layers, way.options.batch) for way in ways] == lighter
    assert [way.fallback for way in ways[:2]] == ["", "with a batch of 128 tokens"]
    assert {way.options.context for way in ways} == {4096}, "as a person chose it"
    few = attempts(LoadOptions(batch=64, parallel=33), layers=1)
    assert [way.fallback for way in few] == ["", "with 0 of 1 layers on the GPU"]
    on_cpu = attempts(LoadOptions(batch=256, parallel=128), layers=0)
    assert [(way.options.gpu_layers, way.options.batch) for way in on_cpu] == [(-1, 256), (-1, 128)]
    assert len(list(attempts(LoadOptions(batch=256, parallel=129), layers=0))) == 1


class FullProcess:
    """Has room for no more than `most` layers, and a batch of 128 tokens."""

    most = 0
    fault: EngineError = OutOfMemory("There is not enough memory.", "Choose a smaller model.")
    tried: ClassVar[list[tuple[int, int]]] = []
    loaded = ModelLoaded(1, (), 100, "", "")

    def __init__(self, options: WorkerOptions, on_progress: Callable[[float], object]) -> None:
        self.tried.append((options.load.gpu_layers, options.load.batch))
        if options.load.gpu_layers > self.most or options.load.batch > 128:
            raise self.fault


@pytest.fixture
def full(monkeypatch):
    monkeypatch.setattr(placement_module, "ModelProcess", FullProcess)
    monkeypatch.setattr(placement_module, "first_layers", lambda *_: 32)
    FullProcess.tried.clear()


@pytest.mark.usefixtures("full")
def test_a_model_that_ran_out_of_memory_is_loaded_lighter_and_any_other_first_as_before():
    loader = ModelLoader(read_header(SMALL_MODEL), WorkerOptions("", LoadOptions(batch=512)))

    def tried(most: int, *, lighter: bool = False) -> list[tuple[int, int]]:
        FullProcess.most = most
        FullProcess.tried.clear()
        loader.load(lambda _: None, lighter=lighter)
        return list(FullProcess.tried)

    assert tried(32) == [(32, 512), (32, 128)]
    assert tried(32) == [(32, 128)], "as before"
    assert tried(16, lighter=True) == [(24, 128), (16, 128)]
    assert loader.attempt.fallback == "with 16 of 32 layers on the GPU and a batch of 128 tokens"
    assert tried(0, lighter=True) == [(8, 128), (0, 128)]
    assert tried(0, lighter=True) == tried(0, lighter=True) == [(0, 128)], "there is no lighter one"
    with pytest.raises(OutOfMemory, match="not even with 0 of 32 layers on the GPU and a batch of 128") as raised:
        tried(-1)
    assert "The Models page shows how much memory" in raised.value.advice


@pytest.mark.usefixtures("full")
def test_a_death_while_loading_with_layers_on_a_device_means_fewer_layers(monkeypatch):
    """As of a driver at the end of its memory."""
    monkeypatch.setattr(FullProcess, "fault", DiedLoading("The process stopped with SIGSEGV."))
    monkeypatch.setattr(FullProcess, "most", 0)
    engine = LocalEngine(SMALL_MODEL, LoadOptions(context=512, threads=1))
    assert [layers for layers, _ in FullProcess.tried] == [32, 32, 24, 16, 8, 0]
    assert engine.card.placement is not None
    assert engine.card.placement.fallback.startswith("with 0 of 32 layers")
    loader = ModelLoader(read_header(SMALL_MODEL), WorkerOptions("", LoadOptions(gpu_layers=0)))
    with pytest.raises(DiedLoading):
        loader.load(lambda _: None)
    assert FullProcess.tried[6:] == [(0, 512)], "without layers on a device a death is no lack of its memory"


LITTLE_MEMORY = """
import resource, sys
from pathlib import Path
from baton_reasoning.core.engines.local.cache import Ledger, common_text
from baton_reasoning.core.engines.local.engine import LocalEngine
from baton_reasoning.core.models.load_options import LoadOptions, Switch
if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_AS, (2**31, 2**31))
    options = LoadOptions(context=8192, batch=8192, threads=1, flash_attention=Switch.ON)
    engine = LocalEngine(Path(sys.argv[1]), options)
    print(engine.card.placement.fallback, engine.loaded_as.batch, len(engine.tokenize("It loads, and works.")))
    engine.close()
"""
"""The limit holds for this process and the model's, not for the tests', which are larger already. Without flash
attention a CPU reads no more than a chunk at once, whatever the batch."""


@pytest.mark.slow
@posix_only("a limit to memory")
def test_a_batch_that_memory_cannot_hold_is_made_smaller_by_itself(smollm2, tmp_path):
    script = tmp_path / "little_memory.py"
    script.write_text(LITTLE_MEMORY)
    done = subprocess.run([sys.executable, script, smollm2], capture_output=True, text=True, timeout=PATIENCE)
    assert done.stdout == "with a batch of 128 tokens 128 6\n", done.stdout + done.stderr


def test_layers_left_to_the_program_are_those_that_the_gpu_holds_and_none_if_it_holds_none(smollm2, monkeypatch):
    monkeypatch.setattr(placement_module, "has_gpu_backend", lambda: True)
    header, options, found = read_header(smollm2), LoadOptions(context=8192), []
    for free in (0.5, 1.25, 8.0):
        gpu = Device("CUDA0", "a GPU", DeviceKind.GPU, round(free * GIB), 8 * GIB)
        devices = Devices(16 * GIB, 16 * GIB, (gpu,))
        monkeypatch.setattr(placement_module, "find_devices", lambda devices=devices: devices)
        found.append(first_layers(header, options))
        assert found[-1] == fit(estimate(header, options), devices).layers
    none, some, every = found
    assert 0 == none < some < every == 31
    assert first_layers(header, LoadOptions(gpu_layers=7)) == 7, "as chosen"
    assert first_layers(header, LoadOptions(gpu_layers=99)) == 31


# What llama.cpp says while it loads ----------------------------------------------------------------------------------

SPLIT = """
load_tensors: layer   0 assigned to device CPU, is_swa = 0
load_tensors: layer   1 assigned to device CUDA0, is_swa = 0
load_tensors: layer   2 assigned to device CUDA0, is_swa = 1
load_tensors: layer   3 assigned to device MTL0, is_swa = 0
load_tensors:   CPU_Mapped model buffer size =   100.50 MiB
load_tensors:    CUDA_Host model buffer size =     2.00 MiB
load_tensors:        CUDA0 model buffer size =  4460.45 MiB
load_tensors:  MTL0_Mapped model buffer size =   512.00 MiB
llama_context:  CUDA_Host  output buffer size =     1.00 MiB
llama_kv_cache:        CPU KV buffer size =     4.00 MiB
llama_kv_cache:      CUDA0 KV buffer size =     8.00 MiB
llama_kv_cache:      CUDA0 KV buffer size =    16.00 MiB
llama_memory_recurrent:      MTL0 RS buffer size =     2.00 MiB
llama_kv_cache_dsv4:      MTL0 DSV4 csa state buffer size =     1.00 MiB
sched_reserve:      CUDA0 compute buffer size =   900.00 MiB
sched_reserve:      CUDA0 compute buffer size =   304.00 MiB
sched_reserve:       MTL0 compute buffer size =   200.00 MiB
sched_reserve:  CUDA_Host compute buffer size =    10.00 MiB
"""


def test_each_device_that_holds_something_has_its_layers_and_bytes():
    assert shares_of(SPLIT.splitlines(), ["CUDA0", "MTL0", "Vulkan0"]) == (
        DeviceShare("CUDA0", 2, round(4460.45 * MIB), 24 * MIB, 304 * MIB),
        DeviceShare("MTL0", 1, 512 * MIB, 3 * MIB, 200 * MIB),
        DeviceShare("RAM", 1, round(102.5 * MIB), 4 * MIB, 11 * MIB),
    )
    assert shares_of([], ["MTL0"]) == (DeviceShare("RAM", 0, 0, 0, 0),)


@pytest.mark.real_models
def test_a_real_model_says_where_its_layers_and_its_cache_are(small_engine, smollm2):
    placement = small_engine.card.placement
    assert placement is not None
    held = placement.shares  # RAM alone, or a GPU too
    header = read_header(smollm2)
    assert sum(share.layers for share in held) == header.block_count + 1
    assert sum(share.weights for share in held) >= 0.9 * header.tensor_bytes
    assert sum(share.cache for share in held) == 2048 * 2 * sum(block.cache_elements for block in header.blocks)
    assert all(share.compute > 0 for share in held)
    assert placement.fallback == ""


@pytest.mark.parametrize(("speed", "chunk"), [(5000.0, 512), (1000.0, 256), (300.0, 64), (30.0, 16), (1.0, 16)])
def test_chunks_are_as_large_as_a_device_reads_in_a_third_of_a_second(speed, chunk):
    assert chunk_for(speed, batch=512) == chunk


# The number of threads -----------------------------------------------------------------------------------------------

HYPER_THREADS = [[0, 4], [1, 5], [2, 6], [3, 7]]
HYBRID = [[0, 1], [2, 3], [4], [5], [6], [7]]
EIGHT = [[n] for n in range(8)]
FAST = {f"devices/system/cpu/cpu{n}/cpu_capacity": "1024" if n == 7 else "870" if n > 3 else "290" for n in range(8)}


@pytest.mark.parametrize(
    ("cores", "files", "allowed", "threads"),
    [
        (HYPER_THREADS, {}, range(8), 4),
        (HYPER_THREADS, {}, (0, 4, 5), 2),
        (HYBRID, {"devices/cpu_core/cpus": "0-3"}, range(8), 2),  # only performance cores count
        (HYBRID, {"devices/cpu_core/cpus": "0-3"}, (4, 5, 6), 3),  # then the others are all there is
        (EIGHT, FAST, range(8), 4),  # ARM
        (EIGHT, {"fs/cgroup/cpu.max": "max 100000"}, range(8), 8),
        (EIGHT, {"fs/cgroup/cpu.max": "250000 100000"}, range(8), 2),
        (EIGHT, {"fs/cgroup/cpu.max": "50000 100000"}, range(8), 1),
    ],
)
def test_each_fast_core_that_the_process_may_use_has_a_thread(tmp_path, monkeypatch, cores, files, allowed, threads):
    siblings = {cpu: ",".join(map(str, cpus)) for cpus in cores for cpu in cpus}
    topology = {f"devices/system/cpu/cpu{cpu}/topology/thread_siblings_list": text for cpu, text in siblings.items()}
    for name, text in (topology | files).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"{text}\n", encoding="ascii")
    monkeypatch.setattr(psutil.Process, "cpu_affinity", lambda _: list(allowed), raising=False)
    assert default_threads(tmp_path) == threads


def test_a_system_that_shows_no_cores_is_asked_in_another_way(tmp_path, monkeypatch):
    monkeypatch.setattr(psutil.Process, "cpu_affinity", lambda _: [0, 1, 2, 3], raising=False)
    monkeypatch.setattr(psutil, "cpu_count", lambda logical: 8 if logical else 2)
    assert default_threads(tmp_path) == 2
    monkeypatch.setattr(psutil, "cpu_count", lambda **_: None)
    assert default_threads(tmp_path) == 4


SECONDS = 0.05
"""Of a decode. No clock runs: the choice is told what the cores did."""


@dataclass
class Cores:
    """Cores that this process shares fairly with programs that are always busy."""

    count: int
    busy: float = 0
    clock: float = 100.0
    own: float = 10.0
    idle: float = 50.0

    def times(self) -> CpuTimes:
        return CpuTimes(self.clock, self.own, self.idle)

    def decode(self, choice: ThreadChoice, seconds: float) -> int:
        for _ in range(round(seconds / SECONDS)):
            self.work(choice.threads, SECONDS)
            choice.record(SECONDS)
        return choice.threads

    def work(self, threads: int, seconds: float, *, is_own: bool = True) -> None:
        wanted = threads + self.busy
        share = min(1.0, self.count / wanted)
        self.clock += seconds
        self.own += is_own * threads * share * seconds
        self.idle += (self.count - wanted * share) * seconds


@given(count=st.integers(1, 16), data=st.data())
def test_busy_programs_are_left_their_cores_and_these_are_taken_back(count, data):
    """Programs that keep up to half of the cores busy: beside more, the number may settle a little above the rest."""
    busy = data.draw(st.integers(0, count // 2))
    cores = Cores(count, busy=0.3)  # the program shows what is written
    choice = ThreadChoice(count, cores.times)
    for _ in range(4):
        assert cores.decode(choice, INTERVAL) == count, "on an idle machine all threads work"
    cores.busy = busy
    cores.decode(choice, 2)
    for _ in range(4):
        assert cores.decode(choice, INTERVAL) == max(count - busy, 1)
    cores.busy = 0
    assert cores.decode(choice, 4 * INTERVAL) == count


def test_neither_spare_cores_nor_unknown_idle_time_nor_a_model_between_the_decodes_cost_threads():
    """As hyper-threads are spare, of which each core has two."""
    cores = Cores(8, busy=4)
    assert cores.decode(ThreadChoice(4, cores.times), 2) == 4
    cores = Cores(2, busy=1)
    assert cores.decode(ThreadChoice(2, lambda: cores.times()._replace(idle=0.0)), 2) == 2
    cores = Cores(2)
    choice = ThreadChoice(2, cores.times)
    for _ in range(20):
        assert cores.decode(choice, 0.2) == 2
        cores.work(2, 0.2, is_own=False)


def test_only_the_cpus_that_the_process_may_use_count(monkeypatch):
    times = namedtuple("times", ("user", "idle", "iowait"))
    every = [times(1.0, 10.0 * cpu, 1.0) for cpu in range(4)]
    monkeypatch.setattr(psutil, "cpu_times", lambda percpu: every if percpu else None)
    monkeypatch.setattr(psutil.Process, "cpu_affinity", lambda _: [1, 3], raising=False)
    assert cpu_times().idle == 42
    monkeypatch.delattr(psutil.Process, "cpu_affinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    assert cpu_times().idle == 64


# The same text with any number ---------------------------------------------------------------------------------------

LENGTH = 600
"""Tokens: llama.cpp splits the text among threads from 512 cells on, in steps of 256."""


def four_threads(monkeypatch: pytest.MonkeyPatch, path: Path, **options: Any) -> Llama:
    monkeypatch.setattr(llama_module, "default_threads", lambda: 4)
    return Llama(WorkerOptions(str(path), LoadOptions(context=1024, **options)), lambda _: None)


@pytest.mark.parametrize(
    ("model", "kv_type"),
    [
        pytest.param("demo", KvType.F16),
        pytest.param("smollm2", KvType.F16, marks=pytest.mark.real_models),
        pytest.param("smollm2", KvType.Q8_0, marks=pytest.mark.real_models),
        pytest.param("gemma", KvType.F16, marks=pytest.mark.real_models),
    ],
)
def test_another_number_of_threads_in_the_middle_changes_no_logit(model, kv_type, request, monkeypatch):
    path = LARGE_MODEL if model == "demo" else request.getfixturevalue(model)
    llama = four_threads(monkeypatch, path, kv_type=kv_type)
    assert llama.thread_choice
    llama.thread_choice.threads = 1  # beside other tests several would take minutes to read
    for start in range(0, LENGTH, llama.chunk):
        chunk = range(start, min(start + llama.chunk, LENGTH))
        assert llama.decode([BatchEntry(3 + at % 20, at, 0, False) for at in chunk]) == Decoded.DONE
    for tokens in (1, 3):
        logits = []
        for threads in (4, 1, 2, 3):
            llama.thread_choice.threads = threads
            entries = [BatchEntry(5, LENGTH + number, 0, True) for number in range(tokens)]
            assert llama.decode(entries) == Decoded.DONE
            logits.append(llama.logits(tokens - 1).copy())
            llama.truncate(0, LENGTH)
        assert all(np.array_equal(logits[0], others) for others in logits[1:])


def test_a_number_that_a_person_chose_or_that_would_change_the_text_stays(monkeypatch):
    assert four_threads(monkeypatch, LARGE_MODEL, threads=2).thread_choice is None
    assert four_threads(monkeypatch, LARGE_MODEL, flash_attention=Switch.ON).thread_choice is None
    assert four_threads(monkeypatch, LARGE_MODEL, flash_attention=Switch.OFF).thread_choice


def test_a_build_without_openmp_is_given_pools_and_writes_the_same(monkeypatch):
    """A build with OpenMP takes pools as well; only their waiting differs."""
    logits = []
    for has_openmp in (threads_module.uses_openmp(), False):
        monkeypatch.setattr(threads_module, "uses_openmp", lambda has_openmp=has_openmp: has_openmp)
        llama = four_threads(monkeypatch, LARGE_MODEL)
        assert llama.thread_choice
        for position, threads in enumerate((4, 1, 4, 2)):
            llama.thread_choice.threads = threads
            assert llama.decode([BatchEntry(5, position, 0, True)]) == Decoded.DONE
        logits.append(llama.logits(0).copy())
    assert np.array_equal(logits[0], logits[1])


def test_a_blank_that_a_tokenizer_puts_before_any_text_is_taken_away(monkeypatch):
    """As SentencePiece puts it for models of the Llama 2 kind. Here a token is a character."""
    monkeypatch.setattr(Tokenizer, "_tokenize", lambda _, text, special: tuple(map(ord, f" {text}")))  # noqa: ARG005
    assert Tokenizer(None, space_prefix=True).tokenize("two", False) == tuple(map(ord, "two"))
    assert Tokenizer(None, space_prefix=True).tokenize("", False) == ()


# The ledger decides what a handoff keeps and decodes, and what a new session reuses -----------------------------------

IDS = st.lists(st.integers(0, 2), max_size=12)
NO_STATE = (ctypes.c_uint8 * 0)()


def shared_start(a: Sequence[int], b: Sequence[int]) -> int:
    return len(list(takewhile(lambda both: both[0] == both[1], zip(a, b, strict=False))))


@given(st.lists(st.tuples(IDS, st.booleans(), st.integers(0, 12)), max_size=6), st.booleans(), st.integers(1, 4))
def test_after_any_texts_the_cache_holds_the_last_and_every_wanted_logit(texts, can_truncate, chunk):
    ledger, has_logits = Ledger(can_truncate), False
    for target, wants_all, at in texts:
        first = min(at, len(target)) if wants_all else None
        before = list(ledger.ids)
        keep = ledger.kept(target, has_logits, first)
        new = target[keep:]
        assert before[:keep] == target[:keep]
        possible = range(len(before) + 1) if can_truncate else {0, len(before), *ledger.snapshots}
        assert keep in possible
        start = len(target) if first is None else first
        computed = {*range(keep + 1, len(target) + 1), *([len(before)] if has_logits else [])}
        assert set(range(max(start, 1), len(target) + 1)) <= computed
        if has_logits and target == before and not wants_all:
            assert not new, "all of it is there"
        most = min(shared_start(before, target), max(start - 1, 0))
        assert keep >= max(place for place in possible if place <= most), "no more is decoded than has to be"
        ledger.truncate(keep)
        ledger.ids += new
        assert ledger.ids == target
        if new and at % 2:
            ledger.remember(NO_STATE)
        assert len(ledger.snapshots) <= 4
        assert all(length <= len(ledger.ids) for length in ledger.snapshots)
        assert ledger.reusable(target, chunk) % chunk == 0
        assert ledger.reusable(target, chunk) <= max(len(target) - 1, 0)
        has_logits = bool(target)


def test_a_memory_that_cannot_be_truncated_keeps_its_newest_snapshots_and_is_reused_as_a_whole_or_from_one():
    ledger = Ledger(supports_truncation=False)
    for at in range(1, 8):
        ledger.ids.append(at)
        ledger.remember(NO_STATE)
    assert sorted(ledger.snapshots) == [4, 5, 6, 7]
    ledger.ids, ledger.whole = [*range(1, 8), 20, 21], 8
    assert ledger.reusable([*ledger.ids, 22]) == 9, "as a whole"
    assert ledger.reusable([*range(1, 8), 9]) == 7, "or from a snapshot"
    assert ledger.reusable([*ledger.ids, 22], chunk=4) == 0
    ledger.truncate(6)
    assert sorted(ledger.snapshots) == [4, 5, 6]


def test_what_both_texts_begin_with_is_reused_in_whole_chunks_if_exactly_and_a_token_is_left_to_read():
    ledger, text = Ledger(), list(range(1000))
    ledger.ids, ledger.whole = text[:300], 256
    targets = (text, text[:200], text[:192], [*text[:200], 7], text[:300], [7])
    assert [ledger.reusable(target) for target in targets] == [300, 199, 191, 200, 299, 0]
    assert [ledger.reusable(target, chunk=64) for target in targets] == [256, 192, 128, 192, 256, 0]
    ledger.truncate(130)
    assert ledger.reusable(text, chunk=64) == 128


PIECES = (b"a", b"b", b"ab", b"ba", b"aba", b"\xff3\xff")
"""Of tokens; the last one is a control token, whose bytes no text contains."""


@given(st.lists(st.integers(0, 5), max_size=8), st.lists(st.integers(0, 5), max_size=8), st.integers(0, 8))
def test_a_text_in_other_tokens_is_held_up_to_the_last_place_where_both_end_a_token(a, b, common):
    b = a[:common] + b
    ends = [dict(zip(accumulate(len(PIECES[id]) for id in ids), range(1, len(ids) + 1), strict=True)) for ids in (a, b)]
    texts = [b"".join(PIECES[id] for id in ids) for ids in (a, b)]
    shared = shared_start(*texts)
    last = max((end for end in ends[0].keys() & ends[1].keys() if end <= shared), default=0)
    assert common_text(a, b, PIECES.__getitem__) == (ends[0].get(last, 0), ends[1].get(last, 0))
