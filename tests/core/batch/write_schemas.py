"""`python -m tests.core.batch.write_schemas`: writes resources/schemas from core/batch/reporting/exports.py."""

from __future__ import annotations

import json
from pathlib import Path

from baton_reasoning.core.batch.reporting.exports import SCHEMAS, json_schema

FOLDER = Path(__file__).resolve().parents[3] / "resources" / "schemas"

if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name in SCHEMAS:
        (FOLDER / f"{name}.json").write_text(json.dumps(json_schema(name), indent=1) + "\n", encoding="utf-8")
