"""Is HEAD slower than BASE, or does it answer otherwise?

    python benchmarks/gate.py main HEAD            # times the core cases in pairs
    python benchmarks/gate.py --bits main HEAD     # compares the bytes of answers
    python benchmarks/gate.py --bits ../main .     # of builds in place, which may stand for commits

Commits are built from `git archive` with the same compiler and dependencies, each into a folder of its own.  The cases
are those of the checkout this file lies in.

Exit code: 0 if nothing is slower, or different; 1 if something is; 2 if a commit does not exist or build, if HEAD fails
at a case, or if an answer that differs has no certificate.
"""

import sys

if __name__ == "__main__":
    from compare import benchmark_module

    sys.exit(benchmark_module("gating.command").main())
