"""Do the tests see what they are to see? One-line mutants of kernels and solvers, each with the tests that kill it.

    python tools/mutants.py [--only WORD] [--jobs N] [--trust] [--whole-suite] [--write]

Works on copies of the tree: applies one mutant, rebuilds its module in place, runs its tests to the first failure.
`--only`: those whose file, function or texts hold WORD. `--trust`: that the tests pass without a mutant, which is
tried first otherwise. `--whole-suite`: what survives meets every test. `--write`: leaves the outcome in
tools/mutants.md. The exit code is 1 where one survives.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from queue import SimpleQueue

ROOT = Path(__file__).resolve().parents[1]
SECONDS = 120  # a mutant that makes its tests hang is seen, too
# Rebuild one module, quickly, and nothing else that depends on it.
BUILD = """
import runpy, sys
build = runpy.run_path("setup.py")
(extension,) = [e for e in build["extensions"]() if e.sources == [sys.argv[1]]]
extension.depends = []
class Quick(build["BuildExt"]):
    def build_extension(self, extension):
        extension.extra_compile_args = ["-O0" if a == "-O3" else a for a in extension.extra_compile_args]
        super().build_extension(extension)
modules = build["cythonize"]([extension], build_dir="build/mutant", compiler_directives=build["DIRECTIVES"], force=True,
                             quiet=True)
build["setup"](script_args=["-q", "build_ext", "--inplace", "--force"], ext_modules=modules,
               cmdclass={"build_ext": Quick})
