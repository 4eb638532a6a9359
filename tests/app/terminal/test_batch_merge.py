"""`baton batch merge` joins the folders of several machines into another one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from baton_reasoning.app.terminal.batch_folder import LINK_FILE, STORE_FILE
from baton_reasoning.core.demo_pair import BATCH_PROBLEMS
from tests.app.terminal.conftest import Baton

pytestmark = pytest.mark.slow

SHORT = ("--arm", "large", "--limit", "2", "-n", "8", "--parallel", "2", "--context", "1024")


def test_folders_become_one_with_a_store_and_a_report_of_its_own(tmp_path: Path, baton: Baton) -> None:
    desk, laptop, out = tmp_path / "desk", tmp_path / "laptop", tmp_path / "out"
    assert baton("batch", "run", str(BATCH_PROBLEMS), *SHORT, "--out", str(desk)).returncode == 0
    seeds = ("--seed", "1", "--seeds", "2", "--no-history")
    assert baton("batch", "run", str(BATCH_PROBLEMS), *SHORT, *seeds, "--out", str(laptop)).returncode == 0
    done = baton("batch", "merge", str(desk), str(laptop), "--out", str(out), "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)["report"]
    assert (report["seed_numbers"], report["arms"][0]["done"]) == ([0, 1, 2], 6)
    assert set(report["provenance"]["merged"]) == {desk.as_posix(), laptop.as_posix()}
    assert {path.name for path in out.iterdir()} >= {STORE_FILE, "report.json", "results.jsonl"}
    again = baton("batch", "merge", str(out), str(desk), "--out", str(tmp_path / "more"))
    assert "has answered the problem" in again.stderr
    assert not (tmp_path / "more").exists()


def test_a_folder_whose_batch_stayed_on_another_computer_is_named_with_the_way_to_take_it_along(
    tmp_path: Path, baton: Baton
) -> None:
    (tmp_path / "desk").mkdir()
    (tmp_path / "desk" / LINK_FILE).write_text('{"batch": "elsewhere"}', encoding="utf-8")
    refused = baton("batch", "merge", str(tmp_path / "desk"), "--out", str(tmp_path / "out"))
    assert refused.returncode != 0
    assert f"baton batch merge {tmp_path / 'desk'} --out OTHER" in refused.stderr
