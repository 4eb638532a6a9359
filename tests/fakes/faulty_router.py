"""A scripted llama-server in router mode, for models that load slowly, fail, or are not there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tests.fakes.faulty_server import Answer, FaultyServer, Json, Wire, about

FAILED: Json = {"value": "unloaded", "failed": True, "exit_code": 1}


class FaultyRouter(FaultyServer):
    """`models`: the status of each, look by look; the last one is repeated."""

    def __init__(self, *answers: Answer, models: Mapping[str, Sequence[str | Json]]) -> None:
        super().__init__(
            *answers,
            routes={"/props": self._props, "/v1/models": self._list, "/models/load": {"success": True}},
        )
        self._models = {name: list(statuses) for name, statuses in models.items()}

    def _props(self, wire: Wire) -> None:
        wire.json(about()["/props"] if self.requests[-1].query else {"role": "router", "models_autoload": True})

    def _list(self, wire: Wire) -> None:
        wire.json({"data": [self._entry(name, statuses) for name, statuses in self._models.items()]})

    @staticmethod
    def _entry(name: str, statuses: list[str | Json]) -> dict[str, Any]:
        status = statuses.pop(0) if len(statuses) > 1 else statuses[0]
        return {"id": name, "owned_by": "llamacpp", "status": {"value": status} if isinstance(status, str) else status}
