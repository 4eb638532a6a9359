"""Files that only their owner may read, what must not become one, and hashes of files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from baton_reasoning.core.demo_pair import SMALL_MODEL
from baton_reasoning.core.files import make_private, sha256_of

pytestmark = pytest.mark.skipif(os.name != "posix", reason="Windows has other permissions")


def mode(file: Path) -> int:
    return file.stat().st_mode & 0o777


def test_a_file_that_is_missing_or_open_to_others_becomes_private(tmp_path):
    missing, readable = tmp_path / "missing", tmp_path / "readable"
    readable.touch(mode=0o644)
    for file in (missing, readable):
        make_private(file)
        assert mode(file) == 0o600


def test_what_a_link_leads_to_stays_as_it_is(tmp_path):
    readable, link, nowhere = tmp_path / "readable", tmp_path / "link", tmp_path / "nowhere"
    readable.touch()
    readable.chmod(0o644)
    link.symlink_to(readable)
    nowhere.symlink_to(tmp_path / "missing")
    make_private(link)
    make_private(nowhere)
    assert mode(readable) == 0o644
    assert not (tmp_path / "missing").exists()


def test_a_device_and_a_folder_stay_as_they_are(tmp_path):
    pipe, folder = tmp_path / "pipe", tmp_path / "folder"
    os.mkfifo(pipe)
    folder.mkdir()
    for file in (pipe, folder):
        file.chmod(0o755)
        make_private(file)
        assert mode(file) == 0o755


def test_a_hash_is_that_of_the_bytes_or_empty_where_they_cannot_be_read_or_nobody_waits(tmp_path):
    published = SMALL_MODEL.with_name("SHA256SUMS").read_text("utf-8")
    assert f"{sha256_of(SMALL_MODEL)}  {SMALL_MODEL.name}" in published.splitlines()
    assert sha256_of(tmp_path / "missing") == ""
    assert sha256_of(SMALL_MODEL, lambda: True) == ""
