"""Parquet and Arrow (Feather) files, by pyarrow."""

import re

import numpy as np

from fastreg.cli.columns import matrix, missing_values
from fastreg.cli.errors import DataError, shown
from fastreg.cli.files import ending, opened
from fastreg.cli.tables import column_of

INDEX = re.compile(r"__index_level_\d+__")


def read_arrow(path, target, categorical):
    """Read a table of numbers, the target among them.

    Parameters
    ----------
    path : Path
        The file; .parquet or .pq, .arrow or .feather.
    target : str or None
        Name or number of the target's column; it may hold text.
    categorical : bool
        Whether other columns of text are taken as categories, or refused.

    Returns
    -------
    X : ndarray or CSC matrix of shape (n_samples, n_features)
        The other columns.
    y : ndarray of shape (n_samples,)
        The target: numbers, or text.
    names : list of str
        Of the columns of X.
    notes : list of str
        What was left out or made of text.
    """
    table = _table(path)
    names = list(table.column_names)
    index = [name for name in names if INDEX.fullmatch(name)]
    position = column_of(names, target, True)
    chosen = [j for j, name in enumerate(names) if j == position or name not in index]
    columns, counts = {}, {}
    for j in chosen:
        columns[j], counts[names[j]] = _values(names[j], table.column(j))
        if columns[j].dtype.kind == "U" and j != position and not categorical:
            raise DataError(f"column {shown(names[j])} is text: --categorical takes its values as categories")
    if any(counts.values()):
        raise DataError(missing_values(counts, table.num_rows))
    y = columns.pop(position)
    for j, values in columns.items():
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise DataError(f"column {shown(names[j])} is not finite in row {np.argmin(np.isfinite(values))}")
    X, titles, notes = matrix(list(columns.values()), [names[j] for j in columns])
    left = [f"the index that pandas wrote is left out: {', '.join(index)}"] if len(chosen) < len(names) else []
    return X if len(titles) else np.empty((len(y), 0)), y, titles, left + notes


def _table(path):
    try:
        import pyarrow
        from pyarrow import feather, parquet
    except ImportError:
        raise DataError(f"{ending(path)} files are read by pyarrow, which is not installed: pip install pyarrow"
                        ) from None
    read = parquet.read_table if ending(path) in (".parquet", ".pq") else feather.read_table
    try:
        with opened(path, "rb") as file:
            return read(file)
    except (pyarrow.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.strerror:
            raise
        raise DataError(f"not a readable {ending(path)} file: {str(error)[:120]}") from error


def _values(name, column):
    """A column as float64 or text, and how many of its values are missing."""
    from pyarrow import types

    if types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    kind = column.type
    if types.is_null(kind):
        return np.zeros(len(column)), len(column)
    if types.is_boolean(kind) or types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind):
        values = np.asarray(column.to_numpy(), dtype=np.float64)  # what is missing becomes NaN
        return values, int(np.count_nonzero(np.isnan(values)))
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return np.array(["" if text is None else text for text in column.to_pylist()], dtype=str), column.null_count
    raise DataError(f"column {shown(name)} holds {kind}, where numbers are needed")
