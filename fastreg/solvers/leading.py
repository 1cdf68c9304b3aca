"""What bends the losses of several classes along their leading coordinates: a Hessian that preconditions.

The mean curvature of a class tells little where curvatures differ from row to row. Where steps under it would take
longer, the Hessian of all classes is made along as many of the coordinates that X moves most as make a small matrix
(intercepts follow); along the others, where the penalty counts for more, the mean curvatures stay.
"""
import numpy as np

from fastreg.kernels.lapack import cholesky, solved
from fastreg.solvers.interruptible import interruptible
from fastreg.solvers.ridge.grams import sums_of_rows
from fastreg.solvers.softmax import curvature_of_classes
from fastreg.threads import effective_threads

# Coefficients of all classes whose Hessian is made, and numbers that rows have along their coordinates: if there are
# more, some of the rows have to do.
MOST_COEFS, MOST_IMAGES = 2000, 2**23
# Multiply-adds a second of BLAS on matrices, and on as many vectors as there are classes; elements a second of sparse
# X, and of a factor; seconds for a row's probability of a class, and for a step beyond that. Share of a step that what
# a factor makes of it may take. Seconds for each pair of classes, of a row and of each of its images.
RATE, NARROW, SPARSE, READ, CHANCE, STEP, DEAR = 1.2e10, 5e9, 1e9, 2.4e9, 6e-9, 4e-4, 0.6
OF_ROW, OF_IMAGE = 7.5e-8, 5.5e-9
# Steps that a new matrix will need, and those that tell how fast they get on; solutions that it serves.
FRESH, SEEN, SERVED = 8, 5, 2
# A gap that stands for none.
LEAST = np.finfo(float).tiny
# Of the alpha that a factor is for, how far from it another one may be.
NEAR = 2.0


class Leading:
    """The Hessian along leading coordinates.

    Parameters
    ----------
    of : QuasiNewton
        Whose coordinates have `images_of`.
    chances : ndarray of shape (n_classes, n)
    """

    def __init__(self, of, chances):
        problem, K = of.problem, len(chances)
        r = self.count = leading(of)
        rows = np.flatnonzero(of.weighted_rows)
        if len(rows) * r > MOST_IMAGES:
            rows = np.sort(np.random.default_rng(0).choice(rows, MOST_IMAGES // r, replace=False))
        images = of.space.images_of(rows, r)
        weights = np.ones(len(rows)) if of.weights is None else of.weights[rows]
        H = curvature_of_classes(
            lambda w: sums_of_rows(images, np.empty((0, len(rows))), w, effective_threads(problem.n_threads),
                                   np.zeros(r)), weights * (problem.n / weights.sum()), chances[:, rows])
        self.G = H[:, :r, :, :r].reshape(K * r, K * r)
        if problem.fit_intercept:
            beside = H[:, :r, :, r].reshape(K * r, K)
            self.G = self.G - beside @ np.linalg.pinv(H[:, r, :, r], hermitian=True) @ beside.T
        # along what all classes have in common nothing bends, and nothing pulls
        of_each, level = self.G.reshape(K, r, K, r), np.trace(self.G) / (K * r)
        for j in range(r):
            of_each[:, j, :, j] += level
        self.alpha, self.factor = None, None

    def preconditioner(self, alpha, base):
        """What nearly solves Newton's equations, `base` doing so by mean curvatures."""
        if self.alpha is None or not alpha / NEAR <= self.alpha <= alpha * NEAR:
            H = self.G.copy()
            H[np.diag_indices_from(H)] += alpha
            if interruptible(cholesky, H.T):
                return base                                             # rounding
            self.alpha, self.factor = alpha, H.T
        factor, r = self.factor, self.count

        def solve(g):
            found = base(g)
            found[:, -r:] = solved(factor, g[:, -r:])
            return found

        return solve


def leading(of):
    """Along how many coordinates a QuasiNewton may have a Leading."""
    return min(len(of.space.values), MOST_COEFS // of.problem.n_targets) if of.space.images_of is not None else 0


def price(of):
    """Steps of a QuasiNewton that a Leading costs each solution; infinite where it does not suit."""
    problem, K, r = of.problem, of.problem.n_targets, leading(of)
    step = 2 * K * of.size / (SPARSE if problem.sparse else NARROW) + CHANCE * K * problem.n + STEP
    if r == 0 or 2 * (K * r) ** 2 / READ > DEAR * step:
        return np.inf
    rows = min(problem.n, MOST_IMAGES // r)
    made = K * (K - 1) / 2 * rows * (OF_ROW + r * OF_IMAGE + 0.5 * r * r / RATE)
    made += ((K * r) ** 3 / 3 + rows * r * of.size / problem.n) / RATE
    return made / SERVED / step


def pays(gaps, aim, cost):
    """Whether steps would need more than a new matrix costs to come from the last of their gaps to aim."""
    if len(gaps) <= SEEN or np.isinf(cost):
        return False
    rate = np.log(gaps[-1 - SEEN] / gaps[-1]) / SEEN
    return np.log(gaps[-1] / max(aim, LEAST)) > max(rate, 1e-3) * (cost + FRESH)
