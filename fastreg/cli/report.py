"""The lines the command line prints."""

import numpy as np
from scipy import sparse

import fastreg
from fastreg import tables
from fastreg.cli.chosen import spreads

# Coefficients that are printed, and characters of their names.
SHOWN, LONGEST_NAME = 10, 40
MODELS = {"quadratic": "", "logistic": "logistic regression, ", "poisson": "Poisson regression, ",
          "multinomial": "multinomial regression, "}


def header_lines(data, n_alphas, l1_ratio, tol):
    """What is about to be fitted.

    Parameters
    ----------
    data : Data
        The data set.
    n_alphas : int
        Number of penalty values.
    l1_ratio : float
        Share of the l1 penalty.
    tol : float
        Target relative gap.

    Returns
    -------
    list of str
        The lines.
    """
    n, p = data.X.shape
    density = f"sparse, {data.X.nnz / (n * p):.3%} filled" if sparse.issparse(data.X) else "dense"
    model = MODELS.get(data.model, f"{data.model} loss, ")
    kind = model + {1: "lasso", 0: "ridge"}.get(l1_ratio, f"elastic net, l1_ratio {l1_ratio:g}")
    return [
        f"fastreg {fastreg.__version__}: {data.name}",
        f"{n} samples x {p} features ({density}, {data.X.dtype}); {kind}, {n_alphas} penalty values, "
        f"relative duality gap <= {tol:g}",
        "",
    ]


def path_lines(path, verdicts):
    """A dozen rows of the path, evenly spaced.

    Parameters
    ----------
    path : Path
        The path.
    verdicts : list of Verdict
        The referee's gap and R^2 for each penalty value, of other losses than the squared one D^2: the share of the
        null deviance that is explained.

    Returns
    -------
    list of str
        The lines.
    """
    gaps, shares = np.array(verdicts).T
    return tables.lines(tables.columns(path, shares, gaps))


def model_lines(data, model):
    """What was chosen, by what, and the largest coefficients by name.

    Coefficients are ordered by what one standard deviation of the column does: their own sizes depend on units.

    Parameters
    ----------
    data : Data
        X and the names.
    model : Model
        One solution of the path.

    Returns
    -------
    list of str
        The lines.
    """
    shown = largest(data, model)
    kept, others = np.count_nonzero(model.coefs), f" of {data.X.shape[1]}" if len(model.coefs) == 1 else ""
    lines = [""]
    if model.curves is None:
        lines.append(f"the last solution, alpha={model.alpha:.6g} (--cv chooses one)")
    else:
        lines.append(f"chosen by cross-validation: {choice(model.curves)}")
    intercepts = ", ".join(f"{value:.6g}" for value in model.intercepts[:SHOWN])
    lines.append(f"{kept}{others} coefficients are not zero; intercept {intercepts}" +
                 ", ..." * (len(model.intercepts) > SHOWN))
    if shown:
        names = [named(data, model, k, j) for k, j, *_ in shown]
        width = max(7, *map(len, names))
        lines += ["", f"{'largest':{width}}    coefficient  times std of column"]
        lines += [f"{name:{width}}  {value:>13.6g}  {effect:>19.6g}" for name, (*_, value, effect) in zip(names, shown)]
    return lines


def choice(curves):
    """Why cross-validation chose what it did, with the standard error, and whether the path should go on, in words.

    Parameters
    ----------
    curves : SelectionCurves

    Returns
    -------
    str
    """
    error, edge = curves.standard_error[curves.best], curves.at_edge
    text = f"{curves.reason[:-1]}, standard error {error:.2g})" if np.isfinite(error) else curves.reason
    if edge is None:
        return text
    more = ": give a smaller --eps" if edge == "smallest" else ""
    return f"{text}; this is the {edge} of the path, and a better one may lie beyond it{more}"


def largest(data, model):
    """The largest coefficients, each times the standard deviation of its column.

    Parameters
    ----------
    data : Data
        X and the names.
    model : Model
        One solution of the path.

    Returns
    -------
    list of (int, int, float, float)
        Output, column, coefficient, and what one standard deviation does: about ten that are not zero, the largest
        first.
    """
    columns = np.flatnonzero(model.coefs.any(axis=0))
    effects = model.coefs[:, columns] * spreads(data.X, columns)
    order = np.argsort(-np.abs(effects), axis=None, kind="stable")[:SHOWN]
    return [(int(k), int(columns[c]), float(model.coefs[k, columns[c]]), float(effects[k, c]))
            for k, c in zip(*np.unravel_index(order, effects.shape)) if model.coefs[k, columns[c]]]


def named(data, model, k, j):
    """What a coefficient is called: the column, and before it the class where there are several.

    Parameters
    ----------
    data : Data
    model : Model
    k, j : int
        Output and column.

    Returns
    -------
    str
        On one line.
    """
    name = data.title(j)
    name = name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}..."
    name = " ".join(name.split())
    return f"{data.classes[k]}: {name}" if len(model.coefs) > 1 else name


def comparison_lines(seconds, worst, tol, peer):
    """Both times, and their ratio.

    Parameters
    ----------
    seconds : float
        fastreg's time for the whole path.
    worst : float
        Its worst relative gap.
    tol : float
        The gap it was asked for.
    peer : PeerResult or None
        How scikit-learn fared; None if it was left out.

    Returns
    -------
    list of str
        The lines.
    """
    missed = "" if worst <= tol else f", short of the {tol:g} asked for"
    lines = ["", f"fastreg       {_duration(seconds):>9}   worst gap {worst:.1e}{missed}"]
    if peer is None:
        return lines
    if peer.seconds is not None:
        lines.append(f"scikit-learn  {_duration(peer.seconds):>9}   worst gap {peer.gap:.1e}, at tol={peer.tol:g}")
        lines.append(_ratio_line(peer.seconds / seconds))
    elif peer.problem:
        lines.append(f"scikit-learn  no result: {peer.problem}")
    else:
        reached = "no run finished" if peer.tol is None else f"best gap {peer.gap:.1e} at tol={peer.tol:g}"
        lines.append(f"scikit-learn  gap not reached in {peer.limit:.0f} s ({reached})")
    return lines


def _ratio_line(ratio):
    if ratio >= 1:
        return f"fastreg is {ratio:.3g} times as fast."
    return f"fastreg is slower: it takes {1 / ratio:.3g} times as long."


def _duration(seconds):
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1e3:.2f} ms"
