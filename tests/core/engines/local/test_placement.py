"""What is tried when memory is short: the order of attempts, and the real thing under a limit on address space."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import pytest

from baton_reasoning.core.demo_pair import SMALL_MODEL
from baton_reasoning.core.engines.local import placement as placement_module
from baton_reasoning.core.engines.local.engine import LocalEngine
from baton_reasoning.core.engines.local.messages import ModelLoaded, WorkerOptions
from baton_reasoning.core.engines.local.placement import ModelLoader, attempts
from baton_reasoning.core.engines.local.process import DiedLoading
from baton_reasoning.core.errors import OutOfMemory
from baton_reasoning.core.models.devices import Device, DeviceKind, Devices
from baton_reasoning.core.models.fit import estimate, fit
from baton_reasoning.core.models.gguf import read_header
from baton_reasoning.core.models.options import LoadOptions
from tests.patience import PATIENCE

GIB = 2**30


def loaded(file: Path, memory: int, *, context: int, parallel: int = 1, batch: int) -> str:
    """How loading went where there are `memory` bytes of address space."""
    command = [sys.executable, "-m", "tests.core.engines.local.little_memory"]
    numbers = map(str, (context, parallel, batch))
    done = subprocess.run(
        [*command, str(memory), str(file), *numbers], capture_output=True, text=True, timeout=PATIENCE
    )
    return done.stdout.strip() or done.stderr


def test_the_batch_shrinks_before_layers_leave_the_gpu():
    ways = list(attempts(LoadOptions(batch=512, gpu_layers=-1), layers=32))
    assert [(way.options.gpu_layers, way.options.batch) for way in ways] == [
        (-1, 512),
        (-1, 128),
        (24, 128),
        (16, 128),
        (8, 128),
        (0, 128),
        (0, 32),
    ]
    assert ways[0].fallback == ""
    assert ways[1].fallback == "with a batch of 128 tokens"
    assert ways[2].fallback == "with 24 of 32 layers on the GPU and a batch of 128 tokens"
    assert ways[6].fallback == "with 0 of 32 layers on the GPU and a batch of 32 tokens"


class FillingProcess:
    """Has room for no more than `most` layers, and a batch of 128 tokens."""

    most = 32
    tried: ClassVar[list[tuple[int, int]]] = []

    def __init__(self, options: WorkerOptions, on_progress: Callable[[float], object]) -> None:
        self.tried.append((options.load.gpu_layers, options.load.batch))
        if options.load.gpu_layers > self.most or options.load.batch > 128:
            raise OutOfMemory("There is not enough memory.", "Choose a smaller model.")


def test_a_model_that_ran_out_of_memory_is_loaded_lighter_and_any_other_first_as_before(monkeypatch):
    monkeypatch.setattr(placement_module, "ModelProcess", FillingProcess)
    monkeypatch.setattr(placement_module, "first_layers", lambda *_: 32)
    loader = ModelLoader(read_header(SMALL_MODEL), WorkerOptions("", LoadOptions(batch=512)))

    def tried(most: int, *, lighter: bool = False) -> list[tuple[int, int]]:
        FillingProcess.most = most
        FillingProcess.tried.clear()
        loader.load(lambda _: None, lighter=lighter)
        return list(FillingProcess.tried)

    assert tried(32) == [(32, 512), (32, 128)]
    assert tried(32) == [(32, 128)], "as before"
    assert tried(16, lighter=True) == [(24, 128), (16, 128)]
    assert loader.attempt.fallback == "with 16 of 32 layers on the GPU and a batch of 128 tokens"
    assert tried(0, lighter=True) == [(8, 128), (0, 128)]
    assert tried(0, lighter=True) == tried(0, lighter=True) == [(0, 32)], "there is no lighter one"
    with pytest.raises(OutOfMemory, match="not even with 0 of 32 layers on the GPU and a batch of 32 tokens"):
        tried(-1)


class DyingProcess:
    """Dies while it loads as long as layers are on the device, as with a driver at the end of its memory."""

    tried: ClassVar[list[int]] = []

    def __init__(self, options: WorkerOptions, on_progress: Callable[[float], object]) -> None:
        self.tried.append(options.load.gpu_layers)
        if options.load.gpu_layers:
            raise DiedLoading("The process stopped with SIGSEGV.")
        self.loaded = ModelLoaded(1, (), 100, "", "")

    def close(self) -> None:
        pass


@pytest.mark.slow
def test_a_death_while_loading_with_layers_on_a_device_means_fewer_layers(smollm2, monkeypatch):
    monkeypatch.setattr(placement_module, "ModelProcess", DyingProcess)
    monkeypatch.setattr(placement_module, "first_layers", lambda *_: 8)
    engine = LocalEngine(smollm2, LoadOptions(context=512, threads=1))
    assert DyingProcess.tried == [8, 8, 6, 4, 2, 0]
    assert engine.card.placement is not None
    assert engine.card.placement.fallback.startswith("with 0 of 8 layers")


def test_a_model_is_never_judged_with_a_longer_context_than_it_was_trained_for(smollm2):
    header = read_header(smollm2)
    longest = header.context_length
    assert longest
    assert estimate(header, LoadOptions(context=2**20)) == estimate(header, LoadOptions(context=longest))


def test_without_a_gpu_only_the_batch_shrinks_and_keeps_room_for_one_token_of_every_text():
    ways = list(attempts(LoadOptions(batch=128, context=4096), layers=0))
    assert [(way.options.gpu_layers, way.options.batch) for way in ways] == [(-1, 128), (-1, 32)]
    assert {way.options.context for way in ways} == {4096}, "as a person chose it"
    many = attempts(LoadOptions(batch=256, parallel=64), layers=0)
    assert [way.options.batch for way in many] == [256, 128]


@pytest.mark.slow
def test_loading_tells_how_far_it_is(smollm2):
    told: list[float] = []
    engine = LocalEngine(smollm2, LoadOptions(context=512, threads=1), on_progress=told.append)
    engine.close()
    assert told == sorted(told)
    assert told[-1] == 1


@pytest.mark.slow
def test_a_batch_that_memory_cannot_hold_is_made_smaller_by_itself(smollm2):
    fallback, batch, tokens = loaded(smollm2, 2 * GIB, context=8192, batch=8192).split("; ")
    assert (fallback, batch) == ("with a batch of 128 tokens", "128")
    assert int(tokens) > 3, "it loads, and works"


@pytest.mark.slow
def test_what_cannot_be_loaded_at_all_ends_in_a_sentence(smollm2):
    told = loaded(smollm2, 3 * GIB, context=8192, parallel=24, batch=256)
    assert "not even with a batch of 32 tokens" in told
    assert "shorter context" in told


@pytest.mark.slow
@pytest.mark.parametrize(("free", "layers"), [(0.5, 0), (1.25, None), (8.0, 31)])
def test_layers_left_to_the_program_are_those_that_the_gpu_holds_and_none_if_it_holds_none(
    smollm2, monkeypatch, free, layers
):
    """A described GPU; without one llama.cpp takes the number and leaves it at that."""
    gpu = Device("CUDA0", "a GPU", DeviceKind.GPU, round(free * GIB), 8 * GIB)
    devices = Devices(16 * GIB, 16 * GIB, (gpu,))
    monkeypatch.setattr(placement_module, "has_gpu_backend", lambda: True)
    monkeypatch.setattr(placement_module, "find_devices", lambda: devices)
    engine = LocalEngine(smollm2, LoadOptions(context=8192, threads=1))
    chosen = engine.loaded_as.gpu_layers
    engine.close()
    assert chosen == fit(estimate(read_header(smollm2), LoadOptions(context=8192)), devices).layers
    assert chosen == layers if layers is not None else 0 < chosen < 31
