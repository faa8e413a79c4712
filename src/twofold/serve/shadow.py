"""A candidate that answers silently beside the live version, and where its lists differ."""

from __future__ import annotations

import hashlib
import time
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any

from twofold.errors import TwofoldError
from twofold.serve.histories import LiveHistories
from twofold.serve.schemas import Question
from twofold.serve.served import Answer, Served


def share_of(unit: str, salt: str) -> float:
    """Return a number in 0 ... 1 that depends on the unit and the salt alone, evenly spread.

    Example
    -------
    >>> share_of("42", "shadow") == share_of("42", "shadow")
    True
    """
    digest = hashlib.blake2b(f"{salt}\x1f{unit}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def unit_of(question: Question) -> str:
    """Return who a question is for, as far as it says."""
    if question.user is not None:
        return f"user:{question.user}"
    return f"said:{question.history}{question.words}{question.features}"


@dataclass
class Shadow:
    """What was seen since the candidate began."""

    served: Served
    share: float
    asked: int = 0
    same: int = 0
    same_first: int = 0
    failed: int = 0
    overlap: float = 0.0
    seconds: float = 0.0
    live_seconds: float = 0.0
    sources: dict[str, int] = field(default_factory=dict[str, int])
    faults: list[str] = field(default_factory=list[str])

    def takes(self, question: Question) -> bool:
        """Say whether the candidate gets a question: always the same people's."""
        return self.share >= 1 or share_of(unit_of(question), "shadow") < self.share

    def ask(
        self,
        question: Question,
        histories: LiveHistories,
        live: Answer,
        live_seconds: float,
        threads: Executor | None,
    ) -> None:
        """Ask the candidate too, beside the requests where there is a thread for it."""
        try:
            asked = self.served.asked(question, histories)
        except TwofoldError as error:
            self.note_failure(str(error))
            return

        def make() -> None:
            began = time.perf_counter()
            try:
                own = self.served.of_asked(asked, question)
            except TwofoldError as error:
                self.note_failure(str(error))
                return
            self.note(live, own, time.perf_counter() - began, live_seconds)

        if threads is None:
            make()
        else:
            threads.submit(make)

    def note(self, live: Answer, own: Answer, seconds: float, live_seconds: float) -> None:
        """Count one pair of answers."""
        self.asked += 1
        self.same += live.items == own.items
        self.same_first += live.items[:1] == own.items[:1]
        longest = max(len(live.items), len(own.items))
        self.overlap += len(set(live.items) & set(own.items)) / longest if longest else 1.0
        self.seconds += seconds
        self.live_seconds += live_seconds
        self.sources[own.source] = self.sources.get(own.source, 0) + 1

    def note_failure(self, sentence: str) -> None:
        """Count an answer that failed; the first few sentences are kept."""
        self.failed += 1
        if len(self.faults) < 10:
            self.faults.append(sentence)

    def report(self) -> dict[str, Any]:
        """Return the differences so far."""
        n = max(self.asked, 1)
        return {
            "version": self.served.version,
            "model": self.served.name,
            "share": self.share,
            "questions": self.asked,
            "failed": self.failed,
            "faults": self.faults,
            "same_list": self.same / n,
            "same_first": self.same_first / n,
            "overlap": self.overlap / n,
            "mean_ms": 1000 * self.seconds / n,
            "live_mean_ms": 1000 * self.live_seconds / n,
            "sources": self.sources,
        }
