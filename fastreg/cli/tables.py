"""CSV: the delimiter, the header, the column that only counts rows, and every fault with its line and column.

Lines are those of the file: numbered from 1, the header included.
"""

import csv
import math
import re
from array import array
from contextlib import suppress
from itertools import chain, islice

import numpy as np

from fastreg.cli.columns import MISSING, matrix, missing_values
from fastreg.cli.errors import DataError, shown
from fastreg.cli.files import opened

DELIMITERS = ",;\t|"
SHOWN_NAMES, SHOWN_LENGTH = 12, 40
# What pandas writes, and what it makes of that when it reads the file and writes it again.
NO_NAME = re.compile(r"(Unnamed: \d+(\.\d+)*)?")


class _Missing(DataError):
    """A cell without a value."""


def read_csv(path, target, categorical=False):
    """Read a table of numbers; the target may be labels.

    A first line of numbers is data and the columns have their numbers for names, unless it counts 0, 1, 2, ... as
    pandas does for a frame without names, or the target is given by one of its values.  A column without a name that
    counts rows is left out.

    Parameters
    ----------
    path : Path
        The file, in UTF-8.
    target : str or None
        Name or number of the target's column.
    categorical : bool, default=False
        Whether other columns of text are taken as categories, or refused.

    Returns
    -------
    X : ndarray (with categories it may be a CSC matrix) of shape (n_samples, n_features)
        The other columns.
    y : ndarray of shape (n_samples,)
        The target: numbers, or text where that of the first row is no number.
    names : list of str
        Of the columns of X.
    notes : list of str
        What was guessed.
    """
    delimiter = _delimiter(path)
    with _opened(path) as file:
        rows = _rows(file, delimiter)
        line, cells = next(rows, (1, []))
        if not cells:
            raise DataError("no data (the file has no lines)")
        names, has_header, notes = _header(cells, target)
        column = column_of(names, target, has_header)
        values, y = array("d"), array("d")
        line, cells = next(rows, (0, [])) if has_header else (line, cells)
        if not line:
            raise DataError("no data (a header and no rows)")
        if categorical:
            return _with_categories(chain([(line, cells)], rows), names, column, notes)
        labels = {} if cells[column:] and cells[column].strip() and not _is_number(cells[column]) else None
        try:
            _read_rows(chain([(line, cells)], rows), names, column, labels, values, y)
        except _Missing as error:
            counted = _count_missing(path, delimiter, names, has_header)
            raise DataError(f"{error}; {counted}") from error
    X = np.frombuffer(values).reshape(len(y), len(names) - 1) if values else np.empty((len(y), 0))
    del names[column]
    X, names, more = _without_index(X, names)
    y = np.frombuffer(y)
    return X, y if labels is None else np.array(list(labels))[y.astype(np.intp)], names, notes + more


def _opened(path):
    return opened(path, "rt", newline="", encoding="utf-8-sig")


def _rows(file, delimiter):
    """First line and cells of every row that is not blank."""
    reader = csv.reader(file, delimiter=delimiter, skipinitialspace=True)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise DataError(f"line {line}: {error} (a quote without its partner?)") from error
        if cells is None:
            return
        if len(cells) > 1 or any(map(str.strip, cells)):
            yield line, cells


def _delimiter(path):
    """The delimiter by which the first two rows have as many cells, the most of them."""

    def score(delimiter):
        widths = []
        # By another delimiter a line may be one giant cell, an error; by the right one, reading it says so again.
        with _opened(path) as file, suppress(DataError):
            widths.extend(len(cells) for _, cells in islice(_rows(file, delimiter), 2))
        return len(widths) == 2 and 1 < widths[0] == widths[1], max(widths[:1], default=0)

    return max(DELIMITERS, key=score)


def _header(cells, target):
    """Names of the columns, whether the first line gave them, and what to tell about it."""
    names = [cell.strip() for cell in cells]
    numbers = [str(j) for j in range(len(names))]
    if not all(_is_number(name) or not name for name in names):
        told = "the first line is taken as names of columns, though all but one of them are numbers"
        return names, True, [told] if len(names) > 2 and sum(map(_is_number, names)) == len(names) - 1 else []
    if names == numbers or names == ["", *numbers[:-1]]:
        return names, True, ["the first line counts 0, 1, 2, ...: it is taken as the names of the columns"]
    if target in names and _position(target, len(names)) is None:
        return names, True, []
    return numbers, False, ["the first line holds only numbers: it is taken as data, the columns are numbered from 0"]


def _position(text, width):
    """The column of that number, counted from 0, or from the end if negative; None if there is none."""
    return int(text) % width if re.fullmatch(r"-?\d{1,9}", text) and -width <= int(text) < width else None


def column_of(names, target, has_header):
    """Position of the target column, given by name or, if no name matches, by number.

    Parameters
    ----------
    names : list of str
    target : str or None
    has_header : bool
        Whether the file gave the names.

    Returns
    -------
    int
    """
    columns = ", ".join(name[:SHOWN_LENGTH] for name in names[:SHOWN_NAMES]) + ", ..." * (len(names) > SHOWN_NAMES)
    if not has_header:
        columns += " (the first line holds only numbers)"
    if target is None:
        raise DataError(f"name the target with --target COLUMN; columns: {columns}")
    if names.count(target) == 1:
        return names.index(target)
    if target in names:
        raise DataError(f"{names.count(target)} columns are named {shown(target)}; give --target by number")
    position = _position(target, len(names))
    if position is None:
        what = f"number {shown(target)[1:-1]} of {len(names)}, counted from 0" if _is_number(target) else shown(target)
        raise DataError(f"no column {what}; columns: {columns}")
    return position


