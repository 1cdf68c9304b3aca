"""Columns of a table, of numbers or of text, as one matrix; those with missing values are counted and refused."""

import numpy as np
from scipy import sparse

from fastreg.cli.errors import shown

# A table of one-hot columns is sparse where it would have more cells than this, and fewer than this share filled.
LARGE, FILLED = 10_000_000, 0.2
SHOWN_COLUMNS = 12
# As R, pandas, databases and the older archives write them.
MISSING = frozenset(("", "NA", "N/A", "NaN", "nan", "null", "NULL", "?"))


def missing_values(counts, n_rows):
    """What is said of missing values.

    Parameters
    ----------
    counts : dict of str to int
        Of missing values by name of the column; columns without any are passed over.
    n_rows : int

    Returns
    -------
    str
        Empty where none is missing.
    """
    found = [f"{shown(name)} {count}" for name, count in counts.items() if count]
    if not found:
        return ""
    more = f" and {len(found) - SHOWN_COLUMNS} more columns" if len(found) > SHOWN_COLUMNS else ""
    return (f"missing values, of {n_rows} rows: {', '.join(found[:SHOWN_COLUMNS])}{more}; fill them in, or leave such "
            "rows or columns out")


def matrix(columns, names):
    """Columns as a matrix, those of text as one column of 0 and 1 for each of their values.

    All values get a column, none is left out as the one the others are measured against: the penalty would depend on
    which that is.

    Parameters
    ----------
    columns : list of ndarray of shape (n_samples,)
        Numbers, or text.
    names : list of str

    Returns
    -------
    X : ndarray or CSC matrix of shape (n_samples, n_features)
        Sparse where it is large and hardly filled.
    names : list of str
        Of its columns: 'name=value' where there was text.
    notes : list of str
        What was done.
    """
    titles, told, parts = [], [], []
    for name, column in zip(names, columns):
        if column.dtype.kind == "f":
            titles.append(name)
            parts.append(column)
            continue
        values, codes = np.unique(column, return_inverse=True)
        titles += [f"{name}={value}" for value in values]
        told.append(f"{shown(name)} {len(values)}")
        parts.append((codes, len(values)))
    if told:
        more = f" and {len(told) - SHOWN_COLUMNS} more" if len(told) > SHOWN_COLUMNS else ""
        told = [f"text became columns of 0 and 1, one for each value: {', '.join(told[:SHOWN_COLUMNS])}{more}"]
    if not parts:
        return np.empty((0, 0)), titles, told
    n = len(parts[0][0] if isinstance(parts[0], tuple) else parts[0])
    filled = sum(n if isinstance(part, tuple) else np.count_nonzero(part) for part in parts)
    if n * len(titles) > LARGE and filled < FILLED * n * len(titles):
        return sparse.hstack([_sparse(part) for part in parts], format="csc"), titles, told
    X, start = np.zeros((n, len(titles)), order="F"), 0
    for part in parts:
        if isinstance(part, tuple):
            codes, width = part
            X[np.arange(n), start + codes] = 1
            start += width
        else:
            X[:, start] = part
            start += 1
    return X, titles, told


def _sparse(part):
    if not isinstance(part, tuple):
        return sparse.csc_matrix(part[:, None])
    codes, width = part
    return sparse.csr_matrix((np.ones(len(codes)), codes, np.arange(len(codes) + 1)), shape=(len(codes), width))
