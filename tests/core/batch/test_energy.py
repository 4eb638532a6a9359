"""Energy is read from the machine's counters, shared among the texts, and reported or said to be missing."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType

import pytest

from baton_reasoning.core.batch.reporting.report import Report
from baton_reasoning.core.batch.reporting.report_text import footnotes
from baton_reasoning.core.batch.reporting.results import Results
from baton_reasoning.core.batch.running import energy, runner
from baton_reasoning.core.batch.running.creation import create_batch
from baton_reasoning.core.batch.running.energy import EnergyMeter, find_counters
from baton_reasoning.core.batch.running.recipes import arms_of
from baton_reasoning.core.batch.running.runner import Runner
from baton_reasoning.core.engines.base import Conversation
from baton_reasoning.core.engines.model_card import Placement
from baton_reasoning.core.grading.grader import Grader
from baton_reasoning.core.run import Pair, RunSettings
from baton_reasoning.core.store.store import Store
from tests.core.batch.counting import large_engine, problems, small_engine
from tests.fakes.powercap import RANGE, Powercap
from tests.fakes.scripted import ScriptedEngine, Text

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the names of Linux's counters cannot be made on Windows")
LOCAL = Placement(shares=(), batch=512, threads=2, kv_type="f16")


@pytest.fixture(autouse=True)
def without_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine of the test may have one."""
    monkeypatch.setattr(shutil, "which", lambda _: None)


@pytest.fixture
def powercap(tmp_path: Path) -> Powercap:
    return Powercap(tmp_path / "powercap")


def test_a_text_that_is_written_alone_has_all_the_energy(powercap: Powercap) -> None:
    meter = EnergyMeter(find_counters(powercap.folder).counters)
    powercap.use(5)
    meter.begin(1)
    powercap.use(20)
    powercap.set("intel-rapl:0:1", 3_000_000)
    assert meter.end(1) == pytest.approx(23)


def test_texts_that_are_written_at_once_share_it(powercap: Powercap) -> None:
    meter = EnergyMeter(find_counters(powercap.folder).counters)
    meter.begin(1)
    powercap.use(10)
    meter.begin(2)
    powercap.use(8)
    assert meter.end(1) == pytest.approx(14)
    powercap.use(1)
    assert meter.end(2) == pytest.approx(5)


def test_a_counter_that_begins_again_is_followed(powercap: Powercap) -> None:
    powercap.set("intel-rapl:0", RANGE - 1_000_000)
    meter = EnergyMeter(find_counters(powercap.folder).counters)
    meter.begin(1)
    for _ in range(3):
        powercap.use(RANGE * 0.9e-6)
        meter.update()
    assert meter.end(1) == pytest.approx(2.7 * RANGE * 1e-6)


def test_a_counter_that_goes_away_leaves_nothing_half_measured(powercap: Powercap) -> None:
    meter = EnergyMeter(find_counters(powercap.folder).counters)
    meter.begin(1)
    (powercap.folder / "intel-rapl:0" / "energy_uj").unlink()
    assert meter.end(1) is None


def test_a_machine_without_counters_says_so(tmp_path: Path) -> None:
    found = find_counters(tmp_path)
    assert (found.counters, found.measured) == ((), "")
    assert found.missing == "this system has no counters of the processor's energy (RAPL)"
    assert EnergyMeter(()).end(1) is None