"""


@dataclass
class Mutant:
    """In `function` of `file` (a glob below fastreg/), `old`, which is there once, becomes `new`."""

    file: str
    function: str | None
    old: str
    new: str
    tests: str  # arguments of pytest

    @property
    def name(self):
        return f"{self.file}: {self.function or 'module'}: {self.old} -> {self.new}"

    def place(self, root):
        """The file, its text and where in it the mutant goes; a ValueError where that is not one place."""
        found = []
        for path in sorted((root / "fastreg").glob(self.file)):
            text = path.read_text()
            for start, end in [(0, len(text))] if self.function is None else bodies(text, self.function):
                found += [(path, text, start + m.start()) for m in re.finditer(re.escape(self.old), text[start:end])]
        if len(found) != 1:
            raise ValueError(f"{len(found)} places for {self.name}")
        return found[0]


def bodies(text, function):
    """(start, end) of the definitions of a function: up to the next line that is indented no more."""
    head = rf"^([ ]*)(?:c|cp)?(?:def|class) [^\n=]*?\b{function}\b[(:\[][\s\S]*?:(?:  #.*)?\n"
    for m in re.finditer(head, text, re.MULTILINE):
        after = re.compile(rf"^[ ]{{0,{len(m[1])}}}[^\s#)]", re.MULTILINE).search(text, m.end())
        yield m.start(), after.start() if after else len(text)


CERTIFICATE, SCREENING = "solvers/certificate.pyx", "solvers/reference_screening.pyx"
LIVE_COLUMNS = "solvers/live_columns.pyx"
BLOCK, BLOCK_GRAM = "kernels/block.pyx", "kernels/block_gram.pyx"
ROWS, FACTOR = "kernels/rows.pyx", "kernels/factor.pyx"
QUADRATIC, REFERENCES = "kernels/quadratic.pyx", "kernels/references.pyx"
LOOP, FREE, GATHERED = "solvers/loop.pyx", "solvers/matrix_free.pyx", "solvers/gathered.pyx"
PROBLEM = "solvers/problem.pyx"
PENALTY, WEIGHTS = "penalties/elastic_net.py", "weights.py"
GRAM, FOLDS, KRYLOV = "kernels/gram.pyx", "kernels/folds.pyx", "kernels/krylov.pyx"
DENSE, SPARSE = "kernels/dense.pyx", "kernels/sparse_moments.pyx"
PROBE, RESIDUAL = "kernels/probe.pyx", "kernels/residual.pyx"
RIDGE = "solvers/ridge/"
THREADS = "threads.py"
CRITERIA = "criteria.py"
CURVED, REWEIGHTED, EXISTENCE = "solvers/curved.pyx", "solvers/reweighted.py", "solvers/existence.py"
NEWTON, LOSS_ROWS = "solvers/newton.py", "solvers/rows.py"
CLASSES, COUPLED, SOFTMAX = "kernels/classes.pyx", "solvers/coupled.pyx", "kernels/softmax.pyx"
HISTORY = "kernels/history.pyx"
OWN, POWERS = "tests/test_custom.py -k ", "tests/test_powers.py -k "
OF_CLASSES, CLASSES_ALONE = "tests/test_multinomial.py -k ", "tests/test_classes.py -k "
FREE_CLASSES = "tests/test_free_classes.py -k "
GLM, GLM_LOSSES, GLM_TESTS = "referee/glm.py", "referee/losses.py", "tests/test_certify_glm.py -k "
HUBER = "tests/test_huber.py -k "
CONCOMITANT, JOINT_NEWTON = "solvers/concomitant.py", "solvers/concomitant_newton.py"
SEARCH = "solvers/concomitant_search.py"

SCALES = "tests/test_scale.py -k "

MUTANTS = [
    # ---- threads
    Mutant(THREADS, "effective_threads", "_forked or _in_worker_process()", "False",
           "tests/test_threads.py -k multiprocessing"),
    Mutant(THREADS, "given_threads", "int(quota())", "given", "tests/test_threads.py -k given"),
    Mutant(THREADS, "_of_version_1", "if most > 0", "if True", "tests/test_threads.py -k quotas"),
    Mutant(THREADS, "set_num_threads", "0 if num_threads >= given_threads() else num_threads", "num_threads",
           "tests/test_threads.py -k threadpoolctl"),
    Mutant("kernels/threads.pyx", "look", "if found == 0", "if found >= 0", "tests/test_threads.py -k helper_s_error"),
    # ---- what ends a fit
    Mutant("kernels/threads.pyx", "run", "fr_halt = outer", "pass", "tests/test_interruptible.py -k under_it"),
    Mutant("solvers/interruptible.py", "in_threads", "halt.set()", "pass",
           "tests/test_interruptible.py -k one_that_fails"),
    Mutant("solvers/interruptible.py", "in_threads", "future.result()              #", "pass  #",
           "tests/test_interruptible.py -k one_that_fails"),
    Mutant("solvers/interruptible.py", "interruptible", "go_on()", "pass", "tests/test_interruptible.py -k any_thread"),
    Mutant(KRYLOV, "lanczos", "go_on()", "pass", "tests/test_interruptible.py -k products"),
    Mutant(KRYLOV, "conjugate_gradients", "go_on()", "pass", "tests/test_interruptible.py -k products"),
    # ---- sums held against X
    Mutant(PROBE, "probe_excess", "if difference > room", "if False", "tests/test_sums.py -k probe"),
    Mutant(PROBE, "probe_excess", "EPS * (4096 + additions)", "1e-3", "tests/test_sums.py -k probe"),
    Mutant(PROBE, "probe_block", "memset(here, 0, p * sizeof(double))", "pass", "tests/test_sums.py -k probe"),
    Mutant(RESIDUAL, "residual_pass", "-of_mean", "0 * of_mean", "tests/test_sums.py -k residuals"),
    Mutant(RESIDUAL, "_moderate", "fabs(d.mean[j])", "0 * fabs(d.mean[j])", "tests/test_sums.py -k residuals"),
    Mutant(LOOP, "mend_from_x", "self.sets.solver.solve(t, state)", "pass", "tests/test_sums.py -k mended"),
    Mutant(LOOP, "_read_x", "self.states[t].gap = self._gap(t, 1)", "pass", "tests/test_sums.py -k truth"),
    # ---- the certificate
    Mutant(CERTIFICATE, "_fit_scale", "loss[0] += of.found.loss", "pass", "tests/test_certificate.py -k unread"),
    Mutant(CERTIFICATE, "_fit_scale", "q.st[j] == FREE, c_safe, loss)", "q.st[j] == FREE, c_safe, &noise)",
           "tests/test_certificate.py -k free"),
    Mutant(CERTIFICATE, "_fit_scale", "return True", "continue", "tests/test_certificate.py -k yet"),
    Mutant(CERTIFICATE, "_scaling", "if size * c[0] > l1", "if False", "tests/test_certificate.py -k planted"),
    Mutant(CERTIFICATE, "_conjugate", "0.5 * l2 * end * end", "0", "tests/test_certificate.py -k planted"),
    Mutant(CERTIFICATE, "_of_columns", "c * of.found.g[k]", "0", "tests/test_certificate.py -k violators"),
    Mutant(CERTIFICATE, "_of_columns", "and not _free(terms, q.g[j], k, alpha)", "",
           "tests/test_certificate.py -k hide"),
    # ---- rows of sparse blocks
    Mutant("kernels/sparse.pyx", "_gather_rows_by_columns", "4 * threads if ordered and threads > 1 else 1",
           "4 * threads", "tests/test_block.py -k any_order"),
    Mutant("kernels/sparse.pyx", "_push", "if lo > 0 else", "if lo < 0 else", "tests/test_block.py -k any_order"),
    Mutant("kernels/sparse.pyx", "_deal", "start[task] = m", "start[task] = a", "tests/test_linear.py"),
    Mutant("kernels/block_gram.pyx", "_sum_of_slabs", "range(1, u.slabs)", "range(2, u.slabs)", "tests/test_block.py"),
    Mutant("kernels/block_gram.pyx", "_slab", "(slab + 1) * n // u.slabs", "slab * n // u.slabs",
           "tests/test_block.py"),
    Mutant("kernels/rows.pyx", "rows_move", "if r.moved[i] != row.start", "if False", "tests/test_block.py"),
    # ---- screening and references
    Mutant(LIVE_COLUMNS, "bring", "sqrt(s.rr) / self.dead_r if self.dead_r > 0 else INFINITY", "1",
           "tests/test_screening.py -k come_back"),
    Mutant(LIVE_COLUMNS, "bring", "s.r_max / self.dead_rmax if self.dead_rmax > 0 else INFINITY", "1",
           "tests/test_screening.py -k come_back"),
    Mutant(LIVE_COLUMNS, "_wake", "l1 = alpha * pen1", "l1 = 2 * alpha * pen1",
           "tests/test_screening.py -k dead_only"),
    Mutant(SCREENING, "_bound_columns", "fabs(now.est[a]) + now.err[a] <= l1", "fabs(now.est[a]) <= l1",
           "tests/test_screening.py -k sharp"),
    Mutant(SCREENING, "_allow", "found.loss += most + (", "found.loss += (", "tests/test_screening.py -k unread"),
    Mutant(SCREENING, "_allow", "n = kept", "return n", "tests/test_screening.py -k unread"),
    Mutant(SCREENING, "_extend_references", "watch.refs.g[0][a] = self.batch.xy[t, self.live[a]]",
           "watch.refs.g[0][a] = 0",
           "tests/test_screening.py -k along"),
    Mutant(SCREENING, "_violating_columns", "excess <= self.slack * l1", "excess <= 0.1 * l1",
           "tests/test_screening.py -k along"),
    Mutant(SCREENING, "predict", "if ahead:", "if False:", "tests/test_counts.py"),
    Mutant(SCREENING, "read_candidates", "whole = cost > PARTIAL * each", "whole = cost > 0", "tests/test_counts.py"),
    Mutant(REFERENCES, "references_fit", "for _ in range(2)", "for _ in range(1)",
           "tests/test_references.py -k parallel"),
    Mutant(REFERENCES, "references_fit", "if s > 1e-28", "if s > 1e-20", "tests/test_references.py -k rounding"),
    Mutant(REFERENCES, "_solve_small_system", "1e-14 * A", "1e-6 * A", "tests/test_references.py -k parallel"),
    Mutant(REFERENCES, "references_keep", "f.first and b > 0", "f.first", "tests/test_references.py -k oldest"),
    # ---- the working block
    Mutant(BLOCK, "_level", "w[k] * mean[place(pos, k)]", "0", "tests/test_block.py -k pieces"),
    Mutant(BLOCK_GRAM, "_combine", "b.count[f * b.n_parts + part] - usual", "b.count[f * b.n_parts + part]",
           "tests/test_block.py -k folds"),
    Mutant(BLOCK_GRAM, "_tile_of_parts", "b.order[hi - 1] - b.order[lo] > hi - 1 - lo", "False",
           "tests/test_block.py -k dense_folds"),
    Mutant(BLOCK, "_slab_residual", "_times_root(fit.of.root, i, fit.r[i])", "fit.r[i]",
           "tests/test_block.py -k folds"),
    Mutant(BLOCK, "_slab_error", "- level - test.shift", "- level", "tests/test_block.py -k folds"),
    Mutant(BLOCK, "block_append", "column_mean[cols[a]] - level[cols[a]]", "column_mean[cols[a]]",
           "tests/test_block.py -k pieces"),
    Mutant(BLOCK, "block_correlate", "least = min(least, pos[k])", "least = max(least, pos[k])",
           "tests/test_block.py -k pieces"),
    Mutant(ROWS, "rows_reserve", "<= row.room", "<= row.room + 1", "tests/test_block.py -k rows_grow"),
    # ---- the factor and the small problem
    Mutant(FACTOR, None, "PIVOT_TOL = 1e-11", "PIVOT_TOL = 1e-10", "tests/test_factor.py -k counts"),
    Mutant(FACTOR, "_cholesky", "> floor_[j]", "> 0", "tests/test_factor.py -k counts"),
    Mutant(FACTOR, "_copy_rows", "if not dependent[i]", "if True", "tests/test_factor.py -k left_out"),
    Mutant(FACTOR, "factor_remove", "a, b = a / r, b / r", "a, b = a / r, -b / r", "tests/test_factor.py -k remove"),
    Mutant(QUADRATIC, "_walk", "tmp * col[q.f.idx[a]]", "0", "tests/test_quadratic.py -k path"),
    Mutant(QUADRATIC, "_slide", "-1 if slope > 0 else 1", "1 if slope > 0 else -1", "tests/test_quadratic.py -k slide"),
    Mutant(QUADRATIC, "_direction", "q.res[i] -= step * (q.mdir[i] - q.rate[i])", "q.res[i] -= step * q.mdir[i]",
           "tests/test_quadratic.py -k stale"),
    Mutant(QUADRATIC, "quad_violates", "h > l1 + tol and q.hi[j] > 0", "h > l1 + tol",
           "tests/test_quadratic.py -k negative"),
    Mutant(QUADRATIC, "_append", "q.l2f[js[k]] = q.l2[js[k]]", "q.l2f[js[k]] = 0", "tests/test_quadratic.py -k path"),
    Mutant(QUADRATIC, "quad_polish", "q.d[i]) <= 1", "q.d[i]) < 0", "tests/test_quadratic.py -k polish"),
    # ---- the engine
    Mutant(LOOP, "good", "max(self.tol, LEAST_TOL) * self.batch.problems[t].unit", "1e300",
           "tests/test_certificate.py -k rounds"),
    Mutant(LOOP, "_stalls", "state.stalled >= 3", "False", "tests/test_certificate.py -k rounds"),
    Mutant(LOOP, "_judge", "found.n == 0 and (", "(", "tests/test_lockstep.py -k one_by_one"),
    Mutant(GATHERED, "_check_digits", "<= DIGITS * norm * norm", "<= 1e300", "tests/test_lockstep.py -k another_size"),
    Mutant(PROBLEM, "largest_alphas", "and lower(terms, j) < 0", "", "tests/test_counts.py -k largest"),
    Mutant(FREE, "_walk", "(q.l2[j] * q.w[j] + q.l1[j] * q.sg[j]) * f.d[k]", "0",
           "tests/test_quadratic.py -k products"),
    Mutant(FREE, "free_correlate", "(1 if d.root == NULL else d.root[i])", "1", "tests/test_quadratic.py -k products"),
    # ---- moments, Gram matrices, sums
    Mutant(GRAM, "_centre_gram", " - mi * mj", "", "tests/test_part_sums.py -k gram"),
    Mutant(GRAM, "_high_level", "return True", "return False", "tests/test_part_sums.py -k gram"),
    Mutant(GRAM, "add_rows", "(1 if scaled else root) * Y", "Y", "tests/test_part_sums.py -k part_sums"),
    Mutant(FOLDS, None, "1 if d.weight == NULL else d.weight[i0 + i]", "1",
           "tests/test_part_sums.py -k part_sums"),
    Mutant("kernels/merged.pyx", "merge", "kept += seen[j] == 2", "kept += seen[j] >= 1",
           "tests/test_part_sums.py -k one_entry"),
    Mutant("kernels/loo.pyx", "_rows", "S[i] = Z[i] * Z[i]", "S[i] = Z[i]", "tests/test_loo.py"),
    Mutant(KRYLOV, "_product", "Q[a, j] += beside[j] * work[a, j]", "pass", "tests/test_krylov.py -k coordinates"),
    Mutant(KRYLOV, "lanczos", "fr_axpy(p, -coupling, &last[0], &q[0])", "pass", "tests/test_krylov.py -k lanczos"),
    Mutant(DENSE, "_dense_rows_moments", "of.mean[j] += X[", "of.mean[j] += 0 * X[", "tests/test_block.py -k pieces"),
    Mutant(SPARSE, "_column_moments", " + absent * m * m", "", "tests/test_part_sums.py -k moments"),
    Mutant(SPARSE, None, "FEW_DIGITS = 1e-3", "FEW_DIGITS = 0", "tests/test_part_sums.py -k moments"),
    # ---- weights, intercepts, penalties
    Mutant(WEIGHTS, "normalised", "self.n / np.sum(self.raw)", "1", "tests/test_weights.py"),
    Mutant(WEIGHTS, "centred", "targets *= self.root", "pass", "tests/test_weights.py"),
    Mutant(WEIGHTS, "centred", "targets -= lost[:, None]", "pass", "tests/test_weights.py"),
    Mutant("targets.py", "check_offset", "np.ascontiguousarray(array)", "array", "tests/test_invariances.py"),
    Mutant("solutions.py", "by", "y_means + intercepts - shift", "y_means + intercepts + shift",
           "tests/test_linear.py -k 'storages and C'"),
    Mutant(PENALTY, "arrays", "factor * spread**2", "factor * spread", "tests/test_linear.py -k 'options and C'"),
    Mutant(PENALTY, None, "(self.lower, self.upper)", "(self.lower, np.inf)",
           "tests/test_linear.py -k 'options and C'"),
    Mutant("solvers/folds.py", "moments", " - weight * np.outer(means, means)", "",
           "tests/test_crossval.py -k fold_is_the_fit"),
    Mutant(RIDGE + "problem.py", "diagonal", "F *= norms**2 / self.n", "F *= norms**2",
           "tests/test_ridge.py -k standardize"),
    Mutant(RIDGE + "problem.py", "column_scale", "1 / np.sqrt(F[active])", "1 / F[active]",
           "tests/test_ridge_cv.py -k penalty_factors"),
    Mutant(RIDGE + "problem.py", "of", "weight = of_weight.down(weight)", "of_weight = Scale(0)",
           "tests/test_ridge_hard.py -k weights_of_any"),
    Mutant(RIDGE + "problem.py", "without", "factor=F, ", "", "tests/test_ridge_hard.py -k rows_left_out"),
    Mutant(RIDGE + "certificate.py", "reach_of", "rounding_of_sums(per_row) * (", "0 * (",
           "tests/test_ridge_hard.py -k include_rounding"),
    Mutant(RIDGE + "certificate.py", "bound", "self.scaled / damped + through", "through",
           "tests/test_ridge_hard.py -k planted"),
    Mutant(RIDGE + "leave_one_out.py", "loses_digits", "certificate.bound > PROMISED", "certificate.bound < PROMISED",
           "tests/test_ridge_hard.py -k planted"),
    Mutant(RIDGE + "choose.py", "solve", "or method.trusted", "", "tests/test_ridge_exact.py -k dependent_columns"),
    # ---- paths and choices
    Mutant("glmnet.py", "from_glmnet", "(1 - share) / sd", "1 - share", "tests/test_migration.py -k gaussian"),
    Mutant("selection.py", "best_of", "-alphas[curve, at]", "alphas[curve, at]", "tests/test_selection.py -k ties"),
    Mutant("selection.py", "within_one_error", "near[0]", "near[-1]", "tests/test_ridge_cv.py -k curves_of_leave"),
    Mutant("ridge_path.py", "losses_of_rows", "np.flatnonzero(problem.constant)", "np.arange(problem.n)",
           "tests/test_ridge_cv.py -k curves_of_leave"),
    Mutant("ridge_path.py", "losses_of_rows", "ddof=1", "ddof=0", "tests/test_ridge_cv.py -k curves_of_leave"),
    Mutant("ridge_path.py", "curve_of_rows", "df[None, place]", "df[None]",
           "tests/test_ridge_cv.py -k curves_of_leave"),
    Mutant("paths.py", "coef_at", "back = np.argsort(order)", "back = order", "tests/test_path.py -k 'ridge or own'"),
    Mutant("paths.py", "coef_at", "share = at - lo", "share = lo - at", "tests/test_path.py -k 'any_alpha or ridge'"),
    Mutant("paths.py", "path_of", "coefs[:, t::n_targets]", "coefs[:, ::n_targets]",
           "tests/test_path.py -k own"),
    # ---- results as people read them
    Mutant("predictions.py", "_null_deviance", "(y, weight, offset)[2]", "(y, weight)[2]",
           "tests/test_results.py -k rows_of_the_fit"),
    Mutant("predictions.py", "_null_deviance", "return 0.0", "return 1.0", "tests/test_results.py -k scores_of_labels"),
    Mutant("paths.py", "_taken", "np.diff(index) <= 0", "np.diff(index) < 0", "tests/test_results.py -k anew"),
    Mutant("paths.py", "at", "counts.sum(axis=0) if self._several else counts", "counts",
           "tests/test_results.py -k parts"),
    Mutant("tables.py", "relative_gaps", "null / 2, 1", "null, 1", "tests/test_results.py -k summary"),
    Mutant("tables.py", "certificate", "np.nanargmax(bound)", "0", "tests/test_results.py -k summar"),
    Mutant("tables.py", "frame", "if nonzero:", "if False:", "tests/test_results.py -k to_frame"),
    Mutant("ridge_path.py", "_grid", "10 * np.sum", "np.sum", "tests/test_results.py -k picks"),
    Mutant("ridge_path.py", "_grid", "problem.unit * top", "top", "tests/test_results.py -k picks"),
    Mutant("ridge_path.py", "_grid", ", WIDEST)", ", 0.0)", "tests/test_results.py -k given"),
    Mutant("selection.py", "at_edge", "and df != 0", "", "tests/test_edges.py -k nothing"),
    Mutant("selection.py", "at_edge", "> LEVEL * unit", ">= 0", "tests/test_edges.py -k level"),
    Mutant("selection.py", "at_edge", "not df < 1.5", "False", "tests/test_edges.py -k ridge"),
    Mutant("selection.py", "warn_at_edge", "(counted and edge == \"largest\")", "False",
           "tests/test_edges.py -k nothing"),
    Mutant("selection.py", "warn_at_edge", "(edge == \"smallest\") == (inverse is None)", "edge == \"smallest\"",
           "tests/test_edges.py -k other_losses"),
    Mutant("drawing/names.py", "spread", "wanted[order] - steps", "wanted[order]", "tests/test_plot.py -k spread"),
    Mutant("drawing/names.py", "place", "k < kept", "True", "tests/test_plot.py -k overlap"),
    Mutant("drawing/names.py", "place", "at[:kept] - box.y0", "at[:kept]", "tests/test_plot.py -k stay"),
    Mutant("drawing/names.py", "_too_wide", "*beside", "", "tests/test_plot.py -k inside"),
    Mutant("drawing/axes.py", "looks", "k // len(colours) % len(STYLES)", "0", "tests/test_plot.py -k alike"),
    Mutant("drawing/axes.py", "grey", "0.0 if level > 0.5 else 1.0", "0.0", "tests/test_plot.py -k greys"),
    Mutant("drawing/path.py", "_without_rests", "seen[..., :-1] |= used[..., 1:]", "seen &= False",
           "tests/test_plot.py -k leading"),
    Mutant("drawing/path.py", "draw_path", "-highlight, -path.alphas[on]", "highlight, path.alphas[on]",
           "tests/test_plot.py -k horizontal"),
    Mutant("drawing/curves.py", "draw_curves", "sign * values[on]", "values[on]", "tests/test_plot.py -k metric"),
    Mutant("drawing/axes.py", "_width", "ax.figure.dpi", "(3 * ax.figure.dpi)", "tests/test_plot.py -k part_of"),
    Mutant("plot.py", "_with_names", "_names(owner, path.n_features_in_)", "path.alphas",
           "tests/test_plot.py -k displays"),
    Mutant("ridge_path.py", "_solved", "if single else found", "if not single else found", "tests/test_kept_paths.py"),
    Mutant("ridge_path.py", "path_of_rows", "standardize), weight,", "standardize), None,",
           "tests/test_kept_paths.py -k axes"),
    Mutant("estimators/ridge_cv.py", "_choose_by_rows", "self.keep_paths or ", "", "tests/test_kept_paths.py"),
    Mutant("estimators/logistic_cv.py", "_set", "curves.best_1se", "curves.best",
           "tests/test_kept_paths.py -k Logistic"),
    # ---- what others take them for
    Mutant("paths.py", "__setstate__", "SparseCoefs(coefs) if sp.issparse(coefs) else coefs", "coefs",
           "tests/test_persistence.py -k skops"),
    Mutant("onnx.py", "_precision", "operator.raw_operator.coef_.dtype", "np.float32",
           "tests/test_onnx.py -k precision"),
    Mutant("onnx.py", "_link", "return node", "return OnnxIdentity", "tests/test_onnx.py -k links"),
    Mutant("onnx.py", "_is_zipped", "operator.outputs[1] in other.inputs", "False",
           "tests/test_onnx.py -k two_classes"),
    Mutant("onnx.py", "_check", "(offset is None or offset != 0)", "False", "tests/test_onnx.py -k offsets"),
    Mutant("onnx.py", "_labels", "np.any(classes.astype(np.int64) != classes)", "False", "tests/test_onnx.py -k know"),
    Mutant("onnx.py", "_convert_classifier", "OnnxSoftmax(each, axis=1, op_version=version) if several else ", "",
           "tests/test_onnx.py -k every"),
    Mutant("drawing/losses.py", "draw_losses", "values.mean(axis=0)", "values[0]", "tests/test_plot.py -k losses"),
    # ---- losses and their solvers
    Mutant("datafits/poisson.pyx", "excess", "(1 - c) * (y[i] - mu) / mu", "(1 - c) * (y[i] - mu) / y[i]",
           "tests/test_curved.py -k poisson"),
    Mutant("datafits/base.pyx", "refit_intercept", "if slope > 0 or", "if slope < 0 or", "tests/test_datafits.py"),
    Mutant(CURVED, "_take_step", "state.b -= part * level", "pass", "tests/test_curved.py"),
    Mutant(CURVED, "_go", "state.b -= level", "pass", "tests/test_curved.py"),
    Mutant("kernels/sweep.pyx", "_dense_slab", "u.v[i] = -u.level", "u.v[i] = 0", "tests/test_block.py -k reading"),
    Mutant("kernels/sweep.pyx", "block_sweep", "range(1, u.slabs)", "range(2, u.slabs)",
           "tests/test_block.py -k reading"),
    Mutant(CURVED, "_refresh", "s * model.weight[i] if s > 0 else 0", "model.weight[i]", "tests/test_curved.py"),
    Mutant(CURVED, "_go", "by_slope and not slope <= -ACCEPTED * begin", "False", "tests/test_curved.py"),
    Mutant(EXISTENCE, "escape", "held = (low & (down <= 0)) | (high & (down >= 0))",
           "held = low | high", "tests/test_existence.py"),
    Mutant(EXISTENCE, "escape", "blocked = ~held & ((low & (d < 0)) | (high & (d > 0)))",
           "blocked = ~held & (low & high)", "tests/test_existence.py"),
    Mutant(EXISTENCE, "escape", "free = problem.free_columns(alpha) & (np.isinf(lower) | np.isinf(upper))",
           "free = problem.free_columns(alpha)", "tests/test_existence.py"),
    Mutant(EXISTENCE, "begin", "np.clip(eta, base - NEAR, base + NEAR)", "eta", "tests/test_existence.py"),
    Mutant(EXISTENCE, "near_limits", "self.lower + reach", "np.inf", "tests/test_existence.py"),
    Mutant(EXISTENCE, "forbid", "-LEFT * np.abs(slope)", "0", "tests/test_existence.py"),
    Mutant(EXISTENCE, "forbid", "np.all(down <= slack, where=low)", "True", "tests/test_existence.py"),
    Mutant(EXISTENCE, "forbid", "np.all(down >= -slack, where=high)", "True", "tests/test_existence.py"),
    Mutant(EXISTENCE, "along", "gone >= -TIE * most", "gone >= -1e-3 * most", "tests/test_existence.py"),
    Mutant(EXISTENCE, "along", "np.all(np.abs(v[self.side == 0]) <= TIE * most)", "True", "tests/test_existence.py"),
    Mutant(REWEIGHTED, "_step", "a = a - a.sum() / of_level.sum() * of_level", "pass",
           "tests/test_generalized.py -k ridge"),
    Mutant(REWEIGHTED, "_gradient", "l2 * at.w, 0", "0, 0", "tests/test_generalized.py -k ridge"),
    Mutant(REWEIGHTED, "_move", "up * l2", "l2", "tests/test_generalized.py -k by_products"),
    Mutant(REWEIGHTED, "_move", "up * down", "down", "tests/test_generalized.py -k by_products"),
    Mutant(REWEIGHTED, "_move", "if weights.normalised is not None", "if False",
           "tests/test_generalized.py -k by_products"),
    Mutant(REWEIGHTED, "_move", "min(FORCING * far, MOST_LEFT)", "1e-10", "tests/test_generalized.py -k by_products"),
    Mutant(REWEIGHTED, "_move", "min(FORCING * far, MOST_LEFT)", "MOST_LEFT",
           "tests/test_generalized.py -k by_products"),
    Mutant(LOSS_ROWS, "along", "if at_hi <= -ACCEPTED * begin", "if True", "tests/test_generalized.py -k ridge"),
    Mutant(NEWTON, "__init__", "self.G[some] -= np.multiply.outer(share * level[some], level)", "pass",
           "tests/test_newton.py"),
    Mutant(NEWTON, "_renew", "at.curvature if expected is None else expected", "at.curvature",
           "tests/test_newton.py -k expected"),
    Mutant(NEWTON, "descend", "if gap > AFAR * of.unit", "if False", "tests/test_newton.py"),
    Mutant(NEWTON, "_by_samples", "if self._objective(at, l2) >= self._objective(start, l2)", "if False",
           "tests/test_newton.py"),
    Mutant(NEWTON, "_by_samples", "if few.one_sided()", "if False", "tests/test_newton.py"),
    Mutant(NEWTON, "_by_samples", "STIFF * scale * few.norms[cols]**2, 0", "0, 0", "tests/test_newton.py"),
    Mutant(NEWTON, "_goes_on", "self.rate < 1 and", "True and", "tests/test_newton.py"),
    Mutant(NEWTON, "_minimise", "(self.stale or not self._goes_on(max(gap / aim, 1))) and", "True and",
           "tests/test_newton.py"),
    Mutant(NEWTON, "learn", "if found > BENT * (move @ along)", "if True", "tests/test_newton.py -k learn"),
    Mutant(NEWTON, "learn", "+ np.multiply.outer(bend, bend / found)", "", "tests/test_newton.py -k learn"),
    Mutant(REWEIGHTED, "__init__", "np.array_equal(lead.inverse, self.inverse)", "True",
           "tests/test_newton.py -k kernel"),
    Mutant("scores.py", "_area", " - 0.5 * zeros", "", "tests/test_scores.py"),
    Mutant("scores.py", "_both", "counted.any() and not counted.all()", "True", "tests/test_scores.py"),
    Mutant("scores.py", "_both", "second[weight > 0]", "second", "tests/test_scores.py"),
    Mutant("scores.py", "of_all_classes", 'told["pos_label"] = classes[-1]', "pass", "tests/test_scores.py"),
    Mutant("scores.py", "_log_loss", "-np.log(EPS)", "np.inf", "tests/test_scores.py"),
    Mutant("kernels/products.pyx", "_store", "range(1, u.slabs)", "range(2, u.slabs)",
           "tests/test_block.py -k squares"),
    Mutant("kernels/products.pyx", "_square", "scaled + (i - b) * STRIP", "scaled + (j - b) * STRIP",
           "tests/test_block.py -k squares"),
    Mutant(CURVED, "_refresh", "if total > 0 or not model.flat", "if True", "tests/test_margins.py -k curvature"),
    Mutant("datafits/gamma.pyx", "excess", "(1 - c) * (1 - m) / m", "(1 - c) * (1 - m)", "tests/test_datafits.py"),
    Mutant("datafits/given.pyx", "_left", "fmax(row, 0) + ROUNDING", "fmax(row, 0) - ROUNDING", OWN + "dual_point"),
    Mutant("datafits/given.pyx", "_left", "row = min(row,", "row = max(row,", OWN + "dual_point"),
    Mutant("datafits/given.pyx", "_where", "+ fabs(eta[i] - there[i]) * dual[i]", "", OWN + "dual_point"),
    Mutant("datafits/given.pyx", "_where", "end[kept], at_end[kept] = x[k], slope[k], trial[k], found[k]",
           "end[kept], at_end[kept] = trial[k], found[k], end[k], at_end[k]", OWN + "dual_point"),
    Mutant("datafits/given.pyx", "_largest", "+ (hi - lo) * at + ROUNDING", "- 1e-12 + ROUNDING",
           OWN + "test_rows"),
    Mutant("datafits/given.pyx", "_largest", "return INFINITY", "return 0", OWN + "test_rows"),
    Mutant("datafits/given.pyx", "_beyond", "(slope - u) * (begin - u) <= 0 and", "", OWN + "slowly"),
    Mutant("datafits/given.pyx", "_fill", "out[i] = NAN", "out[i] = 0", OWN + "raise"),
    Mutant("datafits/given.pyx", "at", "fabs(h[i]) if not self.convex else 0", "h[i] if not self.convex else 0",
           OWN + "not_convex"),
    Mutant("datafits/machine.py", "_read", "hashlib.sha256(code).digest() == digest", "True", OWN + "code_is_kept"),
    Mutant("datafits/machine.py", "_told", "_told(cell.cell_contents, within)", "0", OWN + "key"),
    Mutant("datafits/machine.py", "_told", "repr(value)", "0", OWN + "key"),
    Mutant("datafits/machine.py", "machine_code", "all(map(_has_source, functions))", "True", OWN + "without_a_file"),
    Mutant("datafits/functions.py", "_check_derivatives", "share * most", "share * most + 1",
           OWN + "go_together"),
    Mutant("datafits/functions.py", "_check_convex", "h < -1e-12", "h < -1e12", OWN + "go_together"),
    Mutant("datafits/functions.py", "_check_conjugate", "~(left >= -size)", "left < -np.inf", OWN + "go_together"),
    Mutant("datafits/base.pyx", "model_excess", "LEAST * total / weights", "0 * total / weights",
           POWERS + "rows_of"),
    Mutant("datafits/base.pyx", "model_excess", "0.5 * step * step", "step * step", POWERS + "rows_of"),
    Mutant("datafits/base.pyx", "refit_intercept", "2 * reach", "reach", OWN + "far_away"),
    Mutant("datafits/tweedie.pyx", "at", "max(h[first + i], up[i])", "up[i]", POWERS + "rows_of"),
    Mutant("datafits/tweedie.pyx", "check_y", "least <= 0 and", "least < 0 and", POWERS + "names"),
    Mutant(CURVED, "_go", "not self._falls(t, state, 1, begin, &by_slope) and not by_slope", "False",
           "tests/test_fuzz_stationary.py"),
    Mutant(CURVED, "_falls", "fabs(risen) <= blur", "False", "tests/test_fuzz_stationary.py"),
    Mutant(GLM, "moved", "self.r - np.where(self.on, self.modelled * change, 0.0)", "self.r", POWERS + "stationary"),
    Mutant("solvers/judging.pyx", "penalty_risen", "q.l1[k] * (fabs(w + z) - fabs(w))",
           "-q.l1[k] * (fabs(w + z) - fabs(w))",
           "tests/test_powers.py"),
    Mutant("estimators/means.py", "_measure_dispersion", "- bool(self.fit_intercept)", "", POWERS + "dispersion"),
    Mutant("referee/losses.py", "young", "reach * np.abs(at - u) + 4", "0 * np.abs(at - u) + 4",
           "tests/test_custom.py"),
    Mutant("datafits/tweedie.pyx", "excess", "down * exp(b * d) * _grown(-b * d) / b", "down * _grown(-b * d) / b",
           "tests/test_datafits.py"),
    Mutant("datafits/tweedie.pyx", "conjugate_at", "+ left * left / curve", "- 1e-9", "tests/test_datafits.py"),
    Mutant("datafits/squared_hinge.pyx", "excess", "0.5 * (1 - c) * (1 - c)", "0.5 * (1 - c)",
           "tests/test_datafits.py"),
    Mutant("datafits/huber.pyx", "excess", "if far > 0 and", "if False and", "tests/test_datafits.py"),
    Mutant("datafits/huber.pyx", "refit_intercept", "if lo < shift < hi else", "if True else",
           "tests/test_datafits.py -k curvature_ends"),
    Mutant("solvers/folds.py", "_advance", "if self.by_total", "if False", "tests/test_generalized.py -k cv"),
    Mutant("crossval.py", "_predictors", "problem.offset[test, None]", "0.0", "tests/test_generalized.py -k cv"),
    Mutant("selection.py", "out_of_patience", "np.count_nonzero(n_used <= free) - 1", "0",
           "tests/test_selection.py -k nothing_is_in_use"),
    Mutant("selection.py", "out_of_patience", ">= patience", "> patience", "tests/test_validation.py -k patience"),
    Mutant("solvers/relax.py", "_likelihoods", "**how_far", "", "tests/test_selection_glm.py -k unfinished"),
    Mutant("criteria.py", "_counted", "> costs.BUDGET", "> np.inf", "tests/test_selection_glm.py -k room"),
    Mutant(CRITERIA, "likelihoods_and_degrees", " * np.mean(curvature)", "", "tests/test_selection_glm.py -k formula"),
    Mutant(CRITERIA, "likelihoods_and_degrees", "+ problem.datafit.log_measure(y[0])", "",
           "tests/test_selection_glm.py -k formula"),
    Mutant(CRITERIA, "likelihoods_and_degrees", "rows * (", "problem.n * (",
           "tests/test_selection_glm.py -k formula"),
    Mutant(CRITERIA, "likelihoods_and_degrees", "eta + problem.offset", "eta",
           "tests/test_selection_glm.py -k formula"),
    Mutant("progress.py", "__call__", "100 * done // self.total == 100 * self.done // self.total and ", "",
           "tests/test_progress.py -k percents_and_now"),
    Mutant("progress.py", "__call__", " and now < self._next", "", "tests/test_progress.py -k percents_and_now"),
    Mutant("progress.py", "__call__", "max(self.done, done)", "done", "tests/test_progress.py -k percents_and_now"),
    Mutant("progress.py", "__call__", "if done < self.total", "if True", "tests/test_progress.py -k percents_and_now"),
    Mutant("progress.py", "__call__", " + ROUNDING", "", "tests/test_progress.py -k fractions"),
    Mutant("progress.py", "__call__", " and not self._failed", "", "tests/test_progress.py -k raises"),
    Mutant("progress.py", "reporting", 'getattr(listener, "close", lambda: None)()', "pass",
           "tests/test_progress.py -k has_no_end"),
    Mutant("progress.py", "reporting", "    progress.finish()", "    pass", "tests/test_progress.py -k ends_once"),
    Mutant("progress.py", "Bar", "now < self.next_draw and not ends", "not ends",
           "tests/test_progress.py -k drawn_now_and_then"),
    Mutant("progress.py", "Bar", "now < self.next_draw and not ends", "now < self.next_draw",
           "tests/test_progress.py -k drawn_now_and_then"),
    Mutant("progress.py", "close", "self.drawn = False", "pass", "tests/test_progress.py -k drawn_now_and_then"),
    Mutant("problem.py", "within", "min(done, each)", "done", "tests/test_progress.py -k put_together"),
    Mutant("problem.py", "tell", "rounds / self.max_iter", "0.0", "tests/test_progress.py -k put_together"),
    Mutant("solvers/path.py", "solve_path", "spec.within(k, len(groups))", "spec",
           "tests/test_progress.py -k two_scales_are"),
    Mutant("crossval.py", "penalty_values", " + (how.refit and how.keep_paths)", "",
           "tests/test_progress.py -k kept"),
    Mutant("crossval.py", "_choose", "count.fits(k * len(grid) * len(tests.folds))", "count.fits(0)",
           "tests/test_progress.py -k whatever_way"),
    Mutant("cli/__init__.py", "_run", ' or curves.at_edge != "smallest"', " or True",
           "tests/test_cli_model.py -k goes_on"),
    Mutant("cli/__init__.py", "_plot", "None if model.curves is None else model.alpha", "None",
           "tests/test_cli.py -k names_the_columns"),
    Mutant("cli/compare.py", "_hears", "bar(math.floor(limit - left), math.ceil(limit))", "pass",
           "tests/test_cli.py -k terminal_sees"),
    Mutant("crossval.py", "_scored", "            tick(1 / len(fits))", "            pass",
           "tests/test_progress.py -k has_its_share"),
    Mutant("solvers/relax.py", "_least_squares", "            tick(1)", "            pass",
           "tests/test_progress.py -k has_its_share"),
    Mutant("solvers/relax.py", "_likelihoods", "        tick(1)", "        pass",
           "tests/test_progress.py -k relaxed_counts"),
    Mutant("criteria.py", "sums_and_degrees", "        tick(1)", "        pass",
           "tests/test_progress.py -k has_its_share"),
    Mutant("criteria.py", "likelihoods_and_degrees", "        tick(1)", "        pass",
           "tests/test_progress.py -k by_BIC"),
    Mutant("problem.py", "tell", "go_on()", "pass", "tests/test_progress.py -k within_a_step"),
    Mutant("solvers/folds.py", "_report_apart", "before + done / size", "done / size",
           "tests/test_progress.py -k comes_apart"),
    Mutant("solvers/folds.py", "_report_apart", "done / size", "done", "tests/test_progress.py -k comes_apart"),
    Mutant("solvers/reweighted.py", "advance", "self.finished += 1", "pass", "tests/test_progress.py -k under_L2"),
    Mutant("solvers/softmax.py", "advance", "self.finished += 1", "pass", "tests/test_progress.py -k under_L2"),
    Mutant("solvers/newton.py", "_minimise", "steps if rows is self.rows else 0", "0",
           "tests/test_progress.py -k many_rows"),
    Mutant("solvers/concomitant_search.py", "search", "model.count_step()", "pass",
           "tests/test_progress.py -k HuberRegressor"),
    Mutant("solvers/concomitant_newton.py", "descend", "model.count_step()", "pass",
           "tests/test_progress.py -k HuberRegressor"),
    Mutant("solvers/ticker.pyx", "count_value", "if self.told", "if False", "tests/test_progress.py -k ends_once"),
    Mutant("solvers/ticker.pyx", "count_round", "if self.told", "if False", "tests/test_progress.py -k ends_once"),
    Mutant("solvers/engine.pyx", "set_penalty", "self.ticker.finished = 0", "pass",
           "tests/test_progress.py -k whatever_way"),
    Mutant("ridge_path.py", "_by_scorer", "tell(len(out) / len(problem.given))", "pass",
           "tests/test_progress.py -k scorer"),
    Mutant("estimators/reporting.py", "__sklearn_clone__", "clone._called = self._called", "pass",
           "tests/test_progress.py -k come_with"),
    Mutant("estimators/reporting.py", "Tasks", "1 if done == total else ", "", "tests/test_progress.py -k of_rounds"),
    Mutant("estimators/reporting.py", "_reporting", "self._tear_down()", "pass", "tests/test_progress.py -k torn_down"),
    Mutant("estimators/reporting.py", "_reporting", "tasks.end()", "pass", "tests/test_progress.py -k share_of"),
    Mutant("validation.py", "deviances", "eta + self.offset[:, None]", "eta", "tests/test_validation.py -k definition"),
    Mutant("validation.py", "deviances", "self.weight.sum()", "len(self.y)", "tests/test_validation.py -k definition"),
    Mutant("selection.py", "fit_all_rows", "fit.deviance = _deviance(problem, fit)", "pass",
           "tests/test_selection_glm.py -k relaxed"),
    Mutant("selection.py", "_deviance", "eta + problem.offset", "eta", "tests/test_selection_glm.py -k relaxed"),
    Mutant("solvers/relax.py", "_likelihoods", "np.array_equal(on, before)", "True",
           "tests/test_selection_glm.py -k relaxed"),
    Mutant("solvers/relax.py", "_likelihoods", "on = free.copy()", "on = np.zeros_like(free)",
           "tests/test_selection_glm.py -k without_penalty"),
    Mutant("solvers/relax.py", "_without_penalty", "away is not None and away.known", "False",
           "tests/test_selection_glm.py -k separates"),
    Mutant("targets.py", "as_target", "codes == 1", "codes == 0", "tests/test_generalized.py -k path"),
    Mutant("predictions.py", "decision_function", "if offset is None and self.has_offset", "if False",
           "tests/test_generalized.py -k path"),
    Mutant("problem.py", "of", "datafit.quadratic and offset is not None", "False",
           "tests/test_generalized.py -k offset"),
    # ---- the referee of generalised linear models
    Mutant(GLM, "__init__", "self.off = min(", "self.off = 0 * min(", GLM_TESTS + "no_less"),
    Mutant(GLM, "fit", "fitted + self.offset", "fitted", GLM_TESTS + "no_less"),
    Mutant(GLM, "left", "(1 - c) * self.r) if", "0 * self.r) if", GLM_TESTS + "no_less"),
    Mutant(GLM, "along", " - risen", "", GLM_TESTS + "'no_less or without_penalty'"),
    Mutant(GLM, "_sum", "values[self.on]", "values", GLM_TESTS + "one_problem"),
    Mutant(GLM, "__init__", "= self._best_intercept(eta)", "= eta, False", GLM_TESTS + "wrong_ones"),
    Mutant("referee/problem.py", "_improved_gap", " + fit.off", "", GLM_TESTS + "without_penalty"),
    Mutant("referee/problem.py", "bound_at", "(1 - 4 * EPS) * ", "", GLM_TESTS + "no_less"),
    Mutant(GLM_LOSSES, "divergence", "< 0.03", "< 0.3", GLM_TESTS + "'mpmath or vanish'"),
    Mutant(GLM_LOSSES, "divergence", "moved > 0, moved * np.log1p", "True, moved * np.log1p", GLM_TESTS + "vanish"),
    Mutant(GLM_LOSSES, "excess", "away**2 * series", "away**2", GLM_TESTS + "mpmath"),
    Mutant("referee/answers.py", "_of_loss", "C = np.inf", "pass", GLM_TESTS + "wrong_ones"),
    Mutant("referee/answers.py", "_of_loss", 'asked["mean"] = False', 'asked["mean"] = True', GLM_TESTS + "wrong_ones"),
    Mutant("referee/certificate.py", "_of_classes", "np.bincount(at, counted)", "np.bincount(at)",
           GLM_TESTS + "wrong_ones"),
    # ---- several classes
    Mutant(CLASSES, "classes_offsets", "before[i] += e[i]", "pass", CLASSES_ALONE + "over_the_others"),
    Mutant(CLASSES, "classes_loss", "top[i] - row[i]", "0 - row[i]", CLASSES_ALONE + "over_the_others"),
    Mutant(CLASSES, "classes_model", "dsyrk(&lower", "dsyrk(&turned", CLASSES_ALONE + "step_of_all"),
    Mutant(CLASSES, "classes_step", "+ i] += scale", "+ i] += 0", CLASSES_ALONE + "step_of_all"),
    Mutant(CLASSES, "classes_fit", "part *= 0.5", "part *= 1", CLASSES_ALONE + "best_coefficients"),
    Mutant(CLASSES, "_bent_step", "fabs(along) / reach", "0", CLASSES_ALONE + "best_coefficients"),
    Mutant(CLASSES, "_within", "held[i] = more = True", "pass", CLASSES_ALONE + "best_coefficients"),
    Mutant(CLASSES, "cancelling", "share[a] /= total", "pass", CLASSES_ALONE + "cancel"),
    Mutant(CLASSES, "least_shift", "l1 * (K - 2 * a)", "l1 * K", CLASSES_ALONE + "shift_that"),
    Mutant(COUPLED, "_join", "self._hand_back(states)", "pass", OF_CLASSES + "rough"),
    Mutant(COUPLED, "place", "memcpy(q.w, model.before", "memcpy(model.before, q.w", FREE_CLASSES + "hard_free"),
    Mutant(COUPLED, "_leave_dependent", "if dependent[a]:", "if False:", FREE_CLASSES + "hard_free"),
    Mutant("problem.py", "route", "and self._without_corners(spec.alphas)", "", FREE_CLASSES + "free_columns_beside"),
    Mutant("path.py", "refuse_endless", 'problem.route(Spec(found.alphas)) == "engine"', "False",
           FREE_CLASSES + "limits_may"),
    Mutant("estimators/glm_cv.py", "_choose", "refuse_escape(problem", "(lambda *a, **k: None)(problem",
           FREE_CLASSES + "silence"),
    Mutant("solvers/existence_of_classes.py", "escape_of_classes", "found.coef.min(axis=0)", "0",
           FREE_CLASSES + "limits_may"),
    Mutant("solvers/free_softmax.py", "_step", "not l2.any()", "False", FREE_CLASSES + "at_once"),
    Mutant(CRITERIA, "of_classes", "if l2.any():", "if False:", OF_CLASSES + "criteria"),
    Mutant(CRITERIA, "hessian_of_classes", "H - cross @", "H - 0 * cross @", OF_CLASSES + "criteria"),
    Mutant("solvers/relax.py", "_likelihoods", "range(a * K, (a + 1) * K)", "range(a * K, a * K + 1)",
           OF_CLASSES + "relaxed"),
    Mutant(COUPLED, "_turn", "self.before[i] += exp", "exp", OF_CLASSES + "paths_are"),
    Mutant(COUPLED, "_best_shift", "max(down, q.lo[k] - q.w[k])", "down", OF_CLASSES + "paths_are"),
    Mutant(COUPLED, "_extrapolate", "memcpy(self.linear, linear", "memcpy(linear, linear", OF_CLASSES + "paths_are"),
    Mutant(LOOP, "_judge_coupled", "self._gap(0, self.batch.n_problems)", "self._gap(0, 1)", OF_CLASSES + "paths_are"),
    Mutant("datafits/multinomial.pyx", "excess", "c, True)", "c, False)", OF_CLASSES + "dual_point"),
    Mutant("solutions.py", "by", "intercepts -= intercepts.mean", "intercepts.mean", OF_CLASSES + "paths_are"),
    Mutant("solvers/quasi_newton.py", "_followed", "followed_change(rows.chances", "0 * followed_change(rows.chances",
           OF_CLASSES + "belongs"),
    Mutant("solvers/quasi_newton.py", "_at", "alpha - self.alpha", "0", OF_CLASSES + "history"),
    Mutant("solvers/leading.py", "__init__", "self.G - beside", "self.G + 0 * beside", OF_CLASSES + "leading"),
    Mutant("solvers/leading.py", "__init__", "problem.n / weights.sum()", "1", OF_CLASSES + "leading"),
    Mutant("solvers/leading.py", "__init__", "+= level", "+= 0", OF_CLASSES + "leading"),
    Mutant("solvers/leading.py", "preconditioner", "<= alpha * NEAR", "<= np.inf", OF_CLASSES + "leading"),
    Mutant(SOFTMAX, "settled_residuals", "level[k] - mean[i]", "level[k]", OF_CLASSES + "softmax"),
    Mutant(SOFTMAX, "followed_change", "change[k, i] - mean[i]", "change[k, i]", OF_CLASSES + "softmax"),
    Mutant(SOFTMAX, "softmax_levels", "level / K", "0", OF_CLASSES + "softmax"),
    Mutant(HISTORY, "add", "curvature > DBL_EPSILON", "curvature > -DBL_EPSILON", OF_CLASSES + "history"),
    Mutant(HISTORY, "bend", "more * step", "step", OF_CLASSES + "history"),
    Mutant(HISTORY, "dot", "v + self.half", "v", OF_CLASSES + "history"),
    Mutant("kernels/lapack.pyx", "solved", "'T', 'N', &n", "'N', 'N', &n", "tests/test_interruptible.py -k equations"),
    Mutant("solvers/quasi_newton.py", "_at", "0.5 * float(np.sum(np", "0.1 * float(np.sum(np", OF_CLASSES + "quasi"),
    Mutant("solvers/quasi_newton.py", "_by_library", "HIGH * level", "0 * level", OF_CLASSES + "quasi"),
    Mutant(HISTORY, "solve", "self.parts[k] - self.dot", "0 * self.parts[k] - self.dot", OF_CLASSES + "history"),
    Mutant("solvers/coordinates.py", "lent", "~self.on", "~of.counts[:1]", OF_CLASSES + "borrow"),
    Mutant("solvers/coordinates.py", "__init__", "self.on.mean()", "1", OF_CLASSES + "quasi"),
    Mutant("referee/classes.py", "left", "(1 - c) * self.r", "c * self.r", OF_CLASSES + "bad_answers"),
    Mutant("referee/classes.py", "__init__", "self.off = min(", "self.off = 0 * min(", OF_CLASSES + "bad_answers"),
    Mutant("referee/classes.py", "_best_intercepts", "(chances, s @", "(chances, 0 * s @", OF_CLASSES + "bad_answers"),
    Mutant("kernels/robust.pyx", "_turn", "sqrt(a.s[i])", "a.s[i]", HUBER + "reading"),
    Mutant("kernels/robust.pyx", "_flush", "-1 if side else 1", "1", HUBER + "reading"),
    Mutant("kernels/robust.pyx", "_sparse_rows", "if a.inside[i0 + i]:", "if True:", HUBER + "reading"),
    Mutant("kernels/robust.pyx", "_add_products", "total[q * q - 1] += weight", "pass", HUBER + "reading"),
    Mutant(CONCOMITANT, "judged", "if found < gap else (self, gap)", "if True else (self, gap)", HUBER + "anywhere"),
    Mutant(CONCOMITANT, "gap", "model.epsilon / top if top > 0 else 1.0", "1.0", HUBER + "anywhere"),
    Mutant(CONCOMITANT, "gap", "np.sqrt(model.total / square) if square > 0 else 1.0", "1.0", HUBER + "anywhere"),
    Mutant(CONCOMITANT, "_gap_at", "(max(rows, 0.0) + scale)", "max(rows, 0.0)", HUBER + "'perfect or what_is_lost'"),
    Mutant(CONCOMITANT, "_balanced", "return self.v - self.inside * (float(self.sv.sum()) / total)", "return self.v",
           HUBER + "anywhere"),
    Mutant(CONCOMITANT, "_norms", "return design.norms", "return self.rows.norms", HUBER + "standardize"),
    Mutant(CONCOMITANT, "centred", "total * np.multiply.outer(means, means)", "0", HUBER + "newton_s_step"),
    Mutant(JOINT_NEWTON, "dual", "+ self.sigma * z", "+ 0 * z", HUBER + "newton_s_step"),
    Mutant(JOINT_NEWTON, "__init__", "- self.sigma * turn", "- 0 * turn", HUBER + "newton_s_step"),
    Mutant(JOINT_NEWTON, "step", "-step.begin > 2 * self._objective(at)", "False", HUBER + "promises"),
    Mutant(JOINT_NEWTON, "by_sample", "(few.rows.means - rows.means) @ found.w", "0", HUBER + "sample"),
    Mutant(JOINT_NEWTON, "descend", "near and steps == 0", "False", HUBER + "warm_start"),
    Mutant(SEARCH, "_scaled", "penalty.l1_ratio + (1 - penalty.l1_ratio) * k", "1.0", HUBER + "units"),
    Mutant(SEARCH, "fit_at", "not found.converged.all() and", "False and", HUBER + "wide_data"),
    Mutant(SEARCH, "_solve", "(search, _from)", "()", HUBER + "deviations"),
    Mutant("referee/huber.py", "judge_huber", "gap = min(gap, _gap(target, terms, w, sigma, z, a, _moved(",
           "gap = min(gap, 0 * _gap(target, terms, w, sigma, z, a, _moved(", HUBER + "certificates"),
    # ---- y of any size
    Mutant("scale.py", "levels_up", "+ self.of_mean * LOG_2", "", SCALES + "with_a_unit"),
    Mutant("scale.py", "losses_up", "self.unit * ", "", SCALES + "with_a_unit"),
    Mutant(PENALTY, "arrays", "pen2 / scale.unit", "pen2", SCALES + "with_a_unit"),
    Mutant("problem.py", "_of_unit_loss", "self.weights.normalised > 0", "slice(None)", SCALES + "is_refused"),
    Mutant("problem.py", "_of_unit_loss", "scale.down(self.offset)", "self.offset", SCALES + "its_delta"),
    Mutant("crossval.py", "_scored", "scale.levels_up(", "scale.up(", SCALES + "with_a_unit"),
    Mutant("crossval.py", "_scored_at_once", "scale.levels_up(", "scale.up(", SCALES + "with_a_unit"),
    Mutant("selection.py", "_deviance", "problem.scale.levels_down(eta)", "eta", SCALES + "with_a_unit"),
    Mutant("datafits/huber.pyx", "brought_down", "return Huber(delta), Scale", "return self, Scale",
           SCALES + "its_delta"),
    Mutant("referee/glm.py", "_best_intercept", "abs(step) <= 0.5 * last", "True", SCALES + "with_a_unit"),
    Mutant("referee/huber.py", "_gap", "(terms.l1 == 0) & (np.abs(off)", "(terms.l1 + terms.l2 == 0) & (np.abs(off)",
           SCALES + "certified_at"),
    Mutant("referee/huber.py", "_gap", "sigma * (rows + scale)", "sigma * rows", HUBER + "certificates"),
    Mutant("referee/huber.py", "_moved", "v = v - rows(found)", "v = v + rows(found)", HUBER + "certificates"),
]


class Copy:
    """The tree in a scratch folder, built."""

    def __init__(self, folder):
        self.root = Path(folder)
        names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        built = [str(path.relative_to(ROOT)) for path in (ROOT / "fastreg").rglob("*.so")]
        for name in [*filter(None, names.split("\0")), *built]:
            if (ROOT / name).is_file():
                (self.root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, self.root / name)
        if not built:
            sys.exit("build the extensions in place first: python setup.py build_ext --inplace")

    def judge(self, mutant):
        """(what became of it, seconds of its tests)"""
        path, text, at = mutant.place(self.root)
        module = self._module(path)
        old = {p: p.read_bytes() for p in (path, *module)}
        try:
            path.write_text(text[:at] + mutant.new + text[at + len(mutant.old):])
            if module:
                source = str(module[0].with_suffix("").with_suffix(".pyx").relative_to(self.root))
                done = subprocess.run([sys.executable, "-c", BUILD, source], cwd=self.root, capture_output=True,
                                      text=True, check=False)  # fmt: skip
                if done.returncode:
                    return f"does not build: {done.stderr[-300:]}", 0.0
            return self.test(mutant.tests)
        finally:
            for p, content in old.items():
                p.write_bytes(content)

    def _module(self, path):
        """The compiled file that a source belongs to, in a list: empty for Python."""
        if path.suffix == ".py":
            return []
        return list(path.parent.glob(f"{path.stem}.*.so"))

    def test(self, arguments):
        command = f"{sys.executable} -m pytest -x -q -p no:cacheprovider {arguments}"
        start, env = time.perf_counter(), os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
        limit = SECONDS if arguments else None
        try:
            code = subprocess.run(command, shell=True, cwd=self.root, capture_output=True, timeout=limit, env=env,
                                  check=False).returncode  # fmt: skip
        except subprocess.TimeoutExpired:
            return "killed (no end)", float(SECONDS)
        seconds = time.perf_counter() - start
        outcome = {0: "survived", 1: "killed"}.get(code, f"pytest ended with {code}" if code > 0 else "killed (crash)")
        return outcome, seconds


def on_a_copy(copies, verb, argument):
    """Whichever copy is free."""
    copy = copies.get()
    try:
        return verb(copy, argument)
    finally:
        copies.put(copy)


def table(rows):
    """Markdown: what was changed where, by which tests it was killed."""
    lines = ["# Mutants and what kills them", "", "Written by `python tools/mutants.py --write`.", ""]
    lines += ["| file | function | change | tests | outcome |", "|---|---|---|---|---|"]
    for mutant, outcome in rows:
        cells = (mutant.file, mutant.function or "", f"`{mutant.old}` → `{mutant.new}`", f"`{mutant.tests}`", outcome)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    killed = sum(outcome.startswith("killed") for _, outcome in rows)
    return "\n".join([*lines, "", f"{killed} of {len(rows)} killed."]) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--only", default="", metavar="WORD")
    parser.add_argument("--jobs", type=int, default=1, metavar="N")
    parser.add_argument("--trust", action="store_true")
    parser.add_argument("--whole-suite", action="store_true")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    chosen = [mutant for mutant in MUTANTS if options.only in mutant.name]
    for mutant in MUTANTS:
        mutant.place(ROOT)
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(options.jobs) as pool:
        copies = SimpleQueue()
        for k in range(options.jobs):
            copies.put(Copy(Path(folder, str(k))))

        def sound(tests):
            outcome, seconds = on_a_copy(copies, Copy.test, tests)
            print(f"{seconds:5.1f} s  {tests}", flush=True)
            return "" if outcome == "survived" else f"without any mutant: {tests}: {outcome}"

        def outcome_of(mutant):
            outcome, seconds = on_a_copy(copies, Copy.judge, mutant)
            if outcome == "survived" and options.whole_suite:
                alone, seconds = on_a_copy(copies, Copy.judge, replace(mutant, tests=""))
                outcome = f"survived, {alone} by the whole suite"
            print(f"{seconds:5.1f} s  {outcome:16} {mutant.name}", flush=True)
            return mutant, outcome

        tests = [] if options.trust else sorted({mutant.tests for mutant in chosen})
        unsound = "\n".join(filter(None, pool.map(sound, tests)))
        if unsound:
            sys.exit(unsound)
        rows = list(pool.map(outcome_of, chosen))
    if options.write:
        (ROOT / "tools" / "mutants.md").write_text(table(rows))
    return any(not outcome.startswith("killed") for _, outcome in rows)


if __name__ == "__main__":
    sys.exit(main())
