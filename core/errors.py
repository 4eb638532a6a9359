"""The errors that a person may read, as one tree.

    BatonError
    ├── ModelFileError        a GGUF file that cannot be used: broken, truncated, unsupported, a shard missing
    ├── EngineError           a model cannot do what was asked
    │   ├── EngineLost        it was there and is gone (process died, connection broke); trying again may help
    │   ├── EngineRefused     it will not, however often one asks (wrong key, no such model, not capable)
    │   ├── Cancelled         it was stopped while it opened a session
    │   ├── ContextFull       prompt and answer no longer fit its context
    │   └── OutOfMemory       the device cannot hold the model or its context
    ├── NotApplicable         what was asked does not apply now; nothing has failed
    ├── Busy                  something else is in progress; it works once that has ended
    ├── ProblemFileError      a file of problems that cannot be read
    │   └── UnknownEncoding   it is text, and a person must name its encoding
    ├── SettingsError         a value that a person chose and that cannot be used
    ├── StoreError            conversations or runs that cannot be read or written
    │   └── WrittenElsewhere  another Baton writes this answer, or has taken it over
    └── DownloadError         the Hub or a download failed

An error is two sentences: what happened (and why), and what to do now. Code raises the narrowest class with
both; views show `str(error)`. Causes are chained with `raise … from`, for the log.
"""


class BatonError(Exception):
    """An error in two sentences: what happened, and what to do now (it may be empty)."""

    def __init__(self, message: str, advice: str = "") -> None:
        super().__init__(message, advice)
        self.message = message
        self.advice = advice

    def __str__(self) -> str:
        return f"{self.message} {self.advice}".strip()


class ModelFileError(BatonError):
    """A GGUF file that cannot be used; raised before any native code sees it."""


class EngineError(BatonError):
    """A model cannot do what was asked."""


class EngineLost(EngineError):
    """The engine was there and is gone. Opening it again may help; the text so far is not lost."""


class EngineRefused(EngineError):
    """The engine will not do this, however often it is asked."""


class Cancelled(EngineError):
    """A session was cancelled. Raised out of an engine only while the session is being opened."""

    def __init__(self) -> None:
        super().__init__("It was stopped.")


class ContextFull(EngineError):
    """Prompt and answer no longer fit the model's context."""


class OutOfMemory(EngineError):
    """The device cannot hold the model or its context."""


class NotApplicable(BatonError):
    """What was asked does not apply now, such as to continue a complete answer. Nothing has failed."""


class Busy(BatonError):
    """Something else is in progress. The same will work once that has ended."""


class ProblemFileError(BatonError):
    """A file of problems that cannot be read at all (single bad rows are reported, not raised)."""


class UnknownEncoding(ProblemFileError):
    """A file of problems whose encoding a person must name."""


class SettingsError(BatonError):
    """A value that a person chose and that cannot be used."""


class StoreError(BatonError):
    """Conversations or runs that cannot be read or written."""


class WrittenElsewhere(StoreError):
    """Another Baton writes this answer, or has taken it over. What it writes is never mixed with anything else."""


class DownloadError(BatonError):
    """The Hub could not be asked, or a download failed."""
