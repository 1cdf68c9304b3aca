"""What pictures show: the data of their artists, whatever the style, the figure and the number of curves."""
import subprocess
import sys
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from problems import correlated, make_data
from sklearn.metrics import RocCurveDisplay
from sklearn.model_selection import KFold, ValidationCurveDisplay
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

import fastreg
from fastreg import (
    ElasticNetCV,
    Lasso,
    LassoCV,
    LogisticRegression,
    Ridge,
    RidgeCV,
    regularization_path,
    ridge_path,
)

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
plt = pytest.importorskip("matplotlib.pyplot")
STYLES = pytest.mark.parametrize("style", ["default", "dark_background"])


@pytest.fixture(autouse=True)
def clean():
    with warnings.catch_warnings():
        warnings.filterwarnings("error", module="matplotlib")
        warnings.filterwarnings("ignore", ".*of its grid")
        yield
    plt.close("all")


@pytest.fixture(scope="module")
def data():
    X, y, _ = make_data(0)
    return X, y


@pytest.fixture(scope="module")
def path(data):
    return regularization_path(*data, alphas=30)


def names(ax):
    """The names at the ends of curves, in the order of their importance."""
    return [text for text in ax.texts if hasattr(text, "column")]


def drawn(ax):
    """The axes, once a renderer has laid them out."""
    ax.figure.canvas.draw()
    return ax


def curve(ax, label):
    (line,) = (line for line in ax.lines if line.get_label() == label)
    return line


# ---- paths ---------------------------------------------------------------------------------------------------------
def test_leading_features_are_named_and_the_rest_is_grey(path):
    coefs = path.coefs.toarray()
    ax = drawn(path.plot(label=4))
    order = np.argsort(-np.abs(coefs).max(axis=1))
    assert [text.get_text() for text in names(ax)] == [f"x{j}" for j in order[:4]]
    used = np.flatnonzero(coefs.any(axis=1))
    colours = [line.get_color() for line in ax.lines[:len(used)]]
    assert len(set(colours[:4])) == 4 and len(set(colours[4:])) == 1 and colours[4] not in colours[:4]
    grey = matplotlib.colors.to_rgb(colours[4])
    assert grey[0] == grey[1] == grey[2]
    for j, text in zip(order, names(ax)):
        line = curve(ax, f"x{j}")
        assert line.get_color() == text.get_color() and text.xy == (path.alphas[-1], coefs[j, -1])
        shown, seen = line.get_ydata(), np.isfinite(line.get_ydata())
        np.testing.assert_array_equal(line.get_xdata(), path.alphas)
        np.testing.assert_array_equal(shown[seen], coefs[j][seen])
        assert not coefs[j][~seen].any(), "what is left out is zero"
    rest = np.sort([np.nansum(line.get_ydata()) for line in ax.lines[4:len(used)]])
    np.testing.assert_allclose(rest, np.sort(coefs[np.setdiff1d(used, order[:4])].sum(axis=1)))
    assert ax.get_xscale() == "log" and ax.get_xlim() == (path.alphas[0], path.alphas[-1])


def test_no_two_curves_look_alike(data):
    X, y = correlated(60, 40, 0.2, k=30)
    with plt.style.context("default"):
        ax = regularization_path(X, y, alphas=30, eps=1e-4).plot(label=30)
        lines = [line for line in ax.lines if line.get_label().startswith("x")]
        assert len(lines) == 30 and len({(line.get_color(), line.get_linestyle()) for line in lines}) == 30


def test_features_of_the_users_choice(data, path):
    pd = pytest.importorskip("pandas")
    named = regularization_path(pd.DataFrame(data[0], columns=[f"gene {j}" for j in range(25)]), data[1], alphas=5)
    assert [text.get_text() for text in names(named.plot(label=["gene 7", 3, -1]))] == ["gene 7", "gene 3", "gene 24"]
    assert not names(named.plot(label=0)) and not names(named.plot(label=[]))
    for wrong in (["gene"], [25], ["gene 7", "x"]):
        with pytest.raises(ValueError, match="label holds"):
            named.plot(label=wrong)
    with pytest.raises(ValueError, match="label must"):
        named.plot(label=-1)
    with pytest.raises(TypeError, match="label must"):
        named.plot(label="gene 7")
    long = path.plot(label=2)
    assert len(names(long)) == 2