def test_counters_that_only_root_may_read_come_with_the_command_that_allows_it(
    powercap: Powercap, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root may read a file without permissions, too, so the refusal is made."""

    def refuse(file: Path) -> int:
        raise PermissionError(13, "Permission denied", str(file))

    monkeypatch.setattr(energy, "_number_in", refuse)
    found = find_counters(powercap.folder)
    assert (found.counters, found.missing.partition(";")[0]) == ((), "only root may read the counters")
    assert "sudo chmod a+r /sys/class/powercap" in found.missing


def test_a_counter_that_holds_no_number_is_named(powercap: Powercap) -> None:
    (powercap.folder / "intel-rapl:0" / "energy_uj").write_text("")
    assert "the counters of the processor cannot be read" in find_counters(powercap.folder).missing


class _FakeNvml(ModuleType):
    """The part of the package nvidia-ml-py that is used, with two GPUs; `broken`: a driver that does not count."""

    class NVMLError(Exception):
        pass

    def __init__(self, broken: bool = False) -> None:
        super().__init__("pynvml")
        self.millijoules = 0
        self.broken = broken

    def nvmlInit(self) -> None:
        pass

    def nvmlDeviceGetCount(self) -> int:
        return 2

    def nvmlDeviceGetHandleByIndex(self, number: int) -> int:
        return number

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: int) -> int:
        if self.broken:
            raise self.NVMLError("Not Supported")
        return self.millijoules


def with_gpu(monkeypatch: pytest.MonkeyPatch, package: ModuleType | None) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: "/usr/bin/nvidia-smi")
    monkeypatch.setitem(sys.modules, "pynvml", package)


def test_gpus_are_measured_beside_the_processor(powercap: Powercap, monkeypatch: pytest.MonkeyPatch) -> None:
    nvml = _FakeNvml()
    with_gpu(monkeypatch, nvml)
    found = find_counters(powercap.folder)
    assert (found.measured, found.missing) == ("processor by RAPL and 2 GPUs by NVML", "")
    meter = EnergyMeter(found.counters)
    meter.begin(1)
    powercap.use(1)
    nvml.millijoules = 4_000
    assert meter.end(1) == pytest.approx(9)
    nvml.broken = True
    meter.begin(2)
    assert meter.end(2) is None


@pytest.mark.parametrize(
    ("package", "missing"),
    [(None, r'pip install "baton-reasoning[energy]"'), (_FakeNvml(broken=True), "energy of the GPU (Not Supported)")],
)
def test_a_gpu_that_cannot_be_measured_is_named_with_the_reason(
    powercap: Powercap, monkeypatch: pytest.MonkeyPatch, package: ModuleType | None, missing: str
) -> None:
    with_gpu(monkeypatch, package)
    found = find_counters(powercap.folder)
    assert found.measured == "processor by RAPL"
    assert missing in found.missing


def using(powercap: Powercap, joules: float, engine: ScriptedEngine) -> ScriptedEngine:
    """An engine on this machine that uses so much energy for each text."""
    text = engine.continue_with
    assert text

    def write(conversation: Conversation, body: str) -> Text:
        if not body:
            powercap.use(joules)
        return text(conversation, body)

    return ScriptedEngine(name=engine.card.name, continue_with=write).with_card(placement=LOCAL)


@pytest.fixture
def report_at(
    powercap: Powercap, store: Store, grader: Grader, monkeypatch: pytest.MonkeyPatch
) -> Callable[[int], Report]:
    """Run two arms, of which the large model needs 10 J for a text and the small one 2, with so many at once."""
    monkeypatch.setattr(runner, "find_counters", partial(find_counters, powercap.folder))

    def run(parallel: int) -> Report:
        pair = Pair(using(powercap, 2, small_engine()), using(powercap, 10, large_engine()))
        batch = create_batch(store, "b", problems(3), arms_of(["small", "large"], RunSettings()), parallel=parallel)
        list(Runner(store, batch, pair, grader, parallel).run())
        return Results.read(store, batch).report

    return run


def test_each_arm_has_its_energy_where_texts_are_written_one_by_one(report_at: Callable[[int], Report]) -> None:
    found = report_at(1)
    assert [arm.conditions.joules for arm in found.arms] == [pytest.approx(2), pytest.approx(10)]
    assert found.energy.answers == 6
    assert found.energy.joules == pytest.approx(36)
    lines = footnotes(found)
    assert "Energy of the whole machine: 6.0 J an answer, mean of 6 answers (processor by RAPL)" in lines
    assert "Large only: 10.0 J an answer" in lines


def test_only_the_batch_has_an_energy_where_texts_are_written_at_once(report_at: Callable[[int], Report]) -> None:
    found = report_at(3)
    assert [arm.conditions.joules for arm in found.arms] == [None, None]
    assert found.energy.joules == pytest.approx(36)
    assert "Arms have no energy of their own" in footnotes(found)


def test_a_batch_on_a_server_says_that_its_energy_is_not_known(store: Store, grader: Grader) -> None:
    batch = create_batch(store, "b", problems(1), arms_of(["small"], RunSettings()))
    list(Runner(store, batch, Pair(small_engine()), grader).run())
    report = Results.read(store, batch).report
    assert report.energy.answers == 0
    assert "Energy: not measured: a model is on a server, whose energy is not known here" in footnotes(report)
