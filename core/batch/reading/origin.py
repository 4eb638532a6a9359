"""Records where the problems of a batch come from, so that others can find them."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class ProblemFile(BaseModel):
    model_config = ConfigDict(frozen=True)

    name: str = Field(description="In a folder, its path inside the folder.")
    sha256: str = Field(description="Of the file as it is stored, in hexadecimal digits.")


class ProblemOrigin(BaseModel):
    """The files of the problems, and the data set that they are from."""

    model_config = ConfigDict(frozen=True)

    data_set: str = Field(
        "", description="Of the Hub, with its commit: hf:OWNER/NAME@COMMIT:SPLIT; empty: no data set."
    )
    files: tuple[ProblemFile, ...] = ()
