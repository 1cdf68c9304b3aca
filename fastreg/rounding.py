"""Answers in float32, where X is stored so."""
import numpy as np


def single(*arrays):
    """Whether float32 holds arrays: their largest entries are zero or well inside its range."""
    tops = [np.max(np.abs(array), initial=0.0) for array in arrays]
    return all(top == 0 or 1e-30 < top < 1e38 for top in tops)


def toward_zero(array):
    """An array in float32, each entry at most as large: limits bracket zero, and must not be passed by rounding."""
    found = array.astype(np.float32)
    return np.where(np.abs(found) > np.abs(array), np.nextafter(found, np.float32(0)), found)
