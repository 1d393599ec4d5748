"""Answers that are alike but for rounding: one kernel plays ledgers side by side, another one draw after the other."""

import math


def alike(found, expected, within=1e-9):
    """Whether two answers of plain Python hold the same, numbers within a part of the larger or of one."""
    if isinstance(expected, dict):
        return (
            isinstance(found, dict)
            and list(found) == list(expected)
            and all(alike(found[key], each, within) for key, each in expected.items())
        )
    if isinstance(expected, list):
        return len(found) == len(expected) and all(map(alike, found, expected, [within] * len(expected)))
    if isinstance(expected, float) and isinstance(found, float):
        return math.isclose(found, expected, rel_tol=within, abs_tol=within)
    return bool(found == expected)
