"""The results in words: tables for the terminal and in Markdown, and lists of what is installed."""

from .. import workloads
from . import results, solvers, tasks

MEGABYTE = 1e6
MORE_MEMORY = 10 * MEGABYTE  # a difference below this is not worth a line
DAGGER = "†"


def solver_lines(names, reasons):
    """Which solvers run, in which version, and why others do not."""
    lines = [f"  {name} {solvers.installed_version(name)}".rstrip() for name in names]
    lines += [f"  {name}: absent ({reason})" for name, reason in reasons.items()]
    return ["solvers:", *lines]


def task_lines(stored):
    """Tasks with their solvers, what no solver does, and the data sets by name."""
    lines = ["tasks:"]
    for task in tasks.TASKS:
        lines.append(f"  {task}: {', '.join(solver for solver, other in solvers.ADAPTERS if other == task)}")
    lines += ["left out:", *(f"  {name}: {reason}" for name, reason in solvers.ABSENT.items())]
    known = [*workloads.GENERATED, *workloads.BUNDLED, *workloads.FETCHED, *workloads.DERIVED, *stored]
    return [
        *lines,
        "data:",
        f"  {', '.join(known)}",
        *(f"  {line}" for line in workloads.__doc__.splitlines()[2:] if line),
    ]


def machine_line(machine):
    """The machine in a line."""
    return (
        f"{machine['cores']} cores of {machine['processor']}, {machine['memory_gb']} GB, {machine['system']}, "
        f"Python {machine['python']}, {', '.join(machine['blas'])}"
    )


def record_line(record):
    """What became of one solver, as it happens."""
    changed = _changes(record["task"], record["params"])
    head = f"{record['task']:14} {' '.join([record['data'], *changed]):34} {record['solver']:15}"
    if record["seconds"] is None:
        return f"{head} {record['refused'] or record['problem']}"
    ratio = f", {record['seconds'] / record['fastreg_seconds']:.3g} x fastreg's" if record["fastreg_seconds"] else ""
    mark = DAGGER if record["extrapolated"] else ""
    return f"{head} {number(record['seconds'])}{mark} s, error {record['curve'][-1]['error']:.0e}{ratio}"


def number(value):
    """Three significant digits without an exponent."""
    return f"{value:.0f}" if value >= 100 else f"{value:#.3g}".rstrip(".")


def label(row):
    """Data set and what differs from the task's usual parameters."""
    return ", ".join([row.data.replace("_", " "), *_changes(row.task, row.params)])


def _changes(task, params):
    names = {"eps": "down to {:g}·alpha_max", "alpha": "α = {:g}", "n_alphas": "{} penalties", "folds": "{} folds"}
    names["C"] = "C = {:g}"
    usual = tasks.TASKS[task].params
    return [names[key].format(value) for key, value in params.items() if value != usual[key] and key in names]


def size(row):
    """Rows and columns."""
    if not row.shape:
        return ""
    return "{} × {}".format(*row.shape) + (" sparse" if row.nnz else "")


def table(rows):
    """The cells of a table of one task: header first.

    Parameters
    ----------
    rows : list of results.Row
        Of the same task.

    Returns
    -------
    list of list of str
    """
    cells = [["data", "size", "fastreg", "best peer", "ratio", "other peers", "memory"]]
    for row in rows:
        own = row.own and row.own["seconds"]
        if not own:
            cells.append([label(row), size(row), _failure(row.own), _peer(row.best), "", _others(row), ""])
            continue
        ratio = _ratio(row)
        cells.append([label(row), size(row), number(row.seconds), _peer(row.best), ratio, _others(row), _memory(row)])
    return cells


def _ratio(row):
    if row.ratio is not None:
        text = number(row.ratio) + (DAGGER if row.best["extrapolated"] else "")
        return f"**{text}**" if row.lost else text
    stopped = [peer["limit"] for peer in row.peers if peer["problem"].startswith("not within")]
    return f"> {number(min(stopped) / row.seconds)}" if stopped else ""


def _peer(record):
    if record is None:
        return "none"
    return f"{record['solver']} {number(record['seconds'])}{DAGGER if record['extrapolated'] else ''}"


def _failure(record):
    return "" if record is None else record["problem"]


