"""Read the bundled data set, or a table, svmlight or .npz file, and see what its target asks for.

Whatever is wrong with a file is said in one line.
"""

import warnings
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import sparse
from sklearn.datasets import load_diabetes
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from fastreg.cli.archive import read_npz
from fastreg.cli.arrow import read_arrow
from fastreg.cli.errors import DataError, shown
from fastreg.cli.files import COMPRESSED, ending
from fastreg.cli.svmlight import read_svmlight
from fastreg.cli.tables import read_csv

# Values of a target that are taken for classes.
MOST_CLASSES = 100
# So many columns without an entry are left out of a sparse X: every vector of coefficients would carry them.
EMPTY_COLUMNS = 1 << 20


class Data(NamedTuple):
    """X and a target.

    Attributes
    ----------
    name : str
        What it is, for the header.
    X : ndarray or sparse matrix of shape (n_samples, n_features)
        float32 or float64.
    y : ndarray of shape (n_samples,)
        float64; text as it is read, also where the model is multinomial, and -1 and 1 where it is logistic.
    notes : tuple of str
        What was guessed in reading it, to be told.
    model : str
        The name of a loss.
    names : sequence of length n_features or None
        Of the columns: text, or numbers where the file has no names. None numbers them from 0.
    classes : tuple of str
        Where the model is of classes, what they are called, in their order.
    """

    name: str
    X: object
    y: np.ndarray
    notes: tuple = ()
    model: str = "quadratic"
    names: object = None
    classes: tuple = ()

    def title(self, j):
        """What column j is called, as text."""
        name = j if self.names is None else self.names[j]
        return name if isinstance(name, str) else f"column {name}"


def load(options):
    """The data that are asked for.

    Parameters
    ----------
    options : argparse.Namespace
        file, target and categorical.

    Returns
    -------
    Data
    """
    if options.file:
        return load_file(options.file, options.target, options.categorical)
    if options.categorical:
        raise DataError("--categorical goes with a FILE that is a table")
    return load_bundled(options.target)


def load_bundled(target=None):
    """The diabetes study with every product of up to three of its ten measurements, standardised.

    Parameters
    ----------
    target : str, default=None
        Must be None: the data set has its own target.

    Returns
    -------
    Data
        442 patients, 285 features, disease progression after a year.
    """
    if target is not None:
        raise DataError("--target goes with a FILE; the bundled data set has its own target")
    bunch = load_diabetes()
    X, y, powers = bunch.data, bunch.target, PolynomialFeatures(degree=3, include_bias=False)
    products = powers.fit_transform(StandardScaler().fit_transform(X))
    name = "diabetes progression from all products of up to 3 of 10 measurements (bundled)"
    names = list(powers.get_feature_names_out(bunch.feature_names))
    return Data(name, np.asfortranarray(StandardScaler().fit_transform(products)), y, names=names)


def load_file(filename, target=None, categorical=False):
    """Read a file by its ending.

    Parameters
    ----------
    filename : str
        The file.
    target : str, default=None
        Column name or index of a table; name of the array in a .npz, by default ``y``.
    categorical : bool, default=False
        Whether columns of text of a table are taken as categories.

    Returns
    -------
    Data
        X and y, checked for shape.
    """
    path = Path(filename)
    suffix = ending(path)
    reader = READERS.get(suffix)
    if reader is None:
        raise DataError(f"{filename}: unknown ending {suffix!r}; known are {', '.join(READERS)}, and these with "
                        f"{' or '.join(COMPRESSED)}")
    if categorical and suffix not in TABLES:
        raise DataError(f"{filename}: --categorical goes with a table ({', '.join(TABLES)})")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what numpy thinks of an archive's age, say
            if not (path.is_file() or path.is_dir()) and path.exists():
                raise DataError("no regular file, and it is read more than once: save the data first")
            more = [categorical] if suffix in TABLES else []
            return _checked(filename, *reader(path, target, *more))
    except DataError as error:
        raise DataError(f"{filename}: {error}") from error
    except MemoryError as error:
        raise DataError(f"{filename}: not enough memory ({error or 'to read it'})") from error
    except OSError as error:
        raise DataError(f"{filename}: {error.strerror or error}") from error
    except (EOFError, zlib.error) as error:
        raise DataError(f"{filename}: damaged ({error})") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{filename}: not a text file in UTF-8") from error


