"""Opens one file of problems: decompresses it, and decodes its text.

The limits allow large data sets, and keep a hostile file from filling the memory.
"""

import gzip
import hashlib
import stat
import zlib
from dataclasses import dataclass, field
from functools import cached_property
from io import BytesIO
from pathlib import Path

from baton_reasoning.core.errors import ProblemFileError

FILE_LIMIT = 256 * 1024 * 1024
"""Most bytes of one file, after decompression."""
FIELD_LIMIT = 1_000_000
"""Most characters of one field; a row with a longer one is rejected."""

_GZIP = b"\x1f\x8b"
_BYTE_ORDER_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
# Files that people drop by mistake: first bytes, what it is, what to do.
_FOREIGN = (
    (b"PK\x03\x04", "a zip archive or a spreadsheet", "Unpack it, or save the sheet as CSV."),
    (b"\xd0\xcf\x11\xe0", "an old Office document", "Save it as CSV."),
    (b"%PDF", "a PDF", "Copy its problems into a text file, one a line."),
    (b"GGUF", "a model file", "Open it on the models page."),
    (b"SQLite format 3", "a database", "Export the table as CSV."),
    (b"PAR1", "a Parquet file", "Give it the ending .parquet."),
)


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
        """Decode UTF-8, UTF-16 with a byte order mark or, if it is neither, Windows-1252, which a note then says."""
        marked = next((encoding for mark, encoding in _BYTE_ORDER_MARKS if self.data.startswith(mark)), None)
        try:
            return self.data.decode(marked or "utf-8"), None
        except UnicodeDecodeError as error:
            if marked:
                raise ProblemFileError(
                    f"{self.name} starts as {marked.upper()} but is broken further on.", "Save it again as UTF-8."
                ) from error
        try:
            return self.data.decode("cp1252"), f"{self.name} is not UTF-8 and was read as Windows-1252."
        except UnicodeDecodeError as error:
            raise ProblemFileError(
                f"{self.name} is neither UTF-8 nor Windows-1252.", "Save it again as UTF-8."
            ) from error


def _unpacked(data: bytes, path: Path) -> bytes:
    """Unpack a gzip archive, whatever its name says, to at most a byte more than the limit. Raises ProblemFileError."""
    if not data.startswith(_GZIP):
        return data
    try:
        with gzip.open(BytesIO(data)) as file:
            return file.read(FILE_LIMIT + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ProblemFileError(f"{path.name} is a damaged gzip archive.", "Download or pack it again.") from error
