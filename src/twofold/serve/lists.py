"""Lists that are not simply a version's best: drawn with known chances, or interleaved from two versions.

Both stand in the place of a `Served` while one question is answered. What is drawn depends on the salts, the unit
and the request id alone, so that the same request of the same person gets the same list.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from twofold.online.assign import coin
from twofold.online.interleave import A, B, balanced, team_draft
from twofold.online.list_policies import Epsilon, Softmax
from twofold.serve.histories import LiveHistories
from twofold.serve.schemas import Question
from twofold.serve.served import Answer, Served
from twofold.serve.variants import Trace
from twofold.typing import Id

MIX = {"team_draft": team_draft, "balanced": balanced}


class Answers(Protocol):
    """What answers a question."""

    @property
    def version(self) -> int:
        """Number of the version."""
        ...

    @property
    def name(self) -> str:
        """Class of its model."""
        ...

    def asked(self, question: Question, live: LiveHistories) -> Any:
        """Translate a question."""
        ...

    def is_quick(self, question: Question) -> bool:
        """Say whether it is answered in less time than handing it to another thread takes."""
        ...

    def of_asked(self, asked: Any, question: Question) -> Answer:
        """Return the list of a translated question."""
        ...


@dataclass(frozen=True)
class Explorer:
    """Draws lists from the best candidates of a version."""

    served: Served
    policy: Epsilon | Softmax
    draws: tuple[str, ...]
    """What the draw depends on."""

    @property
    def version(self) -> int:
        """Number of the version."""
        return self.served.version

    @property
    def name(self) -> str:
        """Class of its model."""
        return self.served.name

    def asked(self, question: Question, live: LiveHistories) -> Any:
        """Translate a question."""
        return self.served.asked(question, live)

    def is_quick(self, question: Question) -> bool:
        """Say whether it is answered in less time than handing it to another thread takes."""
        return self.served.is_quick(question)

    def of_asked(self, asked: Any, question: Question) -> Answer:
        """Return a list that was drawn; one that is asked to be diverse is left as it is, without chances."""
        if question.diversity:
            return self.served.of_asked(asked, question)
        wide = question.model_copy(update={"k": max(question.k, self.policy.candidates)})
        found = self.served.of_asked(asked, wide)
        if not found.items:
            return found
        drawn = self.policy.draw(found.scores, question.k, coin(*self.draws))
        rows = drawn.places.tolist()
        return Answer(
            [found.items[row] for row in rows],
            [found.scores[row] for row in rows],
            [found.sources[row] for row in rows],
            found.source,
            Trace(propensities=drawn.propensities.tolist(), candidates=found.items),
            found.notes,
        )


@dataclass(frozen=True)
class Mixer:
    """Interleaves the lists of two versions."""

    a: Served
    b: Served
    method: str
    draws: tuple[str, ...]
    """What the coin depends on."""

    @property
    def version(self) -> int:
        """Number of the control's version."""
        return self.a.version

    @property
    def name(self) -> str:
        """Class of the control's model."""
        return self.a.name

    def asked(self, question: Question, live: LiveHistories) -> Any:
        """Translate a question for both."""
        return self.a.asked(question, live), self.b.asked(question, live)

    def is_quick(self, question: Question) -> bool:
        """Say whether both answer in less time than handing it to another thread takes."""
        return self.a.is_quick(question) and self.b.is_quick(question)

    def of_asked(self, asked: Any, question: Question) -> Answer:
        """Return the mixed list; the score of an item is that of the version that it came from."""
        lists = self.a.of_asked(asked[A], question), self.b.of_asked(asked[B], question)
        # An id that one model has as a number and the other as a text is one item.
        texts: list[list[Id]] = [[str(item) for item in one.items] for one in lists]
        mixed = MIX[self.method](texts[A], texts[B], question.k, coin(*self.draws))
        rows = [{item: row for row, item in enumerate(one)} for one in texts]
        picked: list[tuple[int, int]] = []
        for item, team in zip(mixed.items, mixed.teams, strict=True):
            side = B if team == B or item not in rows[A] else A
            picked.append((side, rows[side][item]))
        versions = [self.b.version if side == B else self.a.version for side, _ in picked]
        one, other = lists[A].source, lists[B].source
        return Answer(
            [lists[side].items[row] for side, row in picked],
            [lists[side].scores[row] for side, row in picked],
            [lists[side].sources[row] for side, row in picked],
            one if one == other else f"{one}+{other}",
            Trace(teams=mixed.teams, ranking_a=texts[A], ranking_b=texts[B], versions=versions),
            tuple(dict.fromkeys(lists[A].notes + lists[B].notes)),
        )


def plain(answer: Answer, k: int) -> Answer:
    """Return what the version would have listed by itself: what a shadow is compared with."""
    trace = answer.trace
    if trace is None:
        return answer
    own = trace.ranking_a if trace.ranking_a is not None else trace.candidates or answer.items
    return answer._replace(items=own[:k])