def modelled(data, model=None):
    """The data as a loss wants them.

    Parameters
    ----------
    data : Data
    model : str or None
        The name of a loss. None is 'logistic' where the target has two values, 'multinomial' where it is text of more,
        and a note says so; otherwise 'quadratic'.

    Returns
    -------
    Data
        Of a loss of two classes, the target is 1 for the second of the two values in their order, and -1.
    """
    values = np.unique(data.y)
    first, last = values[[0, -1]]
    binary, text = len(values) == 2, data.y.dtype.kind == "U"
    low, high = (shown(str(value)) if text else f"{value:g}" for value in (first, last))
    if (text and not binary and model is None) or model == "multinomial":
        if len(values) > MOST_CLASSES:
            raise DataError(f"{data.name}: the target has {len(values)} values, such as {low} and {high}: classes are "
                            f"at most {MOST_CLASSES}")
        told = f"the target has {len(values)} values, from {low} to {high}: a multinomial regression"
        return data._replace(model="multinomial", notes=data.notes if model else (*data.notes, told),
                             classes=tuple(str(value) if text else f"{value:g}" for value in values))
    if text and not binary:
        raise DataError(f"{data.name}: the target is text of more than two values, such as {low} and {high}: it takes "
                        "--model multinomial")
    if text and model not in (None, *TWO_CLASSES):
        raise DataError(f"{data.name}: the target is text, {low} and {high}, where --model {model} takes numbers")
    if model is None and binary:
        model = "logistic"
        other = "" if text else " (--model quadratic for least squares)"
        data = data._replace(notes=(*data.notes, f"the target has two values, {low} and {high}: a logistic regression "
                                                 f"of {high}{other}"))
    if model not in TWO_CLASSES:
        return data._replace(model=model or "quadratic")
    if not binary:
        raise DataError(f"{data.name}: --model {model} takes a target of two values, and this has more, from {low} to "
                        f"{high}")
    classes = tuple(str(value) if text else f"{value:g}" for value in values)
    return data._replace(model=model, y=np.where(data.y == last, 1.0, -1.0), classes=classes)


def _checked(filename, X, y, names, notes):
    """Shapes and types, and a target that varies."""
    if X.ndim != 2 or y.ndim != 1:
        raise DataError(f"X must have two dimensions and the target one, got {X.shape} and {y.shape}")
    if X.shape[0] != y.shape[0]:
        raise DataError(f"X has {X.shape[0]} rows and the target has {y.shape[0]}")
    if X.dtype.kind not in "fiub" or y.dtype.kind not in "fiubU":
        raise DataError(f"X and the target must be numbers, got {X.dtype} and {y.dtype}")
    X, names, more = _occupied(X, names)
    if 0 in X.shape:
        raise DataError(f"no data ({X.shape[0]} rows, {X.shape[1]} features)")
    if X.dtype not in (np.float32, np.float64):
        X = X.astype(np.float64)
    y = y if y.dtype.kind == "U" else y.astype(np.float64)
    # A constant target would make every relative figure 0/0.
    if np.all(y == y[0]):
        raise DataError("the target is constant, there is nothing to fit")
    return Data(filename, X, y, (*notes, *more), names=names)


def _occupied(X, names):
    """X and names without the empty columns, and a word about it, if more than `EMPTY_COLUMNS` are empty."""
    # There are no more columns with entries than entries.
    if not sparse.issparse(X) or X.shape[1] - X.nnz <= EMPTY_COLUMNS:
        return X, names, []
    entries = X.tocoo()
    used, columns = np.unique(entries.col, return_inverse=True)
    told = f"of {X.shape[1]} columns {len(used)} hold entries: the others are left out"
    X = sparse.csr_matrix((entries.data, (entries.row, columns)), shape=(X.shape[0], len(used)))
    return X, [names[int(j)] for j in used], [told]


# Losses of them.
TWO_CLASSES = ("logistic", "squared_hinge")
TABLES = {
    ".csv": read_csv,
    ".tsv": read_csv,
    ".parquet": read_arrow,
    ".pq": read_arrow,
    ".arrow": read_arrow,
    ".feather": read_arrow,
}
READERS = TABLES | {
    ".svm": read_svmlight,
    ".svmlight": read_svmlight,
    ".libsvm": read_svmlight,
    ".txt": read_svmlight,
    ".npz": read_npz,
}
