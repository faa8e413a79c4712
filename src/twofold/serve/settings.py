"""What a server is told: one frozen declaration, read by the command line and by worker processes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from twofold.errors import ConfigError
from twofold.hyperparameters import hyperparameters

LOOPBACK = ("127.0.0.1", "localhost", "::1")
"""Addresses that only this machine reaches."""
STORE = "events.db"
"""The file of events in a state folder."""


@hyperparameters
class Settings:
    """How to serve."""

    state: str
    """Folder of what the server keeps: events, versions, added items."""
    model: str | None = None
    """A run folder or saved model to serve; None = the live version that the state names."""
    store: str | None = None
    """Database URL of the events; None = SQLite in the state folder."""
    host: str = "127.0.0.1"
    """Address to listen on."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    """Port to listen on; 0 = any free one."""
    keys: str | None = None
    """TOML file with lists of API keys: read, write, admin. Needed on a public address."""
    max_body: PositiveInt = 1_000_000
    """Bytes of the largest request body."""
    rate: NonNegativeFloat = 0.0
    """Requests a second of one client (key, or address without keys); 0 = no limit."""
    timeout: PositiveFloat = 10.0
    """Seconds in which a body has to arrive, and an answer to be made."""
    grace: PositiveFloat = 10.0
    """Seconds that requests under way get when the server is told to stop."""
    patience: PositiveFloat = 2.0
    """Seconds for which a write is tried again while the database is away."""
    kinds: tuple[str, ...] = ()
    """Kinds of events that make up a history; empty = all but impressions."""
    history: PositiveInt = 1000
    """Latest events of a person that are held in memory."""
    retention_days: NonNegativeFloat = 0.0
    """Days after which events are deleted; 0 = kept for ever."""
    poll: PositiveFloat = 0.5
    """Seconds between looks at what other processes wrote to the store."""
    experiment: str | None = None
    """TOML file of experiments that choose the version."""
    exposures: bool = False
    """Whether every list that is answered is logged; an experiment logs its own."""
    log_requests: bool = False
    """Whether every request is logged, beside those that fail."""
    metric: str | None = None
    """Metric that promotion compares; None = the first one of the reports."""
    min_coverage: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Promotion: least share of the live model's distinct items in the lists of the same people."""
    max_latency_ms: PositiveFloat = 100.0
    """Promotion: 95 of 100 lists have to be made within so many milliseconds."""
    index: Literal["auto", "exact", "hnsw"] = "auto"
    """What searches the items: measured and chosen, or one of them always."""
    index_recall: Annotated[float, Field(gt=0, le=1)] = 0.95
    """Least share of the exact lists that a graph (hnsw) has to find to be chosen."""
    workers: PositiveInt = 1
    """Processes that share the address, the store and the mapped model."""

    def __post_init__(self) -> None:
        """Refuse a public address without keys."""
        if self.host not in LOOPBACK and self.keys is None:
            raise ConfigError(
                f"{self.host} can be reached from other machines, and no API keys are set; "
                "name a file of keys with --keys, or listen on 127.0.0.1"
            )

    @property
    def url(self) -> str:
        """Database URL of the events."""
        return self.store or f"sqlite:///{Path(self.state).absolute() / STORE}"
