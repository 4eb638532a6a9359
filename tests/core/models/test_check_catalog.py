"""The catalog against a Hub: each model is there with its size, or the difference is a sentence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

import check_catalog
from baton_reasoning.core.models.catalog import catalog
from baton_reasoning.core.models.hub import Hub
from baton_reasoning.core.models.hub_listing import HubAccess
from tests.core.models.hub_server import HubServer, running_hub

MODEL = replace(catalog()[0].small, bytes=100)


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with running_hub() as server:
        yield server


def faults(hub: HubServer) -> list[str]:
    return list(check_catalog.compare(Hub(HubAccess(hub.endpoint)), [MODEL]))


def test_a_model_with_its_size_agrees(hub: HubServer, capsys: pytest.CaptureFixture[str]) -> None:
    hub.files[MODEL.repository] = {MODEL.file: b"x" * 100}
    assert faults(hub) == []
    assert "✓" in capsys.readouterr().out


def test_another_size_is_a_fault(hub: HubServer) -> None:
    hub.files[MODEL.repository] = {MODEL.file: b"x" * 150}
    (fault,) = faults(hub)
    assert "has 150 bytes, and the catalog states 100" in fault


def test_a_file_or_a_repository_that_is_not_there_is_a_fault(hub: HubServer) -> None:
    (fault,) = faults(hub)
    assert MODEL.name in fault
    hub.files[MODEL.repository] = {"other-Q4_K_M.gguf": b"x"}
    (fault,) = faults(hub)
    assert f"has no file {MODEL.file}" in fault


def test_offline_it_says_so_and_succeeds(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert check_catalog.main() == 0
    assert "was not checked" in capsys.readouterr().out
