"""The catalog is whole, honest about its sizes, and names only pairs that a machine can hold."""

from __future__ import annotations

import pytest

import check_catalog
from baton_reasoning.core.models.catalog import CatalogModel, PublishedResult, catalog, catalog_models, pairs_that_fit
from baton_reasoning.core.models.devices import Device, DeviceKind, Devices
from baton_reasoning.core.models.fit import estimate
from baton_reasoning.core.models.hub import Hub
from baton_reasoning.core.models.options import HubAccess, LoadOptions
from tests.core.models.hub_server import HubServer, running_hub

GIB = 2**30


def machine(ram: int, gpu: int = 0) -> Devices:
    gpus = (Device("GPU", "a GPU", DeviceKind.GPU, gpu * GIB, gpu * GIB),) if gpu else ()
    return Devices(ram * GIB, ram * GIB, gpus)


def models() -> set[CatalogModel]:
    return {model for pair in catalog() for model in (pair.small, pair.large)}


def test_the_papers_pairs_are_there():
    published = {
        (pair.small.name.removeprefix("DeepSeek-"), pair.large.name.removeprefix("DeepSeek-"))
        for pair in catalog()
        if pair.evidence is not PublishedResult.UNTESTED
    }
    assert published == {
        ("R1-Distill-Qwen-1.5B", "R1-Distill-Qwen-7B"),
        ("R1-Distill-Qwen-1.5B", "R1-Distill-Qwen-14B"),
        ("R1-Distill-Qwen-1.5B", "R1-Distill-Qwen-32B"),
        ("R1-Distill-Qwen-7B", "R1-Distill-Qwen-32B"),
        ("R1-Distill-Llama-8B", "R1-Distill-Qwen-32B"),
        ("Qwen2.5-7B-Instruct", "R1-Distill-Qwen-32B"),
        ("R1-Distill-Qwen-1.5B", "Phi-4-reasoning-plus"),
    }


def test_every_model_says_where_it_is_and_under_which_licence():
    for model in models():
        assert model.repository.count("/") == 1
        assert any(bits in model.file for bits in ("Q4_K_M", "mxfp4"))
        assert model.licence
        assert model.hub_file.quantisation in ("Q4_K_M", "UD-Q4_K_M", "MXFP4"), "a label that the repository lists"
        assert model.name.split("-")[0] in model.repository


def test_the_blocks_and_the_embedding_make_up_the_file():
    for model in models():
        outside = model.shape.token_embedding_bytes * (1 if model.shape.output_is_tied else 2)
        blocks = sum(block.tensor_bytes for block in model.shape.blocks)
        assert 0.99 * model.bytes < blocks + outside <= model.bytes
        # 4-bit files have between 4.5 and 5.2 bits a weight, so the blocks hold most of the file.
        assert blocks > 0.7 * model.bytes


def test_a_pair_has_a_smaller_model_first_and_the_source_of_its_published_figures():
    for pair in catalog():
        assert pair.small.bytes < pair.large.bytes
        assert bool(pair.source) is (pair.evidence is not PublishedResult.UNTESTED)


def test_the_cache_of_a_hybrid_is_a_quarter_of_a_dense_model():
    hybrid = next(model for model in models() if model.name == "Qwen3.6-27B")
    memory = estimate(hybrid.shape, LoadOptions(context=16_384))
    assert memory.kv_bytes == 16 * 2 * 4 * 256 * 2 * 16_384
    assert memory.state_bytes > 0


def test_a_small_machine_gets_small_pairs_and_a_large_one_all():
    (fitting,) = pairs_that_fit(machine(ram=10))
    assert fitting.pair.large.name == "DeepSeek-R1-Distill-Qwen-7B"
    assert pairs_that_fit(machine(ram=4)) == ()
    assert len(pairs_that_fit(machine(ram=64, gpu=80))) == len(catalog())


def test_the_lightest_pair_comes_first():
    sizes = [fitting.pair.bytes for fitting in pairs_that_fit(machine(ram=64, gpu=24))]
    assert len(sizes) > 2
    assert sizes == sorted(sizes)


def test_of_a_mixture_of_experts_only_the_active_ones_are_read():
    experts = catalog_models()["gpt-oss-120b"]
    assert experts.active_bytes / experts.bytes == pytest.approx(5.1 / 116.8, rel=0.01)
    dense = catalog_models()["r1-qwen-7b"]
    assert dense.active_bytes == dense.bytes


def test_a_longer_context_leaves_room_for_fewer_pairs():
    devices = machine(ram=27)
    assert len(pairs_that_fit(devices, context=65_536)) < len(pairs_that_fit(devices, context=4096))


# Against a Hub: each model is there with its size, or the difference is a sentence


MODEL = catalog()[0].small.model_copy(update={"bytes": 100})


@pytest.fixture
def hub():
    with running_hub() as server:
        yield server


def faults(hub: HubServer) -> list[str]:
    return list(check_catalog.compare(Hub(HubAccess(hub.endpoint)), [MODEL]))


def test_a_model_with_its_size_agrees(hub, capsys):
    hub.files[MODEL.repository] = {MODEL.file: b"x" * 100}
    assert faults(hub) == []
    assert "✓" in capsys.readouterr().out


def test_another_size_is_a_fault(hub):
    hub.files[MODEL.repository] = {MODEL.file: b"x" * 150}
    (fault,) = faults(hub)
    assert "has 150 bytes, and the catalog states 100" in fault


def test_a_file_or_a_repository_that_is_not_there_is_a_fault(hub):
    (fault,) = faults(hub)
    assert MODEL.name in fault
    hub.files[MODEL.repository] = {"other-Q4_K_M.gguf": b"x"}
    (fault,) = faults(hub)
    assert f"has no file {MODEL.file}" in fault


def test_offline_it_says_so_and_succeeds(monkeypatch, capsys):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert check_catalog.main() == 0
    assert "was not checked" in capsys.readouterr().out
