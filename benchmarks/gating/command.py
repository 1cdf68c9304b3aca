"""Is HEAD slower than BASE, or does it answer otherwise?  The command line of `gate.py`."""

import argparse
import sys

from . import bits, times
from .builds import GateError
from .times import PAIRS, SLOWER_BY


def main(argv=None):
    """Run the gate.

    Parameters
    ----------
    argv : list of str, default=None
        The arguments; None takes those of the process.

    Returns
    -------
    int
        The exit code.
    """
    options = _parser().parse_args(argv)
    verdict = bits if options.bits else times
    if options.list:
        print("\n".join(verdict.names(options.cases)))
        return 0
    try:
        if options.threads < 1:
            raise GateError("--threads: at least 1")
        return verdict.run(options)
    except GateError as error:
        print(f"gate.py: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("gate.py: interrupted", file=sys.stderr)
        return 130


def _parser():
    question = "Is HEAD slower than BASE, or does it answer otherwise?"
    parser = argparse.ArgumentParser(prog="gate.py", description=question)
    what = "commit, or folder with a build in place, to"
    parser.add_argument("base", nargs="?", default="main", metavar="BASE", help=f"{what} compare with (default main)")
    parser.add_argument("head", nargs="?", default="HEAD", metavar="HEAD", help=f"{what} judge (default HEAD)")
    parser.add_argument("--bits", action="store_true", help="compare the bytes of answers, not times")
    parser.add_argument("--cases", default="", metavar="REGEX", help="only the cases whose name has a match")
    parser.add_argument("--pairs", type=int, default=PAIRS, metavar="N", help=f"pairs for a case (default {PAIRS})")
    parser.add_argument(
        "--slower-by",
        type=float,
        default=SLOWER_BY,
        metavar="PERCENT",
        help=f"HEAD fails where its median is slower by more (default {SLOWER_BY:g})",
    )
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="threads of BLAS and OpenMP (default 1)")
    parser.add_argument("--list", action="store_true", help="print the names of the cases and end")
    return parser
