"""What may be asked of the command line, and how a wrong option is told."""

import argparse

import fastreg
from fastreg.cli.errors import shown
from fastreg.datafits import by_name

# More bring nothing, and their answers would fill the memory.
MOST_ALPHAS = 100_000
MOST_THREADS = 1024
MOST_FOLDS = 1000


class _Parser(argparse.ArgumentParser):
    """argparse with one clear line for an error, in place of the usage and a line."""

    def error(self, message):
        self.exit(2, f"{self.prog}: error: {' '.join(message.split())}\n")


def parser():
    """The parser of the command line's arguments.

    Returns
    -------
    argparse.ArgumentParser
    """
    asked = _Parser(
        prog="python -m fastreg",
        description="Fit a lasso, elastic-net or ridge path of a least-squares, logistic or other regression, print it "
        "with its duality gaps, and time scikit-learn on the same work at the same gap.",
    )
    asked.add_argument(
        "file",
        nargs="?",
        metavar="FILE",
        help=".csv, .tsv, .parquet, .pq, .arrow or .feather (by pyarrow), svmlight (.svm, .svmlight, .libsvm, .txt), "
        "or .npz with X (or a scipy sparse matrix) and y; .gz and .bz2 of these; without FILE, a bundled data set",
    )
    asked.add_argument(
        "--target", metavar="COLUMN", help="target column of a table (name or index), or array of a .npz"
    )
    asked.add_argument(
        "--categorical", action="store_true", help="columns of text of a table become columns of 0 and 1, one a value"
    )
    asked.add_argument(
        "--model",
        type=_loss,
        metavar="LOSS",
        help="quadratic (least squares), logistic or squared_hinge of two classes, multinomial of more, poisson of "
        "counts, gamma or 'tweedie(p)' of amounts (1 < p < 2), or 'huber(d)' (default: logistic if the target has two "
        "values, multinomial if it is text of more, else quadratic)",
    )
    share = _number(0, 1)
    asked.add_argument(
        "--l1-ratio", type=_number(0, 1, closed=True), default=1.0, metavar="R",
        help="1 is the lasso (default), 0 ridge regression",
    )
    alphas, threads = _count(MOST_ALPHAS), _count(MOST_THREADS)
    asked.add_argument("--n-alphas", type=alphas, default=100, metavar="N", help="penalty values (default 100)")
    asked.add_argument(
        "--eps", type=share, metavar="E",
        help="smallest over largest penalty value (default 0.01, with --cv 1e-4 or 1e-6 where the best lies beyond; of "
        "ridge by the columns' variances)",
    )
    asked.add_argument(
        "--tol",
        type=share,
        default=1e-6,
        metavar="T",
        help="duality gap to reach, relative to the objective at zero coefficients (default 1e-6)",
    )
    asked.add_argument("--threads", type=threads, metavar="N", help="threads, for both solvers (default: all cores)")
    asked.add_argument(
        "--cv",
        nargs="?",
        const=5,
        type=_count(MOST_FOLDS, 2),
        metavar="K",
        help="choose the penalty value by K-fold cross-validation (default of K 5), rows shuffled; without it the "
        "last one's coefficients are shown",
    )
    _add_outputs(asked)
    asked.add_argument("--version", action="version", version=f"fastreg {fastreg.__version__}")
    return asked


def _add_outputs(asked):
    """What is written, and what is compared."""
    asked.add_argument("--output", metavar="FILE", help="write the model: .json, or .csv of the coefficients")
    asked.add_argument("--report", metavar="OUT.html", help="write a page on data, path, choice and model")
    asked.add_argument("--plot", metavar="OUT.png", help="draw the coefficient path")
    asked.add_argument("--no-compare", dest="compare", action="store_false", help="leave scikit-learn out")


def _loss(text):
    """The name of a loss that is convex."""
    try:
        found = by_name(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error).removeprefix("datafit ")) from None
    if not found.convex:
        raise argparse.ArgumentTypeError(f"must be convex, which {text} is not: see fastreg.regularization_path")
    return found.name


def _number(low, high, closed=False):
    """A parser of numbers in (low, high], or in [low, high]."""

    def parse(text):
        value = _converted(float, text, "a number")
        if not (low < value <= high or (closed and value == low)):
            raise argparse.ArgumentTypeError(f"must lie in {'[' if closed else '('}{low}, {high}], got {shown(text)}")
        return value

    return parse


def _count(most, least=1):
    """A parser of whole numbers from `least` to `most`."""

    def parse(text):
        value = _converted(int, text, "a whole number")
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"must lie between {least} and {most}, got {shown(text)}")
        return value

    return parse


def _converted(kind, text, what):
    try:
        return kind(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be {what}, got {shown(text)}") from None
