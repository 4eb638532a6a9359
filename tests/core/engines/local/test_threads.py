"""How many threads a model's process decodes with: by the machine, by a person, and while other programs are busy."""

from __future__ import annotations

import os
from collections import namedtuple
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from baton_reasoning.core.demo_pair import LARGE_MODEL, SMALL_MODEL
from baton_reasoning.core.engines.local import llama as llama_module
from baton_reasoning.core.engines.local import threads as threads_module
from baton_reasoning.core.engines.local.engine import LocalEngine
from baton_reasoning.core.engines.local.llama import BatchEntry, Decoded, Llama
from baton_reasoning.core.engines.local.messages import WorkerOptions
from baton_reasoning.core.engines.local.process import SPIN, spin_variables
from baton_reasoning.core.engines.local.threads import INTERVAL, CpuTimes, ThreadChoice, cpu_times, default_threads
from baton_reasoning.core.models.options import KvType, LoadOptions, Switch

# The number of threads -----------------------------------------------------------------------------------------------


class Machine:
    """A Linux machine as its files in /sys show it."""

    def __init__(self, sysfs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sysfs = sysfs
        self._monkeypatch = monkeypatch

    def says(self, **files: str) -> None:
        for path, text in files.items():
            file = self.sysfs / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{text}\n", encoding="ascii")

    def has(self, cores: list[list[int]], capacities: list[int] | None = None) -> None:
        """`cores`: the processors of each; all of them may be used."""
        for cpus, capacity in zip(cores, capacities or [0] * len(cores), strict=True):
            for cpu in cpus:
                folder = f"devices/system/cpu/cpu{cpu}"
                self.says(**{f"{folder}/topology/thread_siblings_list": ",".join(map(str, cpus))})
                if capacity:
                    self.says(**{f"{folder}/cpu_capacity": str(capacity)})
        self.allows({cpu for cpus in cores for cpu in cpus})

    def allows(self, cpus: set[int]) -> None:
        self._monkeypatch.setattr(psutil.Process, "cpu_affinity", lambda _: sorted(cpus), raising=False)

    @property
    def threads(self) -> int:
        return default_threads(self.sysfs)


@pytest.fixture
def machine(tmp_path, monkeypatch):
    return Machine(tmp_path, monkeypatch)


def test_a_core_of_two_hyper_threads_has_one_thread(machine):
    machine.has([[0, 4], [1, 5], [2, 6], [3, 7]])
    assert machine.threads == 4


def test_only_the_cores_that_the_process_may_use_count(machine):
    machine.has([[0, 4], [1, 5], [2, 6], [3, 7]])
    machine.allows({0, 4, 5})
    assert machine.threads == 2


def test_of_a_hybrid_processor_only_performance_cores_count(machine):
    machine.has([[0, 1], [2, 3], [4], [5], [6], [7]])
    machine.says(**{"devices/cpu_core/cpus": "0-3"})
    assert machine.threads == 2
    machine.allows({4, 5, 6})  # then the others are all there is
    assert machine.threads == 3


def test_on_arm_only_fast_cores_count(machine):
    machine.has([[n] for n in range(8)], [290, 290, 290, 290, 870, 870, 870, 1024])
    assert machine.threads == 4


def test_a_container_s_quota_bounds_the_number(machine):
    machine.has([[n] for n in range(8)])
    machine.says(**{"fs/cgroup/cpu.max": "max 100000"})
    assert machine.threads == 8
    machine.says(**{"fs/cgroup/cpu.max": "250000 100000"})
    assert machine.threads == 2
    machine.says(**{"fs/cgroup/cpu.max": "50000 100000"})
    assert machine.threads == 1


def test_a_system_that_shows_no_cores_is_asked_in_another_way(machine, monkeypatch):
    machine.allows({0, 1, 2, 3})
    monkeypatch.setattr(psutil, "cpu_count", lambda logical: 8 if logical else 2)
    assert machine.threads == 2
    monkeypatch.setattr(psutil, "cpu_count", lambda **_: None)
    assert machine.threads == 4


# Other programs ------------------------------------------------------------------------------------------------------
# No clock runs: the choice is told what the cores did.

SECONDS = 0.05
"""Of a decode."""


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

    def decode(self, choice: ThreadChoice, seconds: float) -> None:
        for _ in range(round(seconds / SECONDS)):
            self.work(choice.threads, SECONDS)
            choice.record(SECONDS)

    def work(self, threads: int, seconds: float, *, is_own: bool = True) -> None:
        wanted = threads + self.busy
        share = min(1.0, self.count / wanted)
        self.clock += seconds
        self.own += is_own * threads * share * seconds
        self.idle += (self.count - wanted * share) * seconds


@pytest.mark.parametrize("count", [1, 2, 4, 16])
def test_on_an_idle_machine_all_threads_work(count):
    cores = Cores(count, busy=0.3)  # the program shows what is written
    choice = ThreadChoice(count, cores.times)
    for _ in range(50):
        cores.decode(choice, INTERVAL)
        assert choice.threads == count


@pytest.mark.parametrize(("count", "busy"), [(2, 1), (2, 2), (4, 1), (4, 2), (8, 3), (16, 1)])
def test_busy_programs_are_left_their_cores_and_these_are_taken_back(count, busy):
    cores = Cores(count)
    choice = ThreadChoice(count, cores.times)
    cores.decode(choice, 5)
    cores.busy = busy
    cores.decode(choice, 1)
    for _ in range(20):
        cores.decode(choice, INTERVAL)
        assert choice.threads == max(count - busy, 1)
    cores.busy = 0
    cores.decode(choice, 2 * INTERVAL)
    assert choice.threads == count


def test_cores_beyond_the_threads_are_for_others():
    """As hyper-threads are, of which each core has two."""
    cores = Cores(8, busy=4)
    choice = ThreadChoice(4, cores.times)
    cores.decode(choice, 2)
    assert choice.threads == 4


def test_a_model_that_works_between_the_decodes_is_no_other_program():
    cores = Cores(2)
    choice = ThreadChoice(2, cores.times)
    for _ in range(50):
        cores.decode(choice, 0.2)
        cores.work(2, 0.2, is_own=False)
        assert choice.threads == 2


def test_a_system_that_shows_no_idle_time_gets_all_threads():
    cores = Cores(2, busy=1)
    choice = ThreadChoice(2, lambda: cores.times()._replace(idle=0.0))
    cores.decode(choice, 2)
    assert choice.threads == 2


def test_only_the_cpus_that_the_process_may_use_count(monkeypatch):
    times = namedtuple("times", ("user", "idle", "iowait"))
    every = [times(1.0, 10.0 * cpu, 1.0) for cpu in range(4)]
    monkeypatch.setattr(psutil, "cpu_times", lambda percpu: every if percpu else None)
    monkeypatch.setattr(psutil.Process, "cpu_affinity", lambda _: [1, 3], raising=False)
    assert cpu_times().idle == 42
    monkeypatch.delattr(psutil.Process, "cpu_affinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    assert cpu_times().idle == 64


# Spinning ------------------------------------------------------------------------------------------------------------


def test_a_person_s_own_way_to_wait_stays():
    assert spin_variables({"PATH": "/bin"}) == SPIN
    assert not spin_variables({"GOMP_SPINCOUNT": "7"})
    assert not spin_variables({"OMP_WAIT_POLICY": "active"})


@pytest.mark.parametrize("chosen", ["", "7"])
def test_threads_of_a_model_s_process_spin_for_a_bounded_time(chosen, monkeypatch):
    """From its start: a program's main module, which the child imports first, may load OpenMP's library."""
    if chosen:
        monkeypatch.setenv("GOMP_SPINCOUNT", chosen)
    before = dict(os.environ)
    with closing(LocalEngine(SMALL_MODEL, LoadOptions(context=256))) as engine:
        environment = psutil.Process(engine.process.pid).environ()
    assert environment["GOMP_SPINCOUNT"] == (chosen or SPIN["GOMP_SPINCOUNT"])
    assert dict(os.environ) == before


# The same text with any number ---------------------------------------------------------------------------------------

CONTEXT = 1024
LENGTH = 600
"""Tokens: llama.cpp splits the text among threads from 512 cells on, in steps of 256."""


@pytest.fixture
def four_cores(monkeypatch):
    monkeypatch.setattr(llama_module, "default_threads", lambda: 4)


def loaded(path: Path, **options: Any) -> Llama:
    return Llama(WorkerOptions(str(path), LoadOptions(context=CONTEXT, **options)), lambda _: None)


MODELS = [
    pytest.param("demo", KvType.F16),
    pytest.param("smollm2", KvType.F16, marks=pytest.mark.real_models),
    pytest.param("smollm2", KvType.Q8_0, marks=pytest.mark.real_models),
    pytest.param("gemma", KvType.F16, marks=pytest.mark.real_models),
]


@pytest.mark.usefixtures("four_cores")
@pytest.mark.parametrize(("model", "kv_type"), MODELS)
def test_another_number_of_threads_in_the_middle_changes_no_logit(model, kv_type, request):
    llama = loaded(LARGE_MODEL if model == "demo" else request.getfixturevalue(model), kv_type=kv_type)
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


@pytest.mark.usefixtures("four_cores")
def test_a_number_that_a_person_chose_or_that_would_change_the_text_stays():
    assert loaded(LARGE_MODEL, threads=2).thread_choice is None
    assert loaded(LARGE_MODEL, flash_attention=Switch.ON).thread_choice is None
    assert loaded(LARGE_MODEL, flash_attention=Switch.OFF).thread_choice


@pytest.mark.usefixtures("four_cores")
def test_a_build_without_openmp_is_given_pools_and_writes_the_same(monkeypatch):
    """A build with OpenMP takes pools as well; only their waiting differs."""
    logits = []
    for has_openmp in (threads_module.uses_openmp(), False):
        monkeypatch.setattr(threads_module, "uses_openmp", lambda has_openmp=has_openmp: has_openmp)
        llama = loaded(LARGE_MODEL)
        assert llama.thread_choice
        for position, threads in enumerate((4, 1, 4, 2)):
            llama.thread_choice.threads = threads
            assert llama.decode([BatchEntry(5, position, 0, True)]) == Decoded.DONE
        logits.append(llama.logits(0).copy())
    assert np.array_equal(logits[0], logits[1])
