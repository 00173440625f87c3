"""Status lists of 131,072 entries (Bitstring Status List 1.0): random indexes, set aside at ask time, never used again."""

from sqlmodel import Field, SQLModel


class StatusList(SQLModel, table=True):
    """One list; `version` rises when a bit is set."""

    __tablename__ = "status_list"

    n: int = Field(primary_key=True)
    version: int = 0
    reserved: int = 0


class StatusEntry(SQLModel, table=True):
    """An index that was set aside; the row stays for ever, so that it is never given twice."""

    __tablename__ = "status_entry"

    n: int = Field(primary_key=True)
    position: int = Field(primary_key=True)
    ended_at: str | None = None
