"""Models on a GPU: found, fitted, used, short of memory, lost. The device is software, made small by a layer."""

import threading
from contextlib import closing

import pytest

from baton_reasoning.core.demo_pair import LARGE_MODEL, SMALL_MODEL
from baton_reasoning.core.engines.base import End, Message, Messages, PrefillProgress, Stop, Token, WriteItem
from baton_reasoning.core.engines.local.engine import LocalEngine
from baton_reasoning.core.models.devices import DeviceKind, find_devices
from baton_reasoning.core.models.fit import estimate, fit
from baton_reasoning.core.models.gguf import read_header
from baton_reasoning.core.models.load_options import LoadOptions
from tests.core.engines.local.conftest import GREEDY, ids, notices, text_body

MIB = 2**20
PROBLEM: Messages = (Message("user", "What is 17 + 25?"),)
LONG_TEXT = "One two three four five six seven eight nine ten. " * 30
ALL_LAYERS = {SMALL_MODEL: 3, LARGE_MODEL: 4}
"""With the output layer, which counts as one."""
ON_THE_CPU = LoadOptions(context=1024, threads=1, gpu_layers=0)
ON_THE_GPU = LoadOptions(context=1024, threads=1)


def loaded(path, options):
    return closing(LocalEngine(path, options))


LONG = 240
"""Tokens that no process has written before its first one is read."""


def written(engine, tokens=24, after=lambda _: None):
    """What a model writes on one problem, greedily; `after` is called with the number of each token."""
    items: list[WriteItem] = []
    with closing(engine.open(PROBLEM, GREEDY)) as session:
        for item in session.write([], tokens, 1):
            items.append(item)
            if isinstance(item, Token):
                after(len(ids(items)))
    return items


def written_after_a_longer_text(engine):
    with closing(engine.open(PROBLEM, GREEDY)) as session:
        items = list(session.write(text_body(LONG_TEXT[:400]).parts, 4, 1))
    assert len(ids(items)) == 4
    return items


def layers_on_gpu(engine):
    return sum(share.layers for share in engine.card.placement.shares if share.device != "RAM")


# Found and fitted ----------------------------------------------------------------------------------------------------


def test_the_device_is_found_with_its_memory_of_which_models_hold_a_part(gpu, capfd):
    gpu.has_mib(1500)
    (device,) = find_devices().gpus
    assert device.kind is DeviceKind.GPU
    assert device.total_bytes == device.free_bytes == 1500 * MIB
    assert capfd.readouterr() == ("", ""), "finding it writes nothing to the terminal"
    with loaded(SMALL_MODEL, ON_THE_GPU):
        (device,) = find_devices().gpus
        assert 0 < gpu.used_bytes == device.total_bytes - device.free_bytes


@pytest.mark.parametrize(("mib", "least", "most"), [(1024, 0, 0), (1250, 1, 30), (1500, 31, 31)])
def test_as_many_layers_as_the_fit_says_are_loaded_without_a_fallback(gpu, smollm2, mib, least, most):
    gpu.has_mib(mib)
    predicted = fit(estimate(read_header(smollm2), LoadOptions(context=8192)), find_devices())
    assert least <= predicted.layers <= most
    with loaded(smollm2, LoadOptions(context=8192, threads=1)) as engine:
        assert (layers_on_gpu(engine), engine.card.placement.fallback) == (predicted.layers, "")
        assert most < 31 or gpu.used_bytes == pytest.approx(predicted.gpu_bytes, rel=0.1)


# Used ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [SMALL_MODEL, LARGE_MODEL])
def test_the_demo_pair_writes_the_same_on_the_gpu_as_on_the_cpu(gpu, model):
    with loaded(model, ON_THE_CPU) as engine:
        on_cpu = ids(written(engine))
    with loaded(model, ON_THE_GPU) as engine:
        assert layers_on_gpu(engine) == ALL_LAYERS[model]
        assert ids(written(engine)) == on_cpu


def test_stopping_does_not_wait_for_a_long_prompt_to_be_read(gpu, smollm2):
    """Vulkan cannot abort a batch, so a text must be read in batches that are short on a slow device."""
    with loaded(smollm2, LoadOptions(context=2048, threads=1)) as engine:
        written(engine, 2)  # the first decode compiles shaders
        with closing(engine.open(PROBLEM, GREEDY)) as session:
            timer = threading.Timer(1.0, session.cancel)
            timer.start()
            items = list(session.write(text_body(LONG_TEXT).parts, 1, 1))
            timer.join()
            assert items[-1] == End(Stop.CANCELLED)
            assert not ids(items)
            progress = [item for item in items if isinstance(item, PrefillProgress)]
            assert progress[-1].tokens < progress[-1].total / 2


# Short of memory -----------------------------------------------------------------------------------------------------


def test_a_device_that_is_smaller_than_asked_for_gets_fewer_layers_and_it_is_said(gpu, smollm2):
    gpu.has_mib(140)
    with loaded(smollm2, LoadOptions(context=2048, threads=1, gpu_layers=99)) as engine:
        assert layers_on_gpu(engine) < 31
        assert engine.card.placement.fallback
        assert ids(written(engine, 4))


def test_memory_that_runs_out_while_reading_restarts_the_model_lighter(gpu, smollm2):
    """Vulkan takes more memory when it reads a longer text for the first time."""
    with loaded(smollm2, ON_THE_GPU) as engine:
        as_asked = engine.loaded_as
        gpu.refuses_memory()
        (notice,) = notices(written_after_a_longer_text(engine))
        assert gpu.is_past("refuse")
        assert "memory" in notice
        lighter = engine.loaded_as
        assert (lighter.batch, lighter.gpu_layers) < (as_asked.batch, as_asked.gpu_layers)


def test_a_device_that_stays_full_after_memory_ran_out_moves_the_model_to_the_cpu(gpu, smollm2):
    """The weights that were on the device find no room there any more, as when another program took it."""
    with loaded(smollm2, ON_THE_GPU) as engine:
        as_asked = layers_on_gpu(engine)
        gpu.is_full()
        (notice,) = notices(written_after_a_longer_text(engine))
        assert f"with 0 of {as_asked} layers on the GPU" in notice
        assert layers_on_gpu(engine) == 0
        assert gpu.used_bytes == 0, "nothing of the attempts that failed stays on the device"


# Lost ----------------------------------------------------------------------------------------------------------------


def test_a_device_that_is_lost_while_writing_costs_a_restart_and_not_the_text(gpu):
    with loaded(SMALL_MODEL, ON_THE_GPU) as engine:
        undisturbed = ids(written(engine, LONG))
        items = written(engine, LONG, after=lambda number: gpu.gets_lost() if number == 1 else None)
        assert gpu.is_past("lose")
        assert ids(items) == undisturbed
        (notice,) = notices(items)
        assert "started again" in notice or "restarted" in notice