def test_what_the_horizontal_axis_is(data, path):
    coefs = path.coefs.toarray()
    alpha = np.sqrt(path.alphas[11] * path.alphas[12])
    for xvar, x in (("norm", np.abs(coefs).sum(axis=0)), ("deviance", path.deviance_explained)):
        ax = drawn(path.plot(xvar=xvar, highlight=alpha))
        j = np.argmax(np.abs(coefs).max(axis=1))
        np.testing.assert_allclose(curve(ax, f"x{j}").get_xdata(), x, rtol=1e-12)
        at = curve(ax, f"alpha {alpha:.3g}").get_xdata()
        assert x[11] < at[0] == at[1] < x[12] and ax.get_xscale() == "linear"
    at = curve(path.plot(highlight=alpha), f"alpha {alpha:.3g}").get_xdata()
    assert at[0] == alpha
    to_zero = regularization_path(*data, alphas=[0.3, 0.1, 0.0]).plot(highlight=0.2)
    assert to_zero.lines[0].get_xdata().tolist() == [0.3, 0.1] and curve(to_zero, "alpha 0.2").get_xdata()[0] == 0.2
    several = regularization_path(data[0], np.c_[data[1], -3 * data[1]], alphas=6)
    for t, ax in enumerate(several.plot(xvar="norm", label=1)):
        np.testing.assert_allclose(ax.lines[0].get_xdata(), np.abs(several.coefs[t].toarray()).sum(axis=0))
    ridge = ridge_path(*data, [10.0, 1.0])
    np.testing.assert_allclose(ridge.plot(xvar="norm").lines[0].get_xdata(), np.abs(ridge.coefs).sum(axis=0))
    with pytest.raises(ValueError, match="xvar must be 'alpha' or 'norm'"):
        ridge.plot(xvar="deviance")
    with pytest.raises(ValueError, match="xvar must be one of"):
        path.plot(xvar="lambda")
    for wrong in (0.0, -1.0, np.inf):
        with pytest.raises(ValueError, match="highlight must"):
            path.plot(highlight=wrong)


def test_counts_along_the_top(path):
    ax = drawn(path.plot())
    (top,) = ax.child_axes
    labels = [int(text.get_text()) for text in top.get_xticklabels()]
    at = [np.flatnonzero(path.alphas == tick)[0] for tick in top.get_xticks()]
    assert labels == path.df[at].tolist() and len(labels) >= 4 and labels[0] == 0 and labels[-1] == path.df[-1]
    assert top.get_xlabel() == "non-zero coefficients"


@pytest.mark.parametrize("size", [(2, 1.5), (9, 7)], ids=str)
@pytest.mark.parametrize("layout", ["constrained", None], ids=str)
@pytest.mark.filterwarnings("ignore:.*layout not applied")
def test_names_do_not_overlap(path, size, layout):
    """Nor after the figure has grown or shrunk; what has no room is not shown."""
    figure, ax = plt.subplots(figsize=size, layout=layout)
    path.plot(ax, label=20)
    for scale in (1.0, 1.7, 0.6):
        figure.set_size_inches(*(scale * np.array(size)))
        figure.canvas.draw()
        visible = [text.get_visible() for text in names(ax)]
        assert visible == sorted(visible, reverse=True) and visible[0], "the least important go first"
        shown = names(ax)[:sum(visible)]
        heights = np.array([text.xyann[1] for text in shown]) * ax.bbox.height
        assert np.all(np.diff(np.sort(heights)) >= shown[0].get_fontsize() * figure.dpi / 72)
        assert heights.min() >= 0 and heights.max() <= ax.bbox.height
        rank = np.argsort([text.xy[1] for text in shown], kind="stable")
        assert np.all(np.diff(heights[rank]) > 0), "in the order of the ends"


