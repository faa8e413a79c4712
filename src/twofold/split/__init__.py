"""Ways to hold data out, and the check that nothing leaks."""

from __future__ import annotations

from twofold.split._split import Split, from_parts, held_out
from twofold.split.at_random import fixed_train, k_fold, random
from twofold.split.by_sequence import last_basket, last_trajectories
from twofold.split.by_time import default, last_fraction, leave_last, temporal
from twofold.split.cold_start import cold_items, cold_users, user_disjoint
from twofold.split.leaks import Leak, check_leaks, find_leaks

__all__ = [
    "Leak",
    "Split",
    "check_leaks",
    "cold_items",
    "cold_users",
    "default",
    "find_leaks",
    "fixed_train",
    "from_parts",
    "held_out",
    "k_fold",
    "last_basket",
    "last_fraction",
    "last_trajectories",
    "leave_last",
    "random",
    "temporal",
    "user_disjoint",
]
