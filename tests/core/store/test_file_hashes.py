"""The SHA-256 of a file, and when it is known without reading the file."""

import hashlib
import os

from baton_reasoning.core.files import HASHED_AT_ONCE
from baton_reasoning.core.models.source import DemoModel
from baton_reasoning.core.store.store import Store
from tests.systems import posix_only

SMALL_MODEL = DemoModel.SMALL.path


def hashed(store, file):
    """The bytes that were read for it, and the hash."""
    *read, sha256 = store.file_hashes.sha256(file)
    return sum(read), sha256


def test_a_hash_is_that_of_the_bytes_and_comes_with_their_number(store, tmp_path):
    published = SMALL_MODEL.with_name("SHA256SUMS").read_text("utf-8")
    size, sha256 = hashed(store, SMALL_MODEL)
    assert f"{sha256}  {SMALL_MODEL.name}" in published.splitlines()
    assert size == SMALL_MODEL.stat().st_size
    large = tmp_path / "large"
    large.write_bytes(bytes(HASHED_AT_ONCE + 5))
    assert list(store.file_hashes.sha256(large))[:-1] == [HASHED_AT_ONCE, 5]


def test_a_hash_is_remembered_until_the_file_changes(path, tmp_path):
    file = tmp_path / "model.gguf"
    file.write_bytes(b"weights")
    with Store.open(path) as store:
        first = hashed(store, file)
    with Store.open(path) as store:
        assert hashed(store, file) == (0, first[1])
        file.write_bytes(b"new weights")
        assert hashed(store, file) == (11, hashlib.sha256(b"new weights").hexdigest())


@posix_only("the time of a change that nobody can set")
def test_a_copy_with_the_times_of_its_original_has_a_hash_of_its_own(store, tmp_path):
    """As who restores or edits it may have set them."""
    file = tmp_path / "model.gguf"
    file.write_bytes(b"weights")
    hashed(store, file)
    before = file.stat()
    file.write_bytes(b"WEIGHTS")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    while file.stat().st_ctime_ns == before.st_ctime_ns:  # a few ms by the clock of the file system
        file.touch()
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert hashed(store, file) == (7, hashlib.sha256(b"WEIGHTS").hexdigest())


def test_a_file_that_cannot_be_read_or_changes_meanwhile_has_no_hash(store, tmp_path):
    assert hashed(store, tmp_path / "missing") == (0, "")
    file = tmp_path / "model.gguf"
    file.write_bytes(bytes(HASHED_AT_ONCE + 5))
    reading = store.file_hashes.sha256(file)
    next(reading)
    file.write_bytes(bytes(9))
    assert list(reading)[-1] == ""
    assert hashed(store, file)[0] == 9, "nothing false is remembered"