def test_names_stay_at_their_curves_where_there_is_room(path):
    ax = drawn(path.plot(label=2))
    for text in names(ax):
        end = ax.transAxes.inverted().transform(ax.transData.transform(text.xy))
        np.testing.assert_allclose(text.xyann[1], end[1], atol=0.05)
    assert all(matplotlib.text.Text.get_window_extent(text).x0 >= ax.bbox.x1 for text in names(ax))


def test_names_without_room_beside_the_axes_stand_inside(data):
    """Where neither a layout nor the figure makes room; a neighbour's labels count."""
    pd = pytest.importorskip("pandas")
    long = [f"a feature that is number {j}" for j in range(25)]
    named = regularization_path(pd.DataFrame(data[0], columns=long), data[1], alphas=9)
    figure, axes = plt.subplots(1, 2, figsize=(12, 4))
    for width, inside in ((12, (True, True)), (60, (False, False))):
        figure.set_size_inches(width, 4)
        for ax in axes:
            named.plot(ax, label=3)
        figure.canvas.draw()
        for ax, within in zip(axes, inside):
            boxes = [matplotlib.text.Text.get_window_extent(text) for text in names(ax)]
            assert all(box.x1 <= ax.bbox.x1 if within else box.x0 >= ax.bbox.x1 for box in boxes)
            assert all(text.arrow_patch.get_visible() != within for text in names(ax))
            ax.clear()


def test_spread_is_the_nearest():
    names = pytest.importorskip("fastreg.drawing.names")
    rng = np.random.default_rng(0)
    for n in (1, 2, 7):
        wanted = rng.random(n)
        found = names.spread(wanted, 0.1, 0.0, 1.0)
        order = np.argsort(wanted)
        assert np.all(np.diff(found[order]) >= 0.1 - 1e-12) and found.min() >= 0 and found.max() <= 1
        best = np.sum((found - wanted)**2)
        for _ in range(300):
            other = np.sort(rng.random(n))
            if np.all(np.diff(other) >= 0.1):
                assert np.sum((other - np.sort(wanted))**2) >= best - 1e-12
    np.testing.assert_allclose(names.spread(np.array([0.9, 0.1, 0.5]), 0.1, 0.0, 1.0), [0.9, 0.1, 0.5])


@STYLES
def test_greys_stand_between_the_background_and_its_ink(path, style):
    with plt.style.context(style):
        ax = path.plot(label=2)
        back, ink = (matplotlib.colors.to_rgb(colour)[0] for colour in (ax.get_facecolor(), ax.xaxis.label.get_color()))
        lines = {line.get_color() for line in ax.lines[2:]}
        assert len(lines) >= 2
        assert all(0.2 < abs(matplotlib.colors.to_rgb(colour)[0] - back) < abs(ink - back) for colour in lines)


def test_a_part_of_a_figure(path):
    figure = plt.figure(figsize=(9, 4), layout="constrained")
    wide, narrow = (part.subplots() for part in figure.subfigures(1, 2, width_ratios=[3, 1]))
    counts = []
    for ax in (wide, narrow):
        (top,) = path.plot(ax).child_axes
        counts.append(len(top.get_xticks()))
    figure.canvas.draw()
    assert counts[0] > counts[1] >= 2, "as many as there is room for in their part"


def test_nothing_to_draw(data):
    X, _ = data
    path = regularization_path(X, np.zeros(len(X)), alphas=[2.0, 1.0])
    ax = drawn(path.plot())
    assert not names(ax) and ax.get_xlim() == (2, 1)


