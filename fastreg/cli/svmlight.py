"""svmlight files.  scikit-learn's reader stops at indices of 2^31 and says of no fault in which line it is."""

import codecs
from array import array

import numpy as np
from scipy import sparse

from fastreg.cli.errors import DataError, shown
from fastreg.cli.files import opened

LARGEST_INDEX = 2**63 - 1


def read_svmlight(path, target):
    """Read ``target index:value index:value ...`` lines; comments and ``qid:`` are passed over.

    Indices count from 1 if none is 0.

    Parameters
    ----------
    path : Path
        The file.
    target : str or None
        Must be None: each line has its target.

    Returns
    -------
    X : CSR matrix of shape (n_samples, n_features)
        The values.
    y : ndarray of shape (n_samples,)
        The targets.
    names : range
        Indices of the columns, as the file numbers them.
    notes : list of str
        Empty: nothing was guessed.
    """
    if target is not None:
        raise DataError("svmlight files carry their target; leave --target out")
    y, columns, values, ends, lines = array("d"), array("q"), array("d"), array("q", [0]), array("q")
    with opened(path, "rb") as file:
        for line, text in enumerate(file, 1):
            words = _words(text, first=line == 1)
            if not words:
                continue
            _read_words(words, line, y, columns, values)
            ends.append(len(columns))
            lines.append(line)
    if not y:
        raise DataError("no data (the file has no lines)")
    y, columns, values, ends = (
        np.frombuffer(part, part.typecode) if part else np.empty(0, part.typecode)
        for part in (y, columns, values, ends)
    )
    _check(y, columns, values, ends, lines)
    first = int(columns.min(initial=1) > 0)
    if first:
        columns -= 1
    width = int(columns.max(initial=-1)) + 1
    X = sparse.csr_matrix((values, columns, ends), shape=(len(y), width))
    return X, y, range(first, first + width), []


def _words(text, first):
    """The target and the index:value words of a line."""
    words = (text.removeprefix(codecs.BOM_UTF8) if first else text).partition(b"#")[0].split()
    return words[:1] + words[2:] if words[1:] and words[1].startswith(b"qid:") else words


def _read_words(words, line, y, columns, values):
    """Append a line's target and entries."""
    try:
        pairs = [word.split(b":") for word in words[1:]]
        y.append(float(words[0]))
        columns.extend([int(index) for index, _ in pairs])
        values.extend([float(value) for _, value in pairs])
        wrong = b"_" in b"".join(words)  # float() reads 1_000
    except (ValueError, OverflowError):
        wrong = True
    if wrong:
        raise DataError(f"not in svmlight format: line {line}: {_fault(words)}")


def _fault(words):
    """What is wrong with a line that could not be read."""
    if not _is(float, words[0]):
        return f"the target {shown(words[0])} is not a number"
    for word in words[1:]:
        index, colon, value = word.partition(b":")
        if not (colon and _is(int, index) and _is(float, value)):
            return f"{shown(word)} is not index:value"
        if abs(int(index)) > LARGEST_INDEX:
            return f"index {shown(index)} is beyond 2^63 - 1; number the features that occur from 1"
    raise AssertionError("every word is in order")


def _is(kind, word):
    try:
        kind(word)
    except ValueError:
        return False
    return b"_" not in word


def _check(y, columns, values, ends, lines):
    """Raise for the first target or value that is not finite, and the first index that is negative or out of order."""

    def line(k):
        return f"line {lines[np.searchsorted(ends, k, side='right') - 1]}"

    for row in np.flatnonzero(~np.isfinite(y)):
        raise DataError(f"line {lines[row]}: the target is {y[row]}")
    for k in np.flatnonzero(~np.isfinite(values)):
        raise DataError(f"{line(k)}: the value of index {columns[k]} is {values[k]}")
    for k in np.flatnonzero(columns < 0):
        raise DataError(f"not in svmlight format: {line(k)}: index {columns[k]} is negative")
    follows = np.ones(len(columns), dtype=bool)
    follows[ends[:-1][ends[:-1] < len(columns)]] = False
    for k in np.flatnonzero(follows[1:] & (np.diff(columns) <= 0)) + 1:
        message = f"index {columns[k]} comes after {columns[k - 1]}; in a line they must increase"
        raise DataError(f"not in svmlight format: {line(k)}: {message}")
