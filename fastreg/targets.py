"""Targets as a loss reads them: numbers, or labels of two classes as -1 and 1."""
import numpy as np
from sklearn.utils import check_array, column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from fastreg.inputs import as_floats


def two_classes(y):
    """(y as -1 and 1, the two labels in order: the second is 1).

    Raises
    ------
    ValueError, TypeError
        Where y holds another number of labels, what is not finite or what cannot be sorted.
    """
    check_classification_targets(y)
    y = column_or_1d(y)
    try:
        classes, codes = np.unique(y, return_inverse=True)
    except TypeError as error:
        raise TypeError(f"y holds labels that cannot be sorted, of several types or None: {error}.") from None
    if len(classes) < 2:
        raise ValueError(f"y must hold two classes, got one class: {classes[0]!r}.")
    if len(classes) > 2:
        raise ValueError("Only binary classification is supported: y must hold two classes. The type of the target is "
                         f"multiclass, of {len(classes)}.")
    return np.where(codes == 1, 1.0, -1.0), classes


def as_target(datafit, y):
    """(y as the datafit reads it, the two labels or None)."""
    if datafit.labels:
        return two_classes(y)
    datafit.check_y(y)
    return y, None


def check_offset(offset, n, name="offset"):
    """Offsets of the linear predictor as a float64 array of shape (n,), or None; a number is that of all rows."""
    if offset is None:
        return None
    array = check_array(np.atleast_1d(as_floats(offset, name)), dtype=np.float64, ensure_2d=False, input_name=name)
    if np.ndim(offset) == 0:
        array = np.full(n, array[0])
    if array.shape != (n,):
        raise ValueError(f"{name} must be a number or have shape ({n},), one for each sample, got {array.shape}.")
    return array