def _others(row):
    parts = [", ".join(_peer(peer) for peer in row.finished[1:])] if row.finished[1:] else []
    short = [peer["solver"] for peer in row.peers if not peer["seconds"] and not peer["refused"]]
    return "; ".join(parts + ([f"not reached: {', '.join(short)}"] if short else []))


def _memory(row):
    own = number(row.own["memory"] / MEGABYTE)
    if not row.best or row.best["memory"] is None:
        return own
    return f"{own} / {number(row.best['memory'] / MEGABYTE)}"


def scaling_table(sweeps):
    """Fitted exponents: header first.

    Parameters
    ----------
    sweeps : list of tuple
        See `scaling_sweeps`.

    Returns
    -------
    list of list of str
    """
    cells = [["axis", "task", "range", "fastreg: time", "memory", "best peer: time", "memory"]]
    for axis, task, lines in sweeps:
        own = lines[solvers.OWN]
        peers = {name: points for name, points in lines.items() if name != solvers.OWN and len(points) >= 2}
        # The best peer is the fastest at the largest value most of them reach.
        best = min(peers, key=lambda name: (-peers[name][-1][0], peers[name][-1][1])) if peers else None
        shown = [_exponents(own), _exponents(peers[best]) if best else ("", "")]
        span = f"{own[0][0]:g} to {own[-1][0]:g}"
        cells.append(
            [
                axis,
                tasks.TASKS[task].title.lower(),
                span,
                *shown[0],
                f"{shown[1][0]} ({best})" if best else "none",
                shown[1][1],
            ]
        )
    return cells


def scaling_sweeps(found):
    """(axis, task, {solver: [(value, seconds, memory)]}) of every sweep in the results."""
    groups = {}
    for row in results.rows(found, scaling=True):
        for record in [row.own, *row.peers]:
            if record and record["seconds"]:
                lines = groups.setdefault((record["axis"], record["task"]), {})
                lines.setdefault(record["solver"], []).append((record["value"], record["seconds"], record["memory"]))
    return [
        (axis, task, {name: sorted(points) for name, points in lines.items()})
        for (axis, task), lines in groups.items()
        if solvers.OWN in lines
    ]


def _exponents(points):
    values, seconds, memory = zip(*points)
    return tuple(_power(values, measured) for measured in (seconds, memory))


def _power(values, measured):
    if len(values) < 2 or min(measured) <= 0:
        return "–"
    return f"{results.exponent(values, measured):.2f}"


def losses(rows):
    """A line for each row in which a peer is faster, and for each in which the best peer needs less memory."""
    lines = []
    for row in rows:
        where = f"{tasks.TASKS[row.task].title}, {label(row)}"
        if row.lost:
            lines.append(f"{where}: {_peer(row.best)} s, fastreg {number(row.seconds)} s")
        if row.ratio is not None and row.best["memory"] is not None and not row.best["extrapolated"]:
            more = row.own["memory"] - row.best["memory"]
            if more > MORE_MEMORY:
                lines.append(f"{where}: {_memory(row)} MB beyond the data, fastreg / {row.best['solver']}")
    return lines


def by_task(rows):
    """{task: rows}, in the order of the tasks."""
    return {task: found for task in tasks.TASKS if (found := [row for row in rows if row.task == task and row.own])}


def as_text(cells):
    """Aligned columns."""
    widths = [max(len(line[k]) for line in cells) for k in range(len(cells[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in cells)


def as_markdown(cells):
    """A table of Markdown."""
    lines = [f"| {' | '.join(line)} |" for line in cells]
    return "\n".join([lines[0], "|" + "---|" * len(cells[0]), *lines[1:]])


def everything(found):
    """All tables as text."""
    parts = [
        f"{tasks.TASKS[task].title}\n{as_text(table(rows))}" for task, rows in by_task(results.rows(found)).items()
    ]
    sweeps = scaling_sweeps(found)
    if sweeps:
        parts.append(f"Scaling: exponents\n{as_text(scaling_table(sweeps))}")
    return "\n\n".join(parts)


def solver_versions(found):
    """{solver: version} of the records, the same package once."""
    versions = {}
    for record in found["records"]:
        if record["version"] and " " not in record["solver"]:
            versions[record["solver"]] = record["version"]
    return versions
