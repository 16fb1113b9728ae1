"""Percentiles, and how far they can be trusted."""

import random


def share(values, p):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(p * len(ordered)))]


def spread(values, p):
    """95 % bootstrap interval of a percentile."""
    draw = random.Random(1)
    again = sorted(share([draw.choice(values) for _ in values], p) for _ in range(2_000))
    return again[50], again[1_949]
