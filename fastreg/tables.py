"""A path as people read it: a table in text, in HTML and as a DataFrame, and its certificate in one line."""
from html import escape

import numpy as np
import scipy.sparse as sp

MOST_ROWS = 12


def relative_gaps(path):
    """Duality gaps, or what there is of losses that are not convex, by half the null deviance: of least squares, by the
    objective at zero coefficients."""
    null = np.asarray(path.null_deviance)[..., None]
    gaps = path.dual_gaps if path.stationarities is None else path.stationarities
    return gaps / np.where(null > 0, null / 2, 1)


def columns(path, share=None, gaps=None):
    """(header, format, value of each alpha) of what a table of a path of one target shows.

    Parameters
    ----------
    path : Path
    share, gaps : ndarray of shape (n_alphas,) or None
        Of the deviance that is explained, and relative gaps, as somebody else has found them.
    """
    found = [("alpha", "12.6g", path.alphas)]
    if path.dual_gaps is None:
        return [*found, ("df", "9.2f", path.df), ("GCV", "12.6g", path.gcv),
                ("error bound", "12.1e", path.coef_bounds)]
    found += [("non-zeros", "9.0f", path.df),
              ("R^2" if path.datafit == "quadratic" else "D^2", "7.4f",
               path.deviance_explained if share is None else share)]
    if path.validation_deviances is not None:
        found.append(("validation", "12.6g", path.validation_deviances))
    return [*found, ("relative gap" if path.stationarities is None else "stationarity", "12.1e",
                     relative_gaps(path) if gaps is None else gaps)]


def cells(columns, most=MOST_ROWS):
    """(Headers, texts of some rows, evenly spaced) of a table, as wide as their columns."""
    n = len(columns[0][2])
    rows = np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(int))
    headers = [f"{header:>{form.partition('.')[0]}}" for header, form, _ in columns]
    return headers, [[format(values[k], form) for _, form, values in columns] for k in rows]


def lines(columns, most=MOST_ROWS):
    """A table as lines of text."""
    headers, rows = cells(columns, most)
    return ["  ".join(row) for row in (headers, *rows)]


def html(columns, most=MOST_ROWS):
    """The same as an HTML table."""
    headers, rows = cells(columns, most)
    right = ' style="text-align: right; padding: 0.1em 0.6em"'
    head = "".join(f"<th{right}>{escape(header.strip())}</th>" for header in headers)
    body = "".join(f"<tr>{''.join(f'<td{right}>{text.strip()}</td>' for text in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def headline(path):
    """What a path is, in one line."""
    n, ends = len(path.alphas), f"{path.alphas[0]:.6g}"
    ends = f"alpha from {ends} to {path.alphas[-1]:.6g}" if n > 1 else f"alpha {ends}"
    loss = "" if path.datafit == "quadratic" else f", {getattr(path.datafit, 'name', path.datafit)} loss"
    return (f"{'Ridge path' if path.dual_gaps is None else 'Path'} of {n} solution{'s' * (n > 1)}, {ends}; "
            f"{path.n_features_in_} features{loss}")


def certificate(path):
    """How far the worst solution may be off, and where that is known from."""
    bound = path.coef_bounds if path.dual_gaps is None else relative_gaps(path)
    bound = np.atleast_2d(bound).max(axis=0)
    if np.isnan(bound).all():
        return "no certificate: interpolated between solutions"
    worst = int(np.nanargmax(bound))
    text = (f"coefficients within {bound[worst]:.1e} of the exact ones" if path.dual_gaps is None
            else f"worst gap {bound[worst]:.1e} of half the null deviance" if path.stationarities is None
            else f"stationary, within {bound[worst]:.1e} of half the null deviance")
    text += f", at alpha={path.alphas[worst]:.6g}" if len(bound) > 1 else ""
    from_x = int(np.count_nonzero(path.certified_from == "X"))
    if from_x == len(bound):
        return f"{text}; from X itself"
    sums = "from sums of products that were held against X"
    return f"{text}; {sums}" if from_x == 0 else f"{text}; {from_x} from X itself, {len(bound) - from_x} {sums}"


def frame(coefs, names, alphas, targets=None, nonzero=False):
    """Coefficients as a pandas.DataFrame: features as rows, alphas as columns, what is not of any row left out.

    Parameters
    ----------
    coefs : ndarray or sparse array of shape (n_features, n_alphas), or one of each target
    names : ndarray of shape (n_features,) or None
        None numbers them.
    alphas : ndarray of shape (n_alphas,)
    targets : sequence or None
        What targets are called; None where there is one alone.
    nonzero : bool
        Leave out features whose coefficients are zero everywhere.
    """
    try:
        import pandas as pd
    except ImportError:
        raise ImportError("to_frame needs pandas: pip install pandas") from None
    if targets is not None:
        parts = [frame(of_target, names, alphas, nonzero=nonzero) for of_target in coefs]
        return pd.concat(parts, keys=targets, names=["target", "feature"])
    kept = np.arange(coefs.shape[0])
    if nonzero:
        kept = np.unique(coefs.nonzero()[0])
    values = coefs[kept].toarray() if sp.issparse(coefs) else coefs[kept]
    rows = pd.Index(kept if names is None else np.asarray(names)[kept], name="feature")
    return pd.DataFrame(values, index=rows, columns=pd.Index(alphas, name="alpha"))
