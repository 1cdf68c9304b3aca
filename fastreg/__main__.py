"""`python -m fastreg`."""

import sys

from fastreg.cli import main

# The guard matters: the process that runs scikit-learn for comparison imports this module again.
if __name__ == "__main__":
    sys.exit(main())
