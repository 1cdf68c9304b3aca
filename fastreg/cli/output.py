"""The model as a file: JSON with all that was asked and found, or a CSV of coefficients."""

import csv
import io
import json
from pathlib import Path

import numpy as np

import fastreg
from fastreg.cli.errors import DataError

ASKED = ("file", "target", "model", "l1_ratio", "n_alphas", "eps", "tol", "cv", "categorical", "threads")


def check_output(filename, option, endings):
    """Refuse a file that cannot be written before the work, not after it.

    Parameters
    ----------
    filename : str
    option : str
        Which option names it.
    endings : tuple of str
        Those it may have.
    """
    path = Path(filename)
    if path.suffix.lower() not in endings:
        raise DataError(f"{option} cannot write {filename!r}: the file must end in {' or '.join(endings)}")
    if not path.parent.is_dir():
        raise DataError(f"{option} cannot write {filename!r}: there is no such folder")


def write_text(filename, text):
    """Write a file, in UTF-8.

    Parameters
    ----------
    filename : str
    text : str
    """
    try:
        Path(filename).write_text(text, encoding="utf-8", errors="backslashreplace", newline="")
    except OSError as error:
        raise DataError(f"cannot write {filename}: {error.strerror or error}") from error


def write_model(filename, data, model, options):
    """Write a model, by the ending of the file.

    Of coefficients those that are not zero are written. The CSV has a row of each and one of each intercept; alpha,
    l1_ratio, loss and version stand in every row, so that files can be put below each other.

    Parameters
    ----------
    filename : str
        Ends in .json or .csv.
    data : Data
    model : Model
    options : argparse.Namespace
        What was asked.
    """
    as_text = _csv if filename.lower().endswith(".csv") else _json
    write_text(filename, as_text(data, model, options))


def terms(data, model):
    """Names and values of the coefficients that are not zero, in the order of the columns.

    Parameters
    ----------
    data : Data
    model : Model

    Returns
    -------
    list of list of (str, float)
        One list for each output of the model.
    """
    return [[(data.title(j), float(coefs[j])) for j in np.flatnonzero(coefs)] for coefs in model.coefs]


def _csv(data, model, options):
    several = len(model.coefs) > 1
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["class"] * several + ["term", "coefficient", "alpha", "l1_ratio", "loss", "fastreg"])
    rest = [model.alpha, options.l1_ratio, data.model, fastreg.__version__]
    for k, (listed, intercept) in enumerate(zip(terms(data, model), model.intercepts.tolist())):
        head = [data.classes[k]] if several else []
        writer.writerows([*head, name, value, *rest] for name, value in [("(intercept)", intercept), *listed])
    return buffer.getvalue()


def _json(data, model, options):
    outputs = [{"intercept": intercept, "coefficients": [{"name": name, "value": value} for name, value in listed]}
               for listed, intercept in zip(terms(data, model), model.intercepts.tolist())]
    if len(outputs) > 1:
        outputs = {"outputs": [{"class": name, **found} for name, found in zip(data.classes, outputs)]}
    else:
        outputs = outputs[0]
    found = {
        "fastreg": fastreg.__version__,
        "asked": {name: getattr(options, name) for name in ASKED if hasattr(options, name)},
        "data": {"name": data.name, "n_samples": data.X.shape[0], "n_features": data.X.shape[1]},
        "loss": data.model,
        "classes": list(data.classes),
        "alpha": model.alpha,
        "l1_ratio": options.l1_ratio,
        "certificate": {"relative_gap": float(model.verdict.gap), "explained": float(model.verdict.r2)},
        "cross_validation": _curves(model.curves),
        **outputs,
    }
    return json.dumps(found, indent=1, ensure_ascii=False) + "\n"


def _curves(curves):
    """What alpha was chosen by; numbers that JSON does not know are null."""
    if curves is None:
        return None
    values, errors = ([float(value) if np.isfinite(value) else None for value in row[0]]
                      for row in (curves.values, curves.standard_error))
    return {"metric": curves.metric, "basis": curves.basis, "alphas": curves.alphas[0].tolist(), "values": values,
            "standard_errors": errors}