# ---- curves --------------------------------------------------------------------------------------------------------
@STYLES
def test_curves_of_several_ratios(data, style):
    with plt.style.context(style):
        model = ElasticNetCV(l1_ratio=[1 / 7, 0.5, 0.9, 1.0], relax=True, alphas=15).fit(*data)
        curves = model.cv_path_
        ax = drawn(curves.plot())
        least = np.argsort(curves.values.min(axis=1), kind="stable")
        expected = [curves.best[0], *(k for k in least if k != curves.best[0])][:5]
        assert [text.get_text() for text in names(ax)] == [
            f"l1_ratio {curves.l1_ratios[k]:.3g}, gamma {curves.gammas[k]:g}" for k in expected]
        for k, text in zip(expected, names(ax)):
            line = curve(ax, text.get_text())
            np.testing.assert_array_equal(line.get_xdata(), curves.alphas[k])
            np.testing.assert_array_equal(line.get_ydata(), curves.values[k])
        c, a = curves.best
        assert curve(ax, "best").get_xdata()[0] == curves.alphas[c, a]
        assert curve(ax, "one standard error").get_xdata()[0] == model.alpha_1se_
        low, high = ax.get_ylim()
        assert low < np.min(curves.values[c] - curves.standard_error[c])
        assert high > np.max(curves.values[c] + curves.standard_error[c])
        assert ax.get_legend() is None and len(ax.lines) == 20 + 3 + 2, "curves, errors and marks"
    with pytest.raises(ValueError, match="label must"):
        curves.plot(label=0)


def test_curves_of_a_metric_that_is_to_be_large(data):
    curves = ElasticNetCV(l1_ratio=[0.1, 0.3, 0.5, 0.9, 1.0], alphas=15, scoring="r2").fit(*data).cv_path_
    order = np.argsort(-curves.values.max(axis=1), kind="stable")
    assert [text.get_text() for text in names(curves.plot(label=9))] == [
        f"l1_ratio {curves.l1_ratios[k]:g}" for k in order]


def test_one_curve_needs_no_name(data):
    ax = LassoCV(alphas=9).fit(*data).cv_path_.plot()
    assert not names(ax) and ax.get_ylabel() == "squared error ± standard error\nmean over 5 folds"
    axes = LassoCV(alphas=9).fit(data[0], np.c_[data[1], -data[1]]).cv_path_.plot()
    assert axes.shape == (2,) and [ax.get_title() for ax in axes] == ["target 0", "target 1"]


def test_a_single_alpha(data):
    for model in (LassoCV(alphas=[0.3]), ElasticNetCV(alphas=[0.3], l1_ratio=[0.5, 1.0])):
        ax = drawn(model.fit(*data).cv_path_.plot())
        assert ax.lines[0].get_xdata().tolist() == [0.3] and ax.get_xlim() == (0.6, 0.15)


# ---- displays ------------------------------------------------------------------------------------------------------
def test_displays_draw_what_estimators_keep(data):
    pd = pytest.importorskip("pandas")
    X, y = pd.DataFrame(data[0], columns=[f"gene {j}" for j in range(25)]), data[1]
    model = LassoCV(alphas=9, cv=3, keep_paths=True).fit(X, y)
    for owner in (model, make_pipeline(StandardScaler(), LassoCV(alphas=9, cv=3, keep_paths=True)).fit(X, y)):
        inner = owner if owner is model else owner[-1]
        shown = fastreg.plot.PathDisplay.from_estimator(owner, label=2)
        order = np.argsort(-np.abs(inner.path_.coefs.toarray()).max(axis=1))
        assert [text.get_text() for text in names(shown.ax_)] == [f"gene {j}" for j in order[:2]]
        assert shown.figure_ is shown.ax_.figure
        assert curve(shown.ax_, f"alpha {inner.alpha_:.3g}").get_xdata()[0] == inner.alpha_
        shown = fastreg.plot.SelectionDisplay.from_estimator(owner)
        np.testing.assert_array_equal(shown.ax_.lines[-3].get_ydata(), inner.cv_path_.values[0])
        assert len(bars(fastreg.plot.CoefficientsDisplay.from_estimator(owner, label=3).ax_)) == 3
    by_criterion = LassoCV(alphas=9, criterion="bic", keep_paths=True).fit(X, y)
    assert fastreg.plot.SelectionDisplay.from_estimator(by_criterion).ax_.get_ylabel() == "BIC"
    by_norm = fastreg.plot.PathDisplay.from_estimator(by_criterion, xvar="norm").ax_
    assert by_norm.get_xlabel() == "sum of |coefficients|"


