"""Who answers a question: the version that its experiments say, or the live one where that cannot read what is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from twofold.errors import TwofoldError
from twofold.serve.asking import named
from twofold.serve.failures import refusal
from twofold.serve.lists import Answers, Explorer, Mixer
from twofold.serve.schemas import Question
from twofold.serve.served import Answer
from twofold.serve.variants import Assignment

if TYPE_CHECKING:
    from twofold.serve.live import Live


class Turn(NamedTuple):
    """One question, and what answers it."""

    question: Question
    assignment: Assignment
    served: Answers
    asked: Any
    """The question as `served` translated it."""
    notes: tuple[str, ...] = ()
    """Why it is not the version that the experiments say."""

    def answer(self) -> Answer:
        """Make the list."""
        made = self.served.of_asked(self.asked, self.question)
        return made._replace(notes=(*self.notes, *made.notes)) if self.notes else made


def turn(live: Live, question: Question, request_id: str) -> Turn:
    """Find what answers a question.

    Raises
    ------
    TwofoldError
        If the live version cannot read it.
    """
    question = named(live.base.users.ids, question)
    assignment = live.assigner.assign(question.user, question.session)
    served = pick(live, assignment, request_id)
    try:
        return Turn(question, assignment, served, served.asked(question, live.histories))
    except TwofoldError as error:
        if served is live.served:
            raise
        asked = live.served.asked(question, live.histories)
        which = f"the experiment {assignment.deciding!r}" if assignment.deciding else "an experiment"  # fmt: skip
        note = (
            f"{which} would answer with the variant {assignment.variant!r}, which cannot read the question "
            f"({refusal(error).message}): the live version answers, and the list does not count in the experiment"
        )
        return Turn(question, assignment.aside(), live.served, asked, (note,))


def pick(live: Live, assignment: Assignment, request_id: str) -> Answers:
    """Return what an assignment says shall answer a request."""
    served, draws = live.version(assignment.version), (*assignment.coin, request_id)
    if assignment.rival is not None:
        method, other = assignment.rival
        return Mixer(served, live.version(other), method, draws)
    if assignment.explore is not None:
        return Explorer(served, assignment.explore, draws)
    return served
