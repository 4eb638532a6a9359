"""Reads the bytes of a file of problems and decodes its text; defines the records that readers make of it."""

from __future__ import annotations

import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from baton_reasoning.core.errors import ProblemFileError, UnknownEncoding

FILE_LIMIT = 256 * 1024 * 1024
"""Bytes of a file, and characters of its records, at most: a hostile file must not fill the memory."""

Value = str | int | float | bool | None | list["Value"] | dict[str, "Value"]
"""A JSON value; delimited files give strings only."""

ENCODINGS = ("Windows-1252", "Windows-1250", "Windows-1251", "Windows-1253", "GBK", "Big5", "Shift-JIS", "EUC-KR")
"""The usual encodings of text that is not Unicode; the first one is guessed."""
_BYTE_ORDER_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_UNDECODED = re.compile("[\udc80-\udcff]")
"""Bytes that are not UTF-8, as `surrogateescape` decodes them."""
_FOREIGN = re.compile(r"[^\x00-\x7f\xa0«»¡¿‘’“”„•–—…]")
"""A character beyond ASCII other than the usual punctuation."""
_NOT_WESTERN = re.compile(rf"{_FOREIGN.pattern}{{3,}}|(?<=[^\W\d_])[¡¿¹³ªº¦¨¬¯¸£¥¼¾](?=[^\W\d_])")
"""What is rare in Western text: three such characters in a row (créée and ção have two), or a sign inside a word."""


@dataclass(frozen=True)
class Record:
    """The fields of a record, and the line on which it starts, counted from 1."""

    line: int
    fields: Mapping[str, Value]


@dataclass(frozen=True)
class Rejected:
    """A record that was left out: its line (0 for the whole file), and the reason as a sentence."""

    line: int
    reason: str
    source: str = ""
    """The file's name, which `read_problems` fills in."""


@dataclass(frozen=True)
class ProblemSource:
    """A file of problems, or standard input."""

    name: str
    """The file's name; in a folder, its path inside the folder."""
    data: bytes
    encoding: str = ""
    """Of text that is not Unicode, as a person named it; "" to guess it."""
    decoded_as: list[str] = field(default_factory=list, compare=False)
    """The encoding that was named or guessed, if it was needed."""
    remarks: list[str] = field(default_factory=list, compare=False)
    """Sentences about what readers guessed, such as an encoding."""

    @classmethod
    def open(cls, path: Path, name: str, encoding: str = "") -> ProblemSource:
        """Read `path`. Raises ProblemFileError when it is missing or no file, or has too many bytes."""
        try:
            if not stat.S_ISREG(path.stat().st_mode):  # opening a FIFO would wait for a writer
                raise ProblemFileError(f"{name} is not a file.", "Save it as a file, or pipe it in by the name -.")
            with path.open("rb") as file:
                return cls.read(name, file, encoding)
        except OSError as error:
            raise ProblemFileError(
                f"{name} cannot be read: {error.strerror or error}.",
                "Check that the file is there and that you may read it.",
            ) from error

    @classmethod
    def read(cls, name: str, file: BinaryIO, encoding: str = "") -> ProblemSource:
        """Read an opened file, or standard input. Raises ProblemFileError when it has too many bytes."""
        data = file.read(FILE_LIMIT + 1)
        if len(data) > FILE_LIMIT:
            raise ProblemFileError(f"{name} is larger than {FILE_LIMIT // 2**20} MiB.", "Split it into smaller files.")
        return cls(name, data, encoding)

    @property
    def suffix(self) -> str:
        return Path(self.name).suffix.lower()

    @cached_property
    def text(self) -> str:
        """The whole file as text, line ends as `\\n`.

        Raises ProblemFileError for a binary or an empty one, UnknownEncoding where a person must name the encoding.
        """
        marked = (code for mark, code in _BYTE_ORDER_MARKS.items() if self.data.startswith(mark))
        try:
            text = self.data.decode(next(marked, "utf-8"))
        except UnicodeDecodeError:
            text = "\x00" if b"\x00" in self.data else self._decoded_without_unicode()
        if "\x00" in text:
            raise ProblemFileError(
                f"{self.name} is packed, binary or in an unknown encoding.", "Unpack it, or save its problems as UTF-8."
            )
        if not text.strip():
            raise ProblemFileError(f"{self.name} is empty.", "Choose a file with at least one problem.")
        return text.replace("\r\n", "\n").replace("\r", "\n")

    def _decoded_without_unicode(self) -> str:
        """Decode the text as named, else as Windows-1252 if it then looks Western. Raises UnknownEncoding."""
        if not self.encoding:
            self._refuse_mixed_encodings()
        encoding = self.encoding or ENCODINGS[0]
        try:
            text = self.data.decode(encoding)
        except (UnicodeError, LookupError):  # it may be the name of no encoding
            text = ""
        if not text or not (self.encoding or _looks_western(text)):
            told = "" if self.encoding else "in an unknown encoding: it is not UTF-8 and "
            raise UnknownEncoding(
                f"{self.name} is {told}not text in {encoding}.",
                f"Name its encoding, in the terminal with --encoding, such as {', '.join(ENCODINGS[1:])}.",
            )
        self.decoded_as.append(encoding)
        self.remarks.append(f"{self.name} is not UTF-8 and was read as {encoding}.")
        return text

    def _refuse_mixed_encodings(self) -> None:
        """Raise UnknownEncoding if only some lines are UTF-8. In other encodings, hardly any is by chance."""
        first: dict[bool, int] = {}
        for number, line in enumerate(self.data.decode(errors="surrogateescape").split("\n"), start=1):
            if not line.isascii():
                first.setdefault(not _UNDECODED.search(line), number)
        if len(first) == 2:
            raise UnknownEncoding(
                f"{self.name} mixes encodings: line {first[True]} is UTF-8, and line {first[False]} is not.",
                "Save all of it as UTF-8.",
            )


def _looks_western(text: str) -> bool:
    """Tell whether at most a third of what is foreign to ASCII, at the beginning of a text, is rare in Western text."""
    foreign = list(islice(_FOREIGN.finditer(text), 100_000))
    rare = _NOT_WESTERN.finditer(text, 0, foreign[-1].end() if foreign else 0)
    return 3 * sum(len(found.group()) for found in rare) <= len(foreign)