def _read_rows(rows, names, column, labels, values, y):
    """Append the rows to the features and to the target, of which `labels`, if there are any, gives numbers."""
    width = len(names)
    for line, cells in rows:
        if labels is not None and len(cells) == width and cells[column].strip() not in MISSING:
            cells[column] = str(labels.setdefault(cells[column].strip(), len(labels)))
        try:
            numbers = list(map(float, cells))
        except ValueError:
            numbers = [math.nan]
        # float() reads 1_000, and a sum that overflows is no fault: the cells are looked at one by one only here.
        if len(numbers) != width or not math.isfinite(sum(numbers)) or "_" in "".join(cells):
            _check_row(line, cells, names)
        y.append(numbers.pop(column))
        values.extend(numbers)


def _count_missing(path, delimiter, names, has_header):
    """What is said of all missing values of a file."""
    columns, n = [0] * len(names), 0
    with _opened(path) as file, suppress(DataError):
        for _, cells in islice(_rows(file, delimiter), int(has_header), None):
            n += 1
            columns = [count + (cell.strip() in MISSING) for count, cell in zip(columns, cells)]
    return missing_values(dict(zip(_titles(names), columns)), n)


def _titles(names):
    """Names, and numbers of columns that have none; one that comes again gets its number."""
    seen = set()
    return [f"column {j}" if not name or name in seen or seen.add(name) else name for j, name in enumerate(names)]


def _with_categories(rows, names, column, notes):
    """X, y, names and notes of a table in which columns may be text."""
    cells_of = [[] for _ in names]
    for line, cells in rows:
        if len(cells) != len(names):
            _check_row(line, cells, names)
        for cell, of_column in zip(cells, cells_of):
            of_column.append(cell.strip())
    n, titles = len(cells_of[0]), _titles(names)
    counts = {title: sum(map(MISSING.__contains__, cells)) for title, cells in zip(titles, cells_of)}
    if any(counts.values()):
        raise DataError(missing_values(counts, n))
    columns = []
    for title, cells in zip(titles, cells_of):
        numeric = all(map(_is_number, cells))
        columns.append(np.array(cells, dtype=np.float64 if numeric else str))
        if numeric and not np.isfinite(columns[-1]).all():
            raise DataError(f"column {shown(title)} is not finite in row {np.argmin(np.isfinite(columns[-1]))}")
    y = columns.pop(column)
    del names[column], titles[column]
    counting, told = _nameless(names, columns)
    kept = [j for j in range(len(names)) if j not in counting]
    X, titles, more = matrix([columns[j] for j in kept], [titles[j] for j in kept])
    return X if titles else np.empty((n, 0)), y, titles, notes + told + more


def _check_row(line, cells, names):
    """Raise for the first fault of a row, if there is one."""
    hint = " (a quote without its partner?)" if any("\n" in cell or "\r" in cell for cell in cells) else ""
    if len(cells) != len(names):
        raise DataError(f"line {line} has {len(cells)} values, the first line {len(names)}{hint}")
    for j, (name, cell) in enumerate(zip(names, cells)):
        title = f"column {shown(name)}" if name else f"column {j}, which has no name,"
        kind = _Missing if cell.strip() in MISSING else DataError
        if not _is_number(cell):
            what = shown(cell) if cell.strip() else "an empty cell"
            word = kind is DataError and not hint and cell.isprintable() and cell.strip()[0].isalpha()
            more = " (--categorical takes text as categories)" if word else hint
            raise kind(f"{title} is not numeric: {what} in line {line}{more}")
        if not math.isfinite(float(cell)):
            raise kind(f"{title} is not finite: {shown(cell)} in line {line}")


def _is_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text


def _without_index(X, names):
    """X and names without the columns that have no name and count rows, and what to tell about those without a name."""
    counting, notes = _nameless(names, X.T)
    kept = [title for j, title in enumerate(_titles(names)) if j not in counting]
    return (np.delete(X, counting, axis=1) if counting else X), kept, notes


def _nameless(names, columns):
    """Which columns have no name and count rows, and what to tell about those without a name."""
    nameless = [j for j, name in enumerate(names) if NO_NAME.fullmatch(name)]
    counting = [j for j in nameless if columns[j].dtype.kind == "f" and _counts(columns[j])]
    notes = []
    for j in nameless:
        title = f"a column named {names[j]!r}" if names[j] else "a column without a name"
        done = "counts rows and is left out" if j in counting else "is kept as a feature: it does not count rows"
        notes.append(f"{title} {done}")
    return counting, notes


def _counts(column):
    """Whether the values are whole numbers, each as far from the one before it."""
    if len(column) < 2:
        return False
    first, step = column[0], column[1] - column[0]
    return step != 0 and np.array_equal(np.rint([first, step]), [first, step]) and bool(np.all(np.diff(column) == step))
