"""R's glmnet: a session of R for each problem, data through files; time and memory are R's own."""

import shutil
import subprocess
import tempfile
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
from scipy import sparse

from .tasks import Answer

READ_DENSE = 'X <- matrix(get("x", "double", {size}), {n}, {p})'
READ_SPARSE = (
    'X <- new("dgCMatrix", i=get("i", "integer", {size}), p=get("p", "integer", {p} + 1), '
    'x=get("x", "double", {size}), Dim=c({n}L, {p}L))'
)
# A line of input is a `thresh`, a line of output says that the files hold the answer.  The peak of the process is reset
# before each fit (Linux); elsewhere the memory is not measured.
SCRIPT = """
suppressMessages({{library(Matrix); library(glmnet)}})
get <- function(name, what, size) readBin(file.path("{folder}", name), what, size)
put <- function(name, values) {{ f <- file(file.path("{folder}", name), "wb"); writeBin(values, f); close(f) }}
kilobytes <- function(key) tryCatch({{
  line <- grep(key, readLines("/proc/self/status"), value=TRUE); as.numeric(gsub("[^0-9]", "", line))
}}, error=function(e) NA, warning=function(w) NA)
{read}
y <- get("y", "double", {n}); alphas <- get("alphas", "double", {n_alphas}); folds <- get("folds", "integer", {n})
glmnet.control(fdev=0, devmax=1, mnlam=length(alphas))
input <- file("stdin"); open(input)
cat("ready\\n")
while (length(line <- readLines(input, 1))) {{
  invisible(gc())
  try(cat("5", file="/proc/self/clear_refs"), silent=TRUE); before <- kilobytes("VmRSS")
  seconds <- system.time(fit <- {fit}, lambda=alphas, standardize=FALSE, thresh=as.numeric(line), maxit=1e8))[[3]]
  memory <- 1024 * (kilobytes("VmHWM") - before)
  put("coefs", {coefs}); put("measured", c(seconds, memory, {chosen}))
  cat("done\\n")
}}
"""
PATH = {"fit": "glmnet(X, y, alpha={share}{family}", "coefs": "as.vector(as.matrix(coef(fit)))", "chosen": "0"}
# One class after the other.
CLASSES = {**PATH, "coefs": "unlist(lapply(coef(fit), function(part) as.vector(as.matrix(part))))"}
FAMILIES = {"logistic": "binomial", "poisson": "poisson", "multinomial": "multinomial"}
FOLDS = {
    "fit": "cv.glmnet(X, y, alpha={share}{family}, foldid=folds",
    "coefs": 'as.vector(coef(fit, s="lambda.min"))',
    "chosen": "fit$lambda.min",
}


@cache
def version():
    """Version of glmnet, or None where R or glmnet is missing."""
    if shutil.which("Rscript") is None:
        return None
    command = ["Rscript", "-e", 'cat(as.character(packageVersion("glmnet")))']
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None


def solve(problem, tol):
    """A path, or cross-validation where the problem has folds.

    Parameters
    ----------
    problem : Problem
        Data and penalties.
    tol : float
        glmnet's `thresh`.

    Returns
    -------
    Answer
        With R's own time and memory of the call.
    """
    return session(problem).solve(tol)


@lru_cache(maxsize=1)
def session(problem):
    """R with the data of a problem; the one before ends."""
    return Session(problem)


class Session:
    """R with the data of a problem read, waiting for tolerances; it ends with its input.

    glmnet divides a Gaussian y by its standard deviation s and lambda with it, so that its l2 penalty means another one
    unless s = 1: y is handed over divided by s, and the l1 penalty with it.

    Parameters
    ----------
    problem : Problem
        Data and penalties.
    """

    def __init__(self, problem):
        family = FAMILIES.get(problem.loss)
        self.problem, self.scale = problem, 1.0 if family else problem.y.std()
        self.classes = len(np.unique(problem.y)) if problem.loss == "multinomial" else 0
        l1, l2 = problem.l1_ratio / self.scale, 1 - problem.l1_ratio
        self.factor = l1 + l2
        self.scratch = tempfile.TemporaryDirectory()
        self.folder = Path(self.scratch.name)
        kind = CLASSES if self.classes else PATH if problem.folds is None else FOLDS
        family = f', family="{family}"' if family else ""
        parts = {**kind, "fit": kind["fit"].format(share=l1 / self.factor, family=family)}
        sizes = {"n": len(problem.y), "n_alphas": len(problem.alphas)}
        script = SCRIPT.format(folder=self.folder, read=self._write(), **sizes, **parts)
        (self.folder / "fit.R").write_text(script)
        self.errors = (self.folder / "errors").open("w+")
        command = ["Rscript", self.folder / "fit.R"]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=self.errors, text=True)
        self._wait("ready")

    def solve(self, tol):
        """The answer at a tolerance."""
        self.process.stdin.write(f"{tol}\n")
        self.process.stdin.flush()
        self._wait("done")
        seconds, memory, chosen = np.fromfile(self.folder / "measured")
        memory = None if np.isnan(memory) else memory
        alphas = self.problem.alphas if self.problem.folds is None else [chosen / self.factor]
        found, rows = self.scale * np.fromfile(self.folder / "coefs"), self.problem.X.shape[1] + 1
        if self.classes:
            parts = found.reshape(self.classes, len(alphas), rows)
            coefs = np.moveaxis(parts[:, :, 1:], 1, 2).reshape(-1, len(alphas))
            return Answer(coefs, parts[:, :, 0], alphas, seconds, memory)
        columns = found.reshape(-1, rows).T
        return Answer(columns[1:], columns[0], alphas, seconds, memory)

    def _wait(self, word):
        if self.process.stdout.readline() != f"{word}\n":
            self.errors.seek(0)
            raise RuntimeError(" ".join(self.errors.read().split())[-200:])

    def _write(self):
        """Put the data into files; return the R command that reads X."""
        problem, X = self.problem, self.problem.X
        n, p = X.shape
        number = np.zeros(n, dtype=np.int32)
        for k, (_, test) in enumerate(problem.folds or []):
            number[test] = k + 1
        y = problem.y > 0 if problem.loss == "logistic" else problem.y / self.scale
        arrays = {"y": np.asarray(y, dtype=float), "alphas": problem.alphas * self.factor, "folds": number}
        if sparse.issparse(X):
            arrays |= {"i": X.indices.astype(np.int32), "p": X.indptr.astype(np.int32), "x": X.data}
        else:
            arrays["x"] = X.T
        for name, values in arrays.items():
            values.tofile(self.folder / name)
        return (READ_SPARSE if sparse.issparse(X) else READ_DENSE).format(size=arrays["x"].size, n=n, p=p)
