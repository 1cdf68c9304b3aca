"""scikit-learn's own installed tests, with its public names replaced by ours.

    python tests/drop_in/run.py [pytest options, such as -k NAME]

The test modules are imported while ``sklearn.linear_model`` gives our classes and functions for its own of the same
name, so that their parametrisations hold ours too. A test counts if it uses one of these names and passes with
scikit-learn's. Each one that fails with ours must be listed in different.toml with the reason why it may; the exit code
is 1 where one that is not listed fails, or where a listed one passes or is no test.
"""
import importlib
import inspect
import os
import re
import sys
import tomllib
from pathlib import Path

import pytest
import sklearn
import sklearn.linear_model

import fastreg

MODULES = {"tests": ("test_coordinate_descent", "test_sparse_coordinate_descent", "test_ridge", "test_logistic",
                     "test_huber"),
           "_glm.tests": ("test_glm",)}
FOLDERS = {module: f"sklearn.linear_model.{folder}" for folder, modules in MODULES.items() for module in modules}
SUBJECTS = {"coordinate descent": ("test_coordinate_descent", "test_sparse_coordinate_descent"),
            "ridge": ("test_ridge",), "logistic regression": ("test_logistic",),
            "generalised linear models": ("test_glm",), "Huber's regression": ("test_huber",)}
NAMES = ("ElasticNet", "ElasticNetCV", "GammaRegressor", "HuberRegressor", "Lasso", "LassoCV", "LinearRegression",
         "LogisticRegression", "LogisticRegressionCV", "PoissonRegressor", "Ridge", "RidgeCV", "RidgeClassifier",
         "RidgeClassifierCV", "TweedieRegressor", "enet_path", "lasso_path", "ridge_regression")
LISTED = Path(__file__).with_name("different.toml")
FOLDER = Path(sklearn.linear_model.__file__).parent
# What the test modules import that takes names from sklearn.linear_model in its turn: it must get the true ones.
BYSTANDERS = ("sklearn.utils.estimator_checks", "sklearn.utils._test_common.instance_generator",
              "sklearn.model_selection", "sklearn.pipeline")


def replacements():
    """Ours by name.

    The tests of generalised linear models draw y by a private method of the model, which ours is lent.
    """
    for name in ("GammaRegressor", "PoissonRegressor", "TweedieRegressor"):
        getattr(fastreg, name)._get_loss = getattr(sklearn.linear_model, name)._get_loss
    return {name: getattr(fastreg, name) for name in NAMES if hasattr(fastreg, name)}


def uses(value, wanted, module, seen):
    """Whether a value is one of the wanted objects, an instance of one, holds one, or is a function that names one."""
    if isinstance(value, (list, tuple, set)):
        return any(uses(one, wanted, module, seen) for one in value)
    if isinstance(value, dict):
        return uses(list(value.values()), wanted, module, seen)
    if any(value is one or type(value) is one for one in wanted):
        return True
    if not inspect.isfunction(value) or value.__module__ != module.__name__ or value in seen:
        return False
    seen.add(value)
    return any(uses(vars(module).get(name), wanted, module, seen) for name in names_in(value.__code__))


def names_in(code):
    """Global names of a code object and of those nested in it."""
    yield from code.co_names
    for constant in code.co_consts:
        if inspect.iscode(constant):
            yield from names_in(constant)


class Replacing:
    """pytest plugin: replaces names while test modules are imported, and keeps what became of the tests that use them.

    Parameters
    ----------
    ours : dict of str to object
        Empty: the tests run with scikit-learn's own.
    """

    def __init__(self, ours):
        self.ours = ours
        self.theirs = {name: getattr(sklearn.linear_model, name) for name in ours}
        self.outcomes, self.messages = {}, {}

    def pytest_configure(self, config):
        for name in BYSTANDERS:
            importlib.import_module(name)
        vars(sklearn.linear_model).update(self.ours)

    def pytest_collection_modifyitems(self, items):
        vars(sklearn.linear_model).update(self.theirs)
        if self.ours:
            items[:] = [item for item in items if self._counts(item)]

    def _counts(self, item):
        params = item.callspec.params if hasattr(item, "callspec") else {}
        return uses([item.function, params], self.ours.values(), item.module, set())

    def pytest_runtest_logreport(self, report):
        test = report.nodeid.rpartition("/")[2]
        if report.failed:
            self.outcomes[test] = "failed"
            crash = getattr(report.longrepr, "reprcrash", None)
            self.messages[test] = (crash.message if crash else str(report.longrepr)).replace("\n", " ")[:200]
        elif report.when == "call" and report.passed and not hasattr(report, "wasxfail"):
            self.outcomes.setdefault(test, "passed")


def run(plugin, tests, options):
    """Run tests, given as MODULE or MODULE.py::NAME."""
    quiet = ["-q", "--no-header", "--no-summary", "-p", "no:cacheprovider", "--tb=line", "-W", "ignore"]
    return pytest.main(["-c", os.devnull, "--rootdir", str(FOLDER), "--pyargs", *quiet, *options,
                        *(f"{FOLDERS[test.split('.py', 1)[0]]}.{test.replace('.py', '', 1)}" for test in tests)],
                       plugins=[plugin])


def matches(pattern, test):
    """Whether a test is meant: * stands for any text, and a name without parameters for all of them."""
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*") + r"(\[.*\])?", test) is not None


def right_with_theirs(tests):
    """Those of the tests that pass with scikit-learn's own names."""
    own = Replacing({})
    for module, folder in FOLDERS.items():               # imported with ours
        sys.modules.pop(f"{folder}.{module}", None)
    if tests:
        run(own, sorted(tests), [])
    return {test for test in tests if own.outcomes.get(test) == "passed"}


def main(options):
    """Run, compare with the list, report; the exit code."""
    listed = tomllib.loads(LISTED.read_text())
    if sklearn.__version__ != listed["scikit-learn"]:
        print(f"{LISTED.name} is for scikit-learn {listed['scikit-learn']}; this is {sklearn.__version__}.")
    ours = Replacing(replacements())
    run(ours, FOLDERS, options)
    patterns = [pattern for group in listed["different"] for pattern in group["tests"]]
    known = {test for test in ours.outcomes if any(matches(pattern, test) for pattern in patterns)}
    failed = {test for test, outcome in ours.outcomes.items() if outcome == "failed"}
    counted = set(ours.outcomes) - (failed - right_with_theirs(failed))
    failed, known = failed & counted, known & counted
    print()
    for subject, modules in SUBJECTS.items():
        here = {test for test in counted if test.split(".py", 1)[0] in modules}
        print(f"{subject}: {len(here - failed)} of {len(here)} pass ({len(here - failed) / max(len(here), 1):.1%})")
    faults = [f"fails and is not listed: {test}\n    {ours.messages[test]}" for test in sorted(failed - known)]
    faults += [f"passes though it is listed: {test}" for test in sorted(known - failed)]
    if not options:
        faults += [f"no test is called so: {pattern}" for pattern in patterns
                   if not any(matches(pattern, test) for test in ours.outcomes)]
    print(f"{len(failed & known)} differ as listed in {LISTED.name}.", *faults, sep="\n")
    return 1 if faults or not counted else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