def test_displays_are_drawn_where_one_says(data):
    X, y = data
    model = ElasticNetCV(l1_ratio=[0.2, 0.5, 1.0], alphas=9, cv=3, keep_paths=True).fit(X, y)
    figure, axes = plt.subplots(1, 3)
    shown = [fastreg.plot.PathDisplay(model.path_).plot(axes[0], label=1),
             fastreg.plot.SelectionDisplay(model.cv_path_).plot(axes[1], label=2),
             fastreg.plot.CoefficientsDisplay(model).plot(axes[2], label=4)]
    assert [one.ax_ for one in shown] == list(axes) and all(one.figure_ is figure for one in shown)
    assert [len(names(ax)) for ax in axes[:2]] == [1, 2] and len(bars(axes[2])) == 4
    assert not [line for line in axes[0].lines if line.get_label().startswith("alpha")], "nothing was to be marked"


def test_displays_of_several_targets(data):
    X, y = data
    model = LassoCV(alphas=9, cv=3, keep_paths=True).fit(X, np.c_[y, X[:, 0]])
    for shown in (fastreg.plot.PathDisplay.from_estimator(model), fastreg.plot.SelectionDisplay.from_estimator(model),
                  fastreg.plot.CoefficientsDisplay.from_estimator(model)):
        assert shown.ax_.shape == (2,) and shown.ax_[1].get_title() == "target 1"
    for alpha, ax in zip(model.alpha_, fastreg.plot.PathDisplay.from_estimator(model).ax_):
        assert curve(ax, f"alpha {alpha:.3g}").get_xdata()[0] == alpha
    ridge = RidgeCV([1.0, 10.0], alpha_per_target=True, keep_paths=True).fit(X, np.c_[y, X[:, 0]])
    assert fastreg.plot.PathDisplay.from_estimator(ridge).ax_.shape == (2,)


def test_displays_of_nothing(data):
    for display in (fastreg.plot.PathDisplay, fastreg.plot.SelectionDisplay, fastreg.plot.CoefficientsDisplay):
        with pytest.raises(TypeError, match="must be fitted and have"):
            display.from_estimator(LassoCV())
    with pytest.raises(TypeError, match="keep_paths=True"):
        fastreg.plot.PathDisplay.from_estimator(LassoCV(alphas=9).fit(*data))


def test_displays_of_scikit_learn_take_ours(data):
    X, y = data
    alphas = np.geomspace(1, 0.01, 5)
    shown = ValidationCurveDisplay.from_estimator(Lasso(), X, y, param_name="alpha", param_range=alphas, cv=3)
    assert shown.test_scores.shape == (5, 3)
    shown = RocCurveDisplay.from_estimator(LogisticRegression().fit(X, y > 0), X, y > 0)
    assert shown.roc_auc > 0.8


# ---- coefficients --------------------------------------------------------------------------------------------------
def bars(ax):
    """Name to width, from the top."""
    widths = [bar.get_width() for bar in ax.patches]
    return dict(zip([text.get_text() for text in ax.get_yticklabels()], widths))


