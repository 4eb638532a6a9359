"""Opens one file of problems: decompresses it, and decodes its text in whatever encoding.

The limits allow large data sets, and keep a hostile file from filling the memory.
"""

import gzip
import hashlib
import re
import stat
import zlib
from dataclasses import dataclass, field
from functools import cached_property
from io import BytesIO
from pathlib import Path

import charset_normalizer

from baton_reasoning.core.errors import ProblemFileError

FILE_LIMIT = 256 * 1024 * 1024
"""Most bytes of one file, after decompression."""
FIELD_LIMIT = 1_000_000
"""Most characters of one field; a row with a longer one is rejected."""

_GZIP = b"\x1f\x8b"
_CONTROL = re.compile(rb"[\x01-\x08\x0e-\x1f]")
"""Bytes that no text has in any encoding; zeros are half of UTF-16."""
_BYTE_ORDER_MARKS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
# Files that people drop by mistake: first bytes, what it is, what to do.
_FOREIGN = (
    (b"PK\x03\x04", "a zip archive or a spreadsheet", "Unpack it, or save the sheet as CSV."),
    (b"\xd0\xcf\x11\xe0", "an old Office document", "Save it as CSV."),
    (b"%PDF", "a PDF", "Copy its problems into a text file, one a line."),
    (b"GGUF", "a model file", "Open it on the models page."),
    (b"SQLite format 3", "a database", "Export the table as CSV."),
    (b"PAR1", "a Parquet file", "Give it the ending .parquet."),
)
# Below this many bytes outside ASCII a detector only guesses; Western European is the best guess then.
_ENOUGH_TO_DETECT = 64
_DETECTOR_SAMPLE = 200_000
# The detector takes long Western texts for Macintosh or Polish ones. Western text is mostly ASCII, and the rest
# are letters and signs of Western languages.
_WESTERN = frozenset("àâäáãåæçèéêëìíîïñòóôöõøœùúûüßÀÂÄÁÃÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÖÕØŒÙÚÛÜ‘’“”„–—…«»°€£§½±×÷")
_WESTERN_AT_LEAST = 0.8
_OUTSIDE_ASCII_AT_MOST = 0.2


