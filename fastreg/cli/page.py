"""The report: one page that needs nothing else, not even a network, and is readable on a phone."""

from html import escape
from pathlib import Path

import numpy as np
from scipy import sparse

import fastreg
from fastreg.cli.chosen import spreads
from fastreg.cli.pictures import COLOURS, curve_picture, path_picture
from fastreg.cli.report import choice, largest, named, path_lines

# Curves of a picture, and alphas along them: more cannot be told apart.
CURVES, POINTS = 200, 120
STYLE = """
:root{color-scheme:light dark;--ink:#1a1a1a;--paper:#fff;--soft:#6b6b6b;--line:#dcdcdc}
@media(prefers-color-scheme:dark){:root{--ink:#e6e6e6;--paper:#161616;--soft:#a0a0a0;--line:#3a3a3a}}
body{font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:42rem;margin:0 auto;
padding:1rem}
h1{font-size:1.4rem;line-height:1.25;overflow-wrap:anywhere}h2{font-size:1.1rem;margin-top:2rem}
svg{width:100%;height:auto}svg text{font-size:12px;fill:var(--soft)}
.grid{stroke:var(--line);stroke-width:.7}.other{stroke:var(--soft);stroke-opacity:.35}
.chosen{stroke:var(--ink);stroke-dasharray:4 3}.error{stroke:var(--soft);stroke-opacity:.5}
table{border-collapse:collapse;width:100%}td,th{padding:.25rem .4rem;border-bottom:1px solid var(--line);
text-align:left;vertical-align:top;overflow-wrap:anywhere}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;
overflow-wrap:normal}th{overflow-wrap:normal}td.n{white-space:nowrap}th:first-child{width:40%}
i{display:inline-block;width:.8em;height:.8em;border-radius:50%;margin-right:.5em}
pre{overflow-x:auto;font-size:.8rem}.soft{color:var(--soft)}
"""


def report(data, path, verdicts, model, options):
    """The page.

    Parameters
    ----------
    data : Data
    path : Path
    verdicts : list of Verdict
        Of each solution of the path.
    model : Model
        The solution that is shown.
    options : argparse.Namespace
        l1_ratio and tol.

    Returns
    -------
    str
        HTML, in which names of files and columns are escaped.
    """
    shown, title = largest(data, model), escape(Path(data.name).name)
    parts = [
        f"<h1>{title}</h1>",
        _data(data, path, options),
        "<h2>Path</h2>",
        _path(data, path, model, shown),
        "<details><summary>in numbers</summary>",
        "<pre>", escape("\n".join(path_lines(path, verdicts))), "</pre></details>",
        "<h2>Choice</h2>",
        _choice(model),
        "<h2>Coefficients</h2>",
        _coefficients(data, model, shown),
        "<h2>Certificate</h2>",
        _certificate(data, verdicts, model, options),
        f'<p class="soft">fastreg {fastreg.__version__}</p>',
    ]
    return ('<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" '
            f'content="width=device-width,initial-scale=1"><title>{title}</title><style>{STYLE}</style>'
            f"</head>\n<body>\n{''.join(parts)}\n</body></html>\n")


def _data(data, path, options):
    n, p = data.X.shape
    kind = f"sparse, {data.X.nnz / (n * p):.3%} filled" if sparse.issparse(data.X) else "dense"
    rows = [("samples", f"{n}"), ("features", f"{p} ({kind})"), ("loss", data.model),
            ("l1_ratio", f"{options.l1_ratio:g}"),
            ("penalty values", f"{len(path.alphas)}, from {path.alphas[0]:.6g} to {path.alphas[-1]:.6g}")]
    if data.classes:
        rows.append(("classes", ", ".join(data.classes)))
    else:
        rows.append(("target", f"from {data.y.min():.6g} to {data.y.max():.6g}, mean {data.y.mean():.6g}"))
    rows += [("note", note) for note in data.notes]
    body = "".join(f"<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>" for name, text in rows)
    return f"<table>{body}</table>"


def _path(data, path, model, shown):
    if len(path.alphas) < 2:
        return "<p>One penalty value: there is no path to draw.</p>"
    effects = _effects(data, path, [(k, j) for k, j, *_ in shown])
    some = np.unique(np.linspace(0, len(path.alphas) - 1, POINTS).astype(int))
    return (path_picture(path.alphas[some], effects[:, some], len(shown), model.alpha) +
            '<p class="soft">Colours are those of the table of coefficients; the dashed line is the model shown there.'
            "</p>")


def _effects(data, path, first):
    """Curves of coefficients times standard deviations: those that come first, then the largest of the others."""
    curves = []
    for k, coefs in enumerate(path.coefs if data.model == "multinomial" else [path.coefs]):
        used = np.unique(coefs.nonzero()[0])
        sizes = np.asarray(abs(coefs[used]).max(axis=1).toarray()).ravel() * spreads(data.X, used)
        curves += [(size, k, int(j)) for size, j in zip(sizes, used) if (k, j) not in first]
    rows = first + [(k, j) for _, k, j in sorted(curves, reverse=True)[: CURVES - len(first)]]
    outputs = path.coefs if data.model == "multinomial" else [path.coefs]
    values = [outputs[k][[j]].toarray()[0] for k, j in rows]
    deviations = spreads(data.X, np.array([j for _, j in rows], dtype=int))
    return np.array(values).reshape(len(rows), len(path.alphas)) * deviations[:, None]


def _choice(model):
    if model.curves is None:
        return f"<p>The last solution, alpha={model.alpha:.6g}; <code>--cv</code> chooses one by cross-validation.</p>"
    drawn = np.count_nonzero(np.isfinite(model.curves.values[0])) > 1
    return (f"<p>By cross-validation: {escape(choice(model.curves))}.</p>" +
            (curve_picture(model.curves) if drawn else "") +
            '<p class="soft">Bars are one standard error; the dashed line is what was chosen.</p>')


def _coefficients(data, model, shown):
    intercepts = ", ".join(f"{value:.6g}" for value in model.intercepts)
    kept = np.count_nonzero(model.coefs)
    rows = "".join(
        f'<tr><td><i style="background:{colour}"></i>{escape(named(data, model, k, j))}</td>'
        f'<td class="n">{value:.5g}</td><td class="n">{effect:.5g}</td></tr>'
        for colour, (k, j, value, effect) in zip(COLOURS, shown))
    head = '<tr><th>largest</th><th class="n">coefficient</th><th class="n">× std of column</th></tr>'
    return (f"<p>alpha={model.alpha:.6g}: {kept} of {model.coefs.size} are not zero; intercept {intercepts}</p>"
            f"<table>{head}{rows}</table>")


def _certificate(data, verdicts, model, options):
    gap, worst = model.verdict.gap, max(verdict.gap for verdict in verdicts)
    explained = "variance of the target" if data.model == "quadratic" else "null deviance"
    reached = "as asked" if worst <= options.tol else "short of what was asked"
    return (f"<p>The model's objective is at most {gap:.1e} above the least possible one, relative to that of the "
            f"intercept alone; along the whole path at most {worst:.1e}, {reached} ({options.tol:g}). These duality "
            "gaps are recomputed from the data and the coefficients; nothing that the solver computed is used.</p>"
            f"<p>It explains {model.verdict.r2:.4f} of the {explained} on the data of the fit.</p>")