def test_bars_of_coefficients(data):
    X, y = data
    model = Lasso(0.05).fit(X, y)
    order = np.argsort(-np.abs(model.coef_))[:4]
    ax = drawn(fastreg.plot.coefficients(model, label=4))
    assert bars(ax) == {f"x{j}": model.coef_[j] for j in order}
    assert [text.get_text() for text in ax.texts] == [f"{model.coef_[j]:.3g}" for j in order]
    assert f"the 4 largest of {np.count_nonzero(model.coef_)}" in ax.get_xlabel()
    colours = {bar.get_width() > 0: bar.get_facecolor() for bar in ax.patches}
    assert len(colours) == 2 and colours[True] != colours[False]
    point = regularization_path(X, y, alphas=10)[7]
    assert len(bars(fastreg.plot.coefficients(point, label=99))) == np.count_nonzero(point.coef)
    figure, mine = plt.subplots()
    assert fastreg.plot.coefficients(model, ax=mine) is mine and len(figure.axes) == 1
    assert not bars(drawn(fastreg.plot.coefficients(Lasso(1e9).fit(X, y))))


def test_bars_of_several_targets_and_names(data):
    pd = pytest.importorskip("pandas")
    X, y = data
    frame = pd.DataFrame(X[:, :3], columns=["a", "b", "c"])
    axes = fastreg.plot.coefficients(Ridge(1.0).fit(frame, np.c_[y, 2 * y]))
    assert [set(bars(ax)) for ax in axes] == [{"a", "b", "c"}] * 2 and axes[1].get_title() == "target 1"
    labels = np.array(["ape", "bee", "cat"])[np.digitize(y, np.quantile(y, [0.3, 0.6]))]
    axes = fastreg.plot.coefficients(LogisticRegression().fit(frame, labels))
    assert [ax.get_title() for ax in axes] == ["class ape", "class bee", "class cat"]
    assert isinstance(fastreg.plot.coefficients(LogisticRegression().fit(frame, y > 0)), matplotlib.axes.Axes)
    pipe = make_pipeline(PolynomialFeatures(2, include_bias=False), StandardScaler(), Ridge(1.0)).fit(frame, y)
    assert set(bars(fastreg.plot.coefficients(pipe, label=9))) == {"a", "b", "c", "a^2", "a b", "a c", "b^2", "b c",
                                                                   "c^2"}
    for wrong in (Lasso(), "text", make_pipeline(StandardScaler(), Lasso())):
        with pytest.raises(TypeError, match="coef_"):
            fastreg.plot.coefficients(wrong)
    with pytest.raises(ValueError, match="label must"):
        fastreg.plot.coefficients(pipe, label=0)


# ---- validation ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("make", [np.asarray, sp.csc_array])
@pytest.mark.parametrize("weighted", [False, True])
def test_losses_of_training_and_validation(data, make, weighted):
    X, y = data
    weight = np.linspace(0.5, 2, len(y)) if weighted else None
    folds = KFold(4, shuffle=True, random_state=0)
    ax = drawn(fastreg.plot.validation(make(X), y, cv=folds, alphas=12, sample_weight=weight))
    grid = regularization_path(X, y, alphas=12, sample_weight=weight).alphas
    losses = {"training": [], "validation": []}
    for train, test in folds.split(X):
        given = None if weight is None else weight[train]
        fit = regularization_path(X[train], y[train], alphas=grid, sample_weight=given)
        for name, rows in (("training", train), ("validation", test)):
            error = (fit.predict(X[rows]) - y[rows, None])**2
            losses[name].append(np.average(error, axis=0, weights=None if weight is None else weight[rows]))
    for name, values in losses.items():
        line = curve(ax, name)
        np.testing.assert_allclose(line.get_xdata(), grid, rtol=1e-9)
        np.testing.assert_allclose(line.get_ydata(), np.mean(values, axis=0), rtol=1e-3)
    assert curve(ax, "best").get_xdata()[0] == pytest.approx(grid[np.mean(losses["validation"], axis=0).argmin()])
    assert [text.get_text() for text in names(ax)] == ["validation", "training"]
    assert ax.get_ylabel() == "mean squared error"


