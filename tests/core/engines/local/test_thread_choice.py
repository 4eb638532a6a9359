"""The number of threads follows the load. No clock runs: the choice is told what the cores did."""

from __future__ import annotations

from collections import namedtuple
from dataclasses import dataclass

import psutil
import pytest

from baton_reasoning.core.engines.local.thread_choice import INTERVAL, CpuTimes, ThreadChoice, cpu_times

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
def test_on_an_idle_machine_all_threads_work(count: int) -> None:
    cores = Cores(count, busy=0.3)  # the program shows what is written
    choice = ThreadChoice(count, cores.times)
    for _ in range(50):
        cores.decode(choice, INTERVAL)
        assert choice.threads == count


@pytest.mark.parametrize(("count", "busy"), [(2, 1), (2, 2), (4, 1), (4, 2), (8, 3), (16, 1)])
def test_busy_programs_are_left_their_cores_and_these_are_taken_back(count: int, busy: int) -> None:
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


def test_cores_beyond_the_threads_are_for_others() -> None:
    """As hyper-threads are, of which each core has two."""
    cores = Cores(8, busy=4)
    choice = ThreadChoice(4, cores.times)
    cores.decode(choice, 2)
    assert choice.threads == 4


def test_a_model_that_works_between_the_decodes_is_no_other_program() -> None:
    cores = Cores(2)
    choice = ThreadChoice(2, cores.times)
    for _ in range(50):
        cores.decode(choice, 0.2)
        cores.work(2, 0.2, is_own=False)
        assert choice.threads == 2


def test_a_system_that_shows_no_idle_time_gets_all_threads() -> None:
    cores = Cores(2, busy=1)
    choice = ThreadChoice(2, lambda: cores.times()._replace(idle=0.0))
    cores.decode(choice, 2)
    assert choice.threads == 2


def test_only_the_cpus_that_the_process_may_use_count(monkeypatch: pytest.MonkeyPatch) -> None:
    times = namedtuple("times", ("user", "idle", "iowait"))
    every = [times(1.0, 10.0 * cpu, 1.0) for cpu in range(4)]
    monkeypatch.setattr(psutil, "cpu_times", lambda percpu: every if percpu else None)
    monkeypatch.setattr(psutil.Process, "cpu_affinity", lambda _: [1, 3], raising=False)
    assert cpu_times().idle == 42
    monkeypatch.delattr(psutil.Process, "cpu_affinity")
    assert cpu_times().idle == 64