@dataclass(frozen=True)
class ProblemSource:
    """A file of problems: its name without `.gz`, and its bytes, decompressed."""

    name: str
    data: bytes
    label: str = ""
    """The name of the file in messages and results; in a folder, its path inside the folder."""
    sha256: str = ""
    """Of the file as it is stored, in hexadecimal digits."""
    remarks: list[str] = field(default_factory=list, compare=False)
    """Sentences that readers add about what they chose."""

    @classmethod
    def open(cls, path: Path) -> "ProblemSource":
        """Read `path`, decompressing gzip whatever its name says.

        Raises ProblemFileError when it is missing, too big, empty, or a broken archive.
        """
        try:
            if not stat.S_ISREG(path.stat().st_mode):  # opening a FIFO would wait for a writer
                raise ProblemFileError(f"{path.name} is not a file.", "Save it as a file, or pipe it in by the name -.")
            with path.open("rb") as file:
                stored = file.read(FILE_LIMIT + 1)
        except OSError as error:
            raise ProblemFileError(
                f"{path.name} cannot be read: {error.strerror or error}.",
                "Check that the file is there and that you may read it.",
            ) from error
        data = _unpacked(stored, path) if len(stored) <= FILE_LIMIT else stored
        if len(data) > FILE_LIMIT:
            raise ProblemFileError(
                f"{path.name} is larger than {FILE_LIMIT // 2**20} MiB.", "Split it into smaller files."
            )
        if not data.strip(b"\x00 \t\r\n"):
            raise ProblemFileError(f"{path.name} is empty.", "Choose a file with at least one problem.")
        name = path.name.removesuffix(".gz").removesuffix(".GZ")
        return cls(name, data, name, sha256=hashlib.sha256(stored).hexdigest())

    @property
    def suffix(self) -> str:
        return Path(self.name).suffix.lower()

    @property
    def text(self) -> str:
        """The whole file as text, line ends as `\\n`. Raises ProblemFileError for a binary file."""
        return self._decoded[0]

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences about what was guessed, once the file has been read: its encoding, and the readers' remarks."""
        note = self._decoded[1] if "_decoded" in self.__dict__ else None
        return (*((note,) if note else ()), *self.remarks)

    def refuse_foreign(self) -> None:
        """Raise ProblemFileError if the first bytes are those of a spreadsheet, an archive, a PDF …"""
        for magic, kind, advice in _FOREIGN:
            if self.data.startswith(magic):
                raise ProblemFileError(f"{self.name} is {kind}, not text.", advice)

    @cached_property
    def _decoded(self) -> tuple[str, str | None]:
        self.refuse_foreign()
        text, note = self._decode()
        if "\x00" in text:
            raise ProblemFileError(f"{self.name} is a binary file, not text.", "Choose a JSON, CSV or text file.")
        return text.replace("\r\n", "\n").replace("\r", "\n"), note

    def _decode(self) -> tuple[str, str | None]:
        encoding = self._declared_encoding()
        if encoding:
            try:
                return self.data.decode(encoding), None
            except UnicodeDecodeError:
                if not encoding.startswith("utf-8"):
                    raise ProblemFileError(
                        f"{self.name} starts as {encoding.upper()} but is broken further on.",
                        "Save it again as UTF-8.",
                    ) from None
        return self._decode_mixed()

    def _declared_encoding(self) -> str | None:
        for mark, encoding in _BYTE_ORDER_MARKS:
            if self.data.startswith(mark):
                return encoding
        # UTF-16 without a byte order mark: in mostly ASCII text every second byte is zero.
        sample = self.data[:4096]
        if sample.count(0) * 3 >= len(sample):
            if not any(sample[::2]) or sample[::2].count(0) > 4 * sample[1::2].count(0):
                return "utf-16-be"
            if sample[1::2].count(0) > 4 * sample[::2].count(0):
                return "utf-16-le"
        return None

    def _decode_mixed(self) -> tuple[str, str | None]:
        """Decode UTF-8 line by line; only the lines that are not UTF-8 go to the detector, all together."""
        lines = self.data.removeprefix(b"\xef\xbb\xbf").splitlines(keepends=True)
        texts = [_utf8_or_none(line) for line in lines]
        foreign = [index for index, text in enumerate(texts) if text is None]
        if not foreign:
            return "".join(text for text in texts if text is not None), None
        encoding = _detect(b"".join(lines[index] for index in foreign))
        for index in foreign:
            texts[index] = lines[index].decode(encoding, errors="replace")
        lines_read = "1 line is" if len(foreign) == 1 else f"{len(foreign)} lines are"
        note = f"{self.name}: {lines_read} not UTF-8 and read as {encoding}."
        return "".join(text or "" for text in texts), note


def _unpacked(data: bytes, path: Path) -> bytes:
    """Unpack a gzip archive, whatever its name says, to at most a byte more than the limit. Raises ProblemFileError."""
    damaged = ProblemFileError(f"{path.name} is a damaged gzip archive.", "Download or pack it again.")
    if not data.startswith(_GZIP):
        if path.suffix.lower() == ".gz" and _CONTROL.search(data[:4096]):
            raise damaged
        return data
    try:
        with gzip.open(BytesIO(data)) as file:
            return file.read(FILE_LIMIT + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise damaged from error


def _utf8_or_none(line: bytes) -> str | None:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _detect(sample: bytes) -> str:
    """Guess the encoding of bytes that are not UTF-8."""
    sample = sample[:_DETECTOR_SAMPLE]
    outside = bytes(byte for byte in sample if byte > 0x7F)
    western = outside.decode("cp1252", errors="replace")
    looks_western = len(outside) <= _OUTSIDE_ASCII_AT_MOST * len(sample) and sum(
        character in _WESTERN for character in western
    ) >= _WESTERN_AT_LEAST * len(western)
    if len(outside) >= _ENOUGH_TO_DETECT and not looks_western:
        best = charset_normalizer.from_bytes(sample).best()
        if best is not None:
            return best.encoding
    return "latin-1" if "\ufffd" in western else "cp1252"
