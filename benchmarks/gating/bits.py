"""Does HEAD answer otherwise than BASE, by a single bit?  The side of ``gate.py --bits`` that runs the workers.

It needs the standard library alone: cases, answers and their comparison are in `answers`, which the workers import.
"""

import re
import tempfile
from pathlib import Path

from .builds import CaseError, GateError, Worker, built, workers


class Answerer(Worker):
    """A process that solves the cases of `answers` with one build of fastreg."""

    module = "answers"


def names(pattern):
    """The cases whose name has a match, as `answers` gives them, which imports NumPy."""
    from . import answers

    return [case for case in answers.CASES if re.search(pattern, case)]


def outcome(worker):
    """A worker's answer, or the CaseError in its place."""
    try:
        return worker.answer()
    except CaseError as error:
        return error


def compare(base, head, case, file):
    """What has become of the answer to a case.

    Parameters
    ----------
    base, head : Answerer
        The two builds.
    case : str
        One of `answers.CASES`.
    file : Path
        Where BASE may write its answer for HEAD to read, that of this case alone.

    Returns
    -------
    state : {'equal', 'certified', 'wrong', 'failed', 'missing'}
        The bits are those of BASE; they are not, and HEAD's certificate is ok, or it is not; HEAD does not run the
        case; BASE does not.
    text : str
        In a line, which arrays differ by how much, and the certificate; or the error.
    """
    base.send("digests", case)
    head.send("digests", case)
    before, after = outcome(base), outcome(head)  # each solves while the other does
    if isinstance(after, CaseError):
        return "failed", f"HEAD fails: {after}"
    if isinstance(before, CaseError):
        return "missing", f"BASE does not run it: {before}"
    if all(after.get(name) == digest for name, digest in before.items()):
        return "equal", ""
    base.ask("write", case, str(file))
    arrays = "; ".join(f"{name} {text}" for name, text in head.ask("differences", case, str(file)).items())
    try:
        ok, certificate = head.ask("certificate", case)
    except CaseError as error:
        ok, certificate = False, f"no certificate: {error}"
    return "certified" if ok else "wrong", f"{arrays}; {certificate}"


def run(options):
    """Build, compare, and print a line for each case that is not equal, and a last one with their number.

    Parameters
    ----------
    options : argparse.Namespace
        base, head, cases (a regular expression), threads.

    Returns
    -------
    int
        0 if all are equal; 1 if those that differ are certified; 2 if one is not, or HEAD fails at one.
    """
    found = dict.fromkeys(("equal", "certified", "wrong", "failed", "missing"), 0)
    with built(options.base, options.head) as (python, builds), tempfile.TemporaryDirectory() as scratch:
        print(f"BASE {builds[0].name}, HEAD {builds[1].name}; threads of BLAS: {options.threads}", flush=True)
        with workers(Answerer, python, [build.folder for build in builds], options.threads) as (base, head):
            cases = [case for case in head.ask("cases") if re.search(options.cases, case)]
            for k, case in enumerate(cases):
                state, text = compare(base, head, case, Path(scratch, f"{k}.npz"))
                found[state] += 1
                if state != "equal":
                    print(f"{case}: {text}", flush=True)
    if not cases:
        raise GateError("nothing to do: --cases matches no case")
    if found["missing"] == len(cases):
        raise GateError("nothing compared: BASE runs none of the cases")
    print(f"{found['certified'] + found['wrong']} of {len(cases) - found['missing'] - found['failed']} cases differ")
    return 2 if found["wrong"] or found["failed"] else 1 if found["certified"] else 0
