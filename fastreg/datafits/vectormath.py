"""exp, log and their kin for Numba, of which loops over rows become vector instructions: plain arithmetic, no calls.

To two units in the last place; results below 1e-307 are 0. Loaded only with losses of the user's own.
"""
import math

import numpy as np
from numba import njit

TURNS, HIGH, LOW = 1 / math.log(2), 6.93147180369123816490e-01, 1.90821492927058770002e-10
SHIFT = 1.5 * 2.0**52                # added to a number, leaves its integer in the last bits
MOST, LEAST = 709.7, -708.3
ROOT = math.sqrt(0.5)
FACTORIALS = tuple(1 / math.factorial(k) for k in range(14))
ODD = tuple(2 / (2 * k + 1) for k in range(12))


@njit(error_model="numpy", fastmath={"contract"})
def _series(r):
    """exp(r) - 1 - r for |r| <= log(2) / 2, over r^2."""
    c = FACTORIALS
    r2 = r * r
    r4 = r2 * r2
    low = (c[2] + c[3] * r) + (c[4] + c[5] * r) * r2
    high = (c[6] + c[7] * r) + (c[8] + c[9] * r) * r2
    top = (c[10] + c[11] * r) + (c[12] + c[13] * r) * r2
    return low + (high + top * r4) * r4


@njit(error_model="numpy", fastmath={"contract"})
def _parts(x):
    """(r, 2^k) such that exp(x) = 2^k exp(r)."""
    z = x if x < MOST else MOST
    z = z if z > LEAST else LEAST
    turned = z * TURNS + SHIFT
    k = turned - SHIFT
    r = (z - k * HIGH) - k * LOW
    bits = (np.float64(turned).view(np.int64) + np.int64(1023)) << np.int64(52)
    return r, np.int64(bits).view(np.float64)


@njit(error_model="numpy")
def _ends(x, value, least):
    """A value, or what stands for it where x is too large, too small or no number."""
    value = np.inf if x > MOST else value
    value = least if x < LEAST else value
    return value if x == x else x


@njit(error_model="numpy", fastmath={"contract"})
def exp(x):
    """Of a float."""
    r, power = _parts(x)
    return _ends(x, (1 + (r + r * r * _series(r))) * power, 0.0)


@njit(error_model="numpy", fastmath={"contract"})
def expm1(x):
    """Of a float; exact where it is small."""
    r, power = _parts(x)
    return _ends(x, (r + r * r * _series(r)) * power + (power - 1), -1.0)


@njit(error_model="numpy", fastmath={"contract"})
def _log(m, k):
    """log(m 2^k) for m between the square roots of 1/2 and 2."""
    s = (m - 1) / (m + 1)
    c = ODD
    z = s * s
    z2 = z * z
    z4 = z2 * z2
    odd = ((c[1] + c[2] * z) + (c[3] + c[4] * z) * z2) + (((c[5] + c[6] * z) + (c[7] + c[8] * z) * z2)
                                                          + (c[9] + c[10] * z) * z4) * z4
    return k * HIGH + (2 * s + (s * z * odd + k * LOW))


@njit(error_model="numpy")
def _split(x):
    """(m, k) such that x = m 2^k, m between the square roots of 1/2 and 2, for normal numbers."""
    bits = np.float64(x).view(np.int64)
    m = np.int64((bits & np.int64(0x000FFFFFFFFFFFFF)) | np.int64(0x3FE0000000000000)).view(np.float64)
    e = np.int64(((bits >> np.int64(52)) & np.int64(0x7FF)) | np.int64(0x4330000000000000)).view(np.float64)
    k = e - (2.0**52 + 1022)
    low = m < ROOT
    return m + m if low else m, k - 1 if low else k


@njit(error_model="numpy")
def log(x):
    """Of a float; minus infinity at 0, and of what is smaller than normal numbers."""
    m, k = _split(x)
    value = _log(m, k)
    value = -np.inf if x < 2.3e-308 else value
    value = np.nan if x < 0 else value
    return value if x < np.inf else x


@njit(error_model="numpy")
def log1p(x):
    """Of a float; exact where it is small."""
    total = 1 + x
    m, k = _split(total)
    lost = (x - (total - 1)) / total
    value = _log(m, k) + lost
    value = x if total == 1 else value
    value = -np.inf if x <= -1 else value
    value = np.nan if x < -1 else value
    return value if x < np.inf else x
