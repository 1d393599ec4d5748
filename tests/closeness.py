"""How close is close enough: one rule for every test of a distribution.

A found figure is accepted within LIMIT standard errors of the expected one. The seeds are fixed, so that a test always
gives the same answer; were they not, a right program would fail a check in 7 of a million runs. What is wrong by 6.83
standard errors (LIMIT + 2.33) is found with a probability of 99%.
"""

from dataclasses import dataclass
from math import sqrt

import numpy as np

LIMIT = 4.5


@dataclass(frozen=True)
class Sample:
    """What is kept of one value a draw."""

    size: int
    mean: float
    variance: float
    error_of_variance: float
    low: float
    high: float

    @classmethod
    def of(cls, values):
        """Take the moments of an array."""
        squares = (values - values.mean()) ** 2
        variance = float(squares.mean())
        error = sqrt(squares.var() / values.size)
        return cls(values.size, float(values.mean()), variance, error, float(values.min()), float(values.max()))


def z_of_share(found, chance, draws):
    """Z of a share of draws against its exact chance."""
    return (found - chance) / sqrt(chance * (1 - chance) / draws)


def z_of_mean(sample, mean, variance):
    """Z of a mean of draws against its exact expectation, with the exact variance."""
    return (sample.mean - mean) / sqrt(variance / sample.size)


def z_of_variance(sample, variance, excess_kurtosis):
    """Z of the variance of draws against the exact one: its own variance is s^4 (k + 2) / n."""
    return (sample.variance - variance) / (variance * sqrt((excess_kurtosis + 2) / sample.size))


def z_of_two_shares(ours, our_draws, theirs, their_draws):
    """Z of the difference of two shares, both found by simulation."""
    both = (ours * our_draws + theirs * their_draws) / (our_draws + their_draws)
    return (ours - theirs) / sqrt(both * (1 - both) * (1 / our_draws + 1 / their_draws))


def z_of_two_means(ours, theirs):
    """Z of the difference of two means, both found by simulation."""
    return (ours.mean - theirs.mean) / sqrt(ours.variance / ours.size + theirs.variance / theirs.size)


def z_of_two_variances(ours, theirs):
    """Z of the difference of two variances, whose own errors are from fourth moments."""
    return (ours.variance - theirs.variance) / sqrt(ours.error_of_variance**2 + theirs.error_of_variance**2)


def is_close(z):
    """Whether a z, or every one of an array, is within the limit."""
    return bool(np.all(np.abs(z) < LIMIT))
