"""The conformance suite that every model of twofold passes, for models of your own as well.

Run it whole with `check_estimator`, or parametrise a test over ``CHECKS``::

    @pytest.mark.parametrize("check", twofold.testing.CHECKS, ids=lambda check: check.__name__)
    def test_conformance(check):
        check(MyModel(factors=4))

Each check takes an estimator, fits it on a small planted log, and raises ``AssertionError`` with one
sentence about what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable

from twofold.testing.answers import (
    check_allow_and_deny,
    check_batch_equals_single,
    check_empty_questions,
    check_explanations_are_faithful,
    check_ids_are_the_callers,
    check_ids_that_look_like_numbers,
    check_long_lists,
    check_similar_items,
    check_unknown_items,
    check_unknown_user_with_history,
    check_unknown_user_without_history,
)
from twofold.testing.content import (
    check_items_known_by_content,
    check_people_known_by_words_or_features,
)
from twofold.testing.contract import (
    check_fit_returns_a_model,
    check_folding_in_matches_the_user,
    check_hyperparameters,
    check_scores_are_inner_products,
)
from twofold.testing.levels import check_unknown_values_are_told
from twofold.testing.logs import COLUMNS, Estimator, planted_log
from twofold.testing.reasons import check_reasons_are_faithful
from twofold.testing.saving import check_saved_model_scores_alike
from twofold.testing.training import (
    check_degenerate_logs,
    check_inputs_are_not_changed,
    check_same_seed_same_bytes,
)

__all__ = ["CHECKS", "COLUMNS", "Estimator", "check_estimator", "planted_log"]

CHECKS: tuple[Callable[[Estimator], None], ...] = (
    check_hyperparameters,
    check_fit_returns_a_model,
    check_scores_are_inner_products,
    check_ids_are_the_callers,
    check_ids_that_look_like_numbers,
    check_unknown_user_with_history,
    check_unknown_user_without_history,
    check_unknown_items,
    check_empty_questions,
    check_long_lists,
    check_allow_and_deny,
    check_similar_items,
    check_explanations_are_faithful,
    check_batch_equals_single,
    check_folding_in_matches_the_user,
    check_inputs_are_not_changed,
    check_same_seed_same_bytes,
    check_degenerate_logs,
    check_items_known_by_content,
    check_people_known_by_words_or_features,
    check_reasons_are_faithful,
    check_unknown_values_are_told,
    check_saved_model_scores_alike,
)
"""Every check, in the order in which to read a failure."""


def check_estimator(estimator: Estimator) -> None:
    """Run every check on an estimator (an instance, with settings that fit in a second).

    Raises
    ------
    AssertionError
        With the name of the check and one sentence about the first thing that is wrong. Errors that
        the model itself raises are passed on.
    """
    for check in CHECKS:
        try:
            check(estimator)
        except AssertionError as error:
            raise AssertionError(f"{check.__name__}: {error}") from error