def test_validation_of_other_losses(data):
    X, y = data
    for labels in (np.where(y > 0, "yes", "no"), np.digitize(y, np.quantile(y, [0.3, 0.6]))):
        datafit = "logistic" if labels.dtype.kind == "U" else "multinomial"
        ax = fastreg.plot.validation(X, labels, cv=3, alphas=6, eps=0.1, datafit=datafit)
        training = curve(ax, "training").get_ydata()
        assert np.all(np.diff(training) < 0) and ax.get_ylabel() == "mean deviance"
    ax = fastreg.plot.validation(X, y, alphas=[3.0, 1.0, 0.1], l1_ratio=0.0, standardize=True)
    assert curve(ax, "training").get_xdata().tolist() == [3, 1, 0.1]
    assert len(drawn(fastreg.plot.validation(X, y, alphas=[1.0])).lines) > 0
    with pytest.raises(ValueError):
        fastreg.plot.validation(X, np.c_[y, y])
    with pytest.raises(ValueError, match="datafit"):
        fastreg.plot.validation(X, y, datafit="cubic")


# ---- fits of one feature -------------------------------------------------------------------------------------------
def test_lines(data):
    pd = pytest.importorskip("pandas")
    x, y = data[0][:, 0], data[1]
    grid = np.linspace(x.min(), x.max(), 300)
    ax = drawn(fastreg.plot.lines(x, y, [0.05, 0.2]))
    points, *fits = ax.lines
    np.testing.assert_array_equal(points.get_xydata(), np.c_[x, y])
    assert [line.get_label() for line in fits] == ["alpha 0.2", "alpha 0.05"]
    for alpha, line in zip((0.2, 0.05), fits):
        right = Lasso(alpha, tol=1e-10).fit(x[:, None], y).predict(grid[:, None])
        np.testing.assert_allclose(line.get_ydata(), right, atol=1e-6)
    assert [text.get_text() for text in names(ax)] == ["alpha 0.2", "alpha 0.05"]
    models = {alpha: make_pipeline(PolynomialFeatures(3), Ridge(alpha)).fit(x[:, None], y) for alpha in (1, 100)}
    ax = fastreg.plot.lines(pd.Series(x, name="dose"), y, models)
    assert [line.get_label() for line in ax.lines[1:]] == ["1", "100"] and ax.get_xlabel() == "dose"
    np.testing.assert_array_equal(ax.lines[2].get_ydata(), models[100].predict(grid[:, None]))
    ax = fastreg.plot.lines(x, y, [Ridge(3.0).fit(x[:, None], y), models[1]])
    assert [line.get_label() for line in ax.lines[1:]] == ["alpha 3", "model 1"]
    path = ridge_path(x[:, None], y)
    ax = fastreg.plot.lines(x[:, None], y, path)
    kept = np.linspace(0, 99, 8).round().astype(int)
    np.testing.assert_allclose([line.get_ydata() for line in ax.lines[1:]], path.predict(grid[:, None]).T[kept])
    assert len(fastreg.plot.lines(x, y, 0.1).lines) == 2
    with pytest.raises(ValueError, match="x must have shape"):
        fastreg.plot.lines(data[0], y, [0.1])
    with pytest.raises(ValueError):
        fastreg.plot.lines(x[:5], y, [0.1])


# ---- without matplotlib --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("draw", [
    "path.plot()", "model.cv_path_.plot()", "fastreg.plot.coefficients(model)", "fastreg.plot.validation(X, y)",
    "fastreg.plot.lines(X[:, 0], y, [1.0])", "regularization_path(X, np.c_[y, y], alphas=2).plot()"])
def test_matplotlib_is_asked_for_where_it_is_missing(data, draw, monkeypatch):
    X, y = data
    model = LassoCV(alphas=3).fit(X, y)
    given = {"fastreg": fastreg, "X": X, "y": y, "model": model, "path": ridge_path(X, y, [1.0]), "np": np,
             "regularization_path": regularization_path}
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"pip install 'fastreg-solver\[plot\]'"):
        eval(draw, given)


def test_fastreg_imports_no_matplotlib():
    code = "import sys, fastreg; assert fastreg.plot.lines; print([m for m in sys.modules if 'matplotlib' in m])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
