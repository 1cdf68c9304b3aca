"""What docs/benchmarks.md holds between markers, one pair for each file of results; the command of `update_readme.py`.

Results of different machines or days are in files of their own: those of `results_glm.json` go between the markers
``<!-- results_glm -->`` and ``<!-- /results_glm -->``, their figures into a folder of that name.
"""

import argparse
import sys
from pathlib import Path

from . import figures, results, tables, tasks

ROOT = Path(__file__).resolve().parents[2]
CAPTIONS = {
    "speed": "Time of the fastest peer over time of fastreg, for every row; red where fastreg is slower.",
    "time_to_gap": "Accuracy against time: each point is a run at one tolerance, dashed the accuracy asked for.",
    "memory": "Peak memory beyond the data: fastreg and the fastest peer.",
    "scaling": "Time along each axis, with fitted exponents.",
}


def main(argv=None):
    """Update the page, or check it.

    Parameters
    ----------
    argv : list of str, default=None
        The arguments; None takes those of the process.

    Returns
    -------
    int
        The exit code: 1 if `--check` finds a difference.
    """
    parser = argparse.ArgumentParser(description="Write the results into the page, and draw the figures.")
    parser.add_argument("--check", action="store_true", help="change nothing; exit code 1 if the page is out of date")
    parser.add_argument(
        "--results", type=Path, nargs="+", default=sorted((ROOT / "benchmarks").glob("results*.json")), metavar="FILE"
    )
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "benchmarks.md")
    parser.add_argument("--figures", default="figures", help="folder, relative to that of the page")
    options = parser.parse_args(argv)
    wrong = 0
    for path in options.results:
        found, text = results.read(path), options.page.read_text()
        folder = options.figures if path.stem == "results" else f"{options.figures}/{path.stem}"
        wanted = updated(text, found, folder, path.stem)
        if options.check and text != wanted:
            print(f"{options.page} is not what {path} says: run benchmarks/update_readme.py", file=sys.stderr)
            wrong = 1
        if not options.check:
            figures.draw(found, options.page.parent / folder)
            options.page.write_text(wanted)
    return wrong


def markers(name):
    """Where the results of a file begin and end, by its name without the suffix."""
    return f"<!-- {name} -->\n", f"<!-- /{name} -->"


def updated(text, found, folder, name="results"):
    """The page with the results between its markers.

    Parameters
    ----------
    text : str
        The page as it is.
    found : dict
        The results.
    folder : str
        Where the figures are, seen from the page.
    name : str
        Of the markers.

    Returns
    -------
    str
    """
    begin, end = markers(name)
    before, rest = text.split(begin, 1)
    return before + begin + section(found, folder) + end + rest.split(end, 1)[1]


def section(found, folder):
    """What goes between the markers."""
    rows = results.rows(found)
    pictures = {name: _picture(name, folder) for name in figures.names(found)}
    parts = [_method(found), pictures.get("speed", "")]
    for task, group in tables.by_task(rows).items():
        parts += [f"### {tasks.TASKS[task].title}\n\n{_question(task)}", tables.as_markdown(tables.table(group))]
    lost = [f"- {line}" for line in tables.losses(rows)]
    parts += [
        "### Where fastreg loses\n\nSlower than the best peer, or more memory than it:",
        "\n".join(lost or ["- no row"]),
    ]
    sweeps = tables.scaling_sweeps(found)
    if sweeps:
        parts += [
            "### Scaling\n\nThe power of each quantity that time and memory beyond the data grow with, by least "
            "squares of the logarithms:",
            tables.as_markdown(tables.scaling_table(sweeps)),
        ]
    parts += [pictures.get(name, "") for name in ("time_to_gap", "memory", "scaling")]
    return "\n\n".join(part for part in parts if part) + "\n"


def _method(found):
    """How it was measured, in words, all figures from the records."""
    records = [record for record in found["records"] if "axis" not in record]
    span = " to ".join(sorted({min(r["date"] for r in records), max(r["date"] for r in records)}))
    threads = " or ".join(str(count) for count in sorted({record["threads"] for record in records}))
    target = " or ".join(f"{value:g}" for value in sorted({record["target"] for record in records}))
    limit = " or ".join(f"{value:g}" for value in sorted({record["limit"] for record in records}))
    versions = ", ".join(f"{name} {version}" for name, version in tables.solver_versions(found).items())
    losses = {"loss" in record["params"] for record in records}
    squares = """for
lasso and elastic net the worst duality gap relative to the objective at zero, for ridge the relative error of the
coefficients, both recomputed by float64 NumPy from the coefficients."""
    others = """the
worst duality gap relative to half the null deviance, recomputed by float64 NumPy from the coefficients."""
    measure = squares if False in losses else others
    more = "\nGaps of logistic and Poisson fits are relative to half the null deviance." if len(losses) == 2 else ""
    first = _first_calls(records).items()
    calls = ", ".join(f"{solver} {tables.number(seconds)}" for solver, seconds in first)
    return f"""\
Seconds, threads: {threads}, every solver at the loosest tolerance at which its answer is accurate to {target}: \
{measure}
fastreg runs just before and just after each peer, and the best times of that block are shown; their ratio is
peer / fastreg. No run of a solver may take more than {limit} s; "not reached" says that one did, or that no tolerance
was accurate enough.{more}
{tables.DAGGER}: extrapolated from fewer penalties. Memory: peak beyond the data, MB, fastreg / best peer. First call in
a fresh process after the import, on a tiny problem, not part of the times (median seconds; glmnet's with the start of
R): {calls}.

{span}, {tables.machine_line(found["machine"])}; {versions}."""


def _first_calls(records):
    """{solver: median seconds of its first call}: compilation, where there is any."""
    times = {}
    for record in records:
        if record["first_call_seconds"] is not None and " " not in record["solver"]:
            times.setdefault(record["solver"], []).append(record["first_call_seconds"])
    return {solver: sorted(seconds)[len(seconds) // 2] for solver, seconds in times.items()}


def _question(task):
    """The task's parameters in words."""
    params = tasks.TASKS[task].params
    words = {
        "n_alphas": "{} penalties", "eps": "down to {:g}·alpha_max", "folds": "{} folds and the fit of all rows",
        "l1_ratio": "l1_ratio {:g}", "alpha": "α = {:g} unless said", "targets": "{} targets",
        "C": "C = {:g} unless said",
    }  # fmt: skip
    shown = [words[name].format(value) for name, value in params.items()
             if name in words and (name, value) != ("n_alphas", 1)]  # fmt: skip
    return ", ".join(shown)


def _picture(name, folder):
    return f"![{CAPTIONS[name]}]({folder}/{name}-light.svg)\n\n<sub>{CAPTIONS[name]}</sub>"
