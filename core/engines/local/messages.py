"""The messages between the program and the process of a model: NamedTuples, pickled, over one pipe.

The process answers a request with the items that a session yields (engines/base.py), each beside the request's number.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from baton_reasoning.core.child_process import Connection
from baton_reasoning.core.engines.base import Continuation, DeviceShare, Judgement, Scores, WriteItem
from baton_reasoning.core.engines.control_tokens import PromptPiece
from baton_reasoning.core.models.load_options import LoadOptions
from baton_reasoning.core.models.sampling import Sampling

Run = tuple[int, ...] | str
"""Part of a body: ids of the model's own vocabulary, or a text to tokenise, which may be an `OwnTag`."""


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """What the process of a model gets: how to load the file, and what its header says that llama.cpp does not use."""

    path: str
    load: LoadOptions = field(default_factory=LoadOptions)
    supports_truncation: bool = True
    space_prefix: bool = False
    """The tokenizer puts a blank before every text (SentencePiece models of the Llama 2 kind)."""
    template: str = ""


# To the process --------------------------------------------------------------------------------------------------


class Open(NamedTuple):
    """Open a session, which gets the number of this request, at the end of a rendered prompt."""

    request: int
    prompt: tuple[PromptPiece, ...]


class Read(NamedTuple):
    """Bring a session to a text; then write `limit` tokens (0: none), or weigh `choices` as the next token.

    `length`: parts of the body. `base`: the session's last text is kept up to where a body of so many parts ended, and
    `runs` follow there; None: they follow the prompt. `written`: ids that follow the body.
    Tokens are sampled by the numbers of the stream `seed`, the first one by that at `position` (`number_at`).
    `plain_tokens`: ask for drafts (DraftsWanted) after so many tokens; None writes without.
    `score_from` scores what is read after so many bytes of the body, with `alternatives` at each position.
    `wants_entropy`: of each token that is written; alternatives bring it, too.
    `exact`: of what other sessions left in the KV cache, reuse only what this one would decode in the same batches.
    """

    session: int
    request: int
    runs: list[Run]
    limit: int = 0
    sampling: Sampling = Sampling()
    seed: int = 0
    position: int = 0
    alternatives: int = 0
    wants_entropy: bool = False
    question: str = ""
    choices: tuple[str, ...] = ()
    score_from: int | None = None
    length: int = 0
    base: int | None = None
    written: tuple[int, ...] = ()
    plain_tokens: int | None = None
    exact: bool = False


class WriteBranches(NamedTuple):
    """Write branches of the session's conversation side by side. Each has a number of its own as `request`; those of
    one text share the same `runs`."""

    session: int
    request: int
    branches: list[Read]


class Drafts(NamedTuple):
    """The answer to DraftsWanted: tokens to try in the next decode, or how many to write before the next question."""

    request: int
    ids: tuple[int, ...]
    plain_tokens: int


class Cancel(NamedTuple):
    """Stop a request. `at_once`: even in the middle of a decode (a person wants it); else after the token."""

    request: int
    at_once: bool = False


class CloseSession(NamedTuple):
    session: int


class Tokenize(NamedTuple):
    request: int
    text: str
    special: bool = False
    """Recognise control tokens."""


Question = Open | Read | WriteBranches | Tokenize
"""What is replied to."""
Request = Question | Drafts | Cancel | CloseSession


# From the process ------------------------------------------------------------------------------------------------


class LoadingProgress(NamedTuple):
    """The part of the model that has been read, 0 to 1."""

    fraction: float


class ModelLoaded(NamedTuple):
    """The model is ready. `threads` decode at most; `bos` and `eos` are the texts of these tokens."""

    threads: int
    shares: tuple[DeviceShare, ...]
    vocabulary_size: int
    bos: str
    eos: str


class LoadFailed(NamedTuple):
    reason: str


class Tokenized(NamedTuple):
    """Token ids of a prompt (answer to Open) or of a text (to Tokenize)."""

    ids: tuple[int, ...]


class DraftsWanted(NamedTuple):
    """A write waits for Drafts. Of the last decode with drafts: how many were tried and accepted, and its seconds;
    `plain_seconds` are those of a decode of one token (0: not known)."""

    request: int
    tried: int
    accepted: int
    seconds: float
    plain_seconds: float


class Failed(NamedTuple):
    """A request failed for a reason that is the request's own."""

    context_full: bool
    reason: str


AtLoading = LoadingProgress | ModelLoaded | LoadFailed
ResultItem = WriteItem | Judgement | Scores | Continuation
"""What a Read or WriteBranches yields: a Handoff does not say how the text was passed, Scores come in batches."""
ReplyItem = ResultItem | Tokenized | DraftsWanted | Failed
"""The last one of a Read or WriteBranches is an End or Failed; every other request has a single reply."""
Reply = tuple[int, ReplyItem]
"""The number of a request, and what is replied to it: a plain tuple, since there is one for each token."""

# The pipe --------------------------------------------------------------------------------------------------------


def send(connection: Connection, message: WorkerOptions | Request | AtLoading | list[Reply]) -> None:
    """Raises OSError if the other side is gone. Plain pickle: `Connection.send` takes five times as long a token."""
    connection.send_bytes(pickle.dumps(message, pickle.HIGHEST_PROTOCOL))


def receive(connection: Connection) -> Any:
    """The next message; raises EOFError or OSError if the other side is gone."""
    return pickle.loads(connection.recv_bytes())
