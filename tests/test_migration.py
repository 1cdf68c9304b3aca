"""What the pages on moving here say: each framework's objective, minimised by SciPy, has our model's coefficients."""
import itertools
import os
from pathlib import Path

import numpy as np
import pytest
from scipy import optimize, special

import fastreg
from fastreg import from_glmnet, regularization_path

N, P = 80, 5
ACCURACY = 1e-6


@pytest.fixture(scope="module")
def data():
    """X with columns of several scales and means; y by the name of the kind of target."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((N, P)) * [1, 2, 0.5, 1, 1.5] + [0, 1, -1, 0.3, 0]
    eta = 0.3 + X @ [0.8, -0.4, 0.9, 0, 0.05]
    return X, {"number": eta + rng.standard_normal(N), "label": (rng.random(N) < special.expit(eta)).astype(int),
               "count": rng.poisson(np.exp(0.5 * eta)), "class": np.argmax(eta[:, None] * [0.5, 0, -1]
                                                                           + rng.gumbel(size=(N, 3)), axis=1)}


# value and derivative of one row's loss, as the frameworks write it
def squared(y, eta):
    return (y - eta) ** 2, 2 * (eta - y)


def cross_entropy(y, eta):
    return np.logaddexp(0, eta) - y * eta, special.expit(eta) - y


def poisson(y, eta):
    return np.exp(eta) - y * eta, np.exp(eta) - y


def huber(delta):
    def loss(y, eta):
        r = eta - y
        inside = np.abs(r) <= delta
        return np.where(inside, r**2 / 2, delta * (np.abs(r) - delta / 2)), np.clip(r, -delta, delta)
    return loss


def minimise(X, y, loss, l1, l2, average=True):
    """(w, b) of the least mean (or sum) of losses + sum of l1 |w| + l2 w^2, w being the difference of its two parts."""
    scale = len(y) if average else 1

    def objective(parts):
        up, down, b = parts[:P], parts[P:-1], parts[-1]
        w = up - down
        value, slope = loss(y, X @ w + b)
        smooth = X.T @ slope / scale + 2 * l2 * w
        return (value.sum() / scale + np.sum(l1 * (up + down)) + np.sum(l2 * w**2),
                np.concatenate([smooth + l1, l1 - smooth, [slope.sum() / scale]]))

    start, bounds = np.zeros(2 * P + 1), [(0, None)] * (2 * P) + [(None, None)]
    for _ in range(20):                  # started anew: its memory of curvature is not the best one near the end
        start = optimize.minimize(objective, start, jac=True, method="L-BFGS-B", bounds=bounds,
                                  options={"ftol": 0, "gtol": 1e-12, "maxiter": 10_000, "maxfun": 100_000}).x
    return start[:P] - start[P:-1], start[-1]


def assert_same(model, w, b):
    np.testing.assert_allclose(np.ravel(model.coef_), w, rtol=0, atol=ACCURACY)
    np.testing.assert_allclose(np.ravel(model.intercept_)[0], b, rtol=0, atol=ACCURACY)


EXACT = {"tol": 1e-13}
GIVEN = {"lam": 0.1, "l1": 0.1, "l2": 0.04, "wd": 0.08, "d": 0.8, "n": N}
ELASTIC = (GIVEN["l1"], GIVEN["l2"])
# what docs/moving/from_frameworks.md says, and the loss with the penalty that it is said of
FRAMEWORKS = {
    "Lasso(lam / 2)": ("number", squared, GIVEN["lam"], 0),
    "Ridge(n * lam)": ("number", squared, 0, GIVEN["lam"]),
    "ElasticNet(l1 / 2 + l2, l1_ratio=(l1 / 2) / (l1 / 2 + l2))": ("number", squared, *ELASTIC),
    "Ridge(n * wd / 2)": ("number", squared, 0, GIVEN["wd"] / 2),
    'GeneralizedLinearRegressor(f"huber({d})", alpha=l1 + 2 * l2, l1_ratio=l1 / (l1 + 2 * l2))': (
        "number", huber(GIVEN["d"]), *ELASTIC),
    "LogisticRegression(C=1 / (n * (l1 + 2 * l2)), l1_ratio=l1 / (l1 + 2 * l2))": ("label", cross_entropy, *ELASTIC),
    "PoissonRegressor(alpha=l1 + 2 * l2, l1_ratio=l1 / (l1 + 2 * l2))": ("count", poisson, *ELASTIC),
    "Ridge(lam)": ("number", squared, 0, GIVEN["lam"] / N),
    "LogisticRegression(C=1 / lam)": ("label", cross_entropy, 0, GIVEN["lam"] / (2 * N)),
}
PAGE = Path(__file__).resolve().parents[1] / "docs" / "moving" / "from_frameworks.md"


def said(code):
    """The model that a piece of code on the page gives."""
    assert f"`{code}`" in PAGE.read_text()
    model = eval(code, vars(fastreg) | GIVEN)
    return model if isinstance(model, fastreg.Ridge) else model.set_params(**EXACT)


@pytest.mark.parametrize("code", FRAMEWORKS)
def test_what_the_page_on_frameworks_says(code, data):
    """Regularisers of Keras and PyTorch, and the costs of courses, with lambda / 2m."""
    kind, loss, l1, l2 = FRAMEWORKS[code]
    X, y = data[0], data[1][kind]
    w, b = minimise(X, y, loss, l1, l2)
    assert np.any(w)
    assert_same(said(code).fit(X, y), w, b)


def keras_gradient(kind, l1, l2):
    """(X, y, w, b) -> gradient in w and b of what a Dense layer of Keras is trained to lessen."""
    jax = pytest.importorskip("jax", reason="needs Keras and JAX: pip install keras jax")
    jax.config.update("jax_enable_x64", True)
    os.environ.setdefault("KERAS_BACKEND", "jax")
    keras = pytest.importorskip("keras", reason="needs Keras and JAX: pip install keras jax")
    if keras.backend.backend() != "jax":
        pytest.skip(f"needs KERAS_BACKEND=jax, it is {keras.backend.backend()}")
    losses = keras.losses
    loss = {"number": losses.MeanSquaredError(), "huber": losses.Huber(delta=GIVEN["d"]), "count": losses.Poisson(),
            "label": losses.BinaryCrossentropy(from_logits=True)}[kind]
    layer = keras.layers.Dense(1, kernel_regularizer=keras.regularizers.L1L2(l1, l2), dtype="float64",
                               activation="exponential" if kind == "count" else None)
    layer.build((None, P))

    def gradient(X, y, w, b):
        def objective(weights):
            out, _, penalties = layer.stateless_call(weights, [], X, return_losses=True)
            return loss(np.asarray(y, dtype=np.float64)[:, None], out) + sum(penalties)

        of_w, of_b = jax.grad(objective)([w[:, None], np.array([b])])
        return np.asarray(of_w)[:, 0], float(of_b[0])
    return gradient


def torch_gradient(kind, l1, l2):
    """The same of a Linear layer of PyTorch, whose penalty is written out."""
    torch = pytest.importorskip("torch", reason="needs PyTorch: pip install torch")
    loss = {"number": torch.nn.MSELoss(), "huber": torch.nn.HuberLoss(delta=GIVEN["d"]),
            "count": torch.nn.PoissonNLLLoss(), "label": torch.nn.BCEWithLogitsLoss()}[kind]
    layer = torch.nn.Linear(P, 1, dtype=torch.float64)

    def gradient(X, y, w, b):
        X, y, w = (torch.tensor(values.tolist(), dtype=torch.float64) for values in (X, y, w[None]))
        layer.weight.data, layer.bias.data[0] = w, b
        layer.zero_grad()
        (loss(layer(X)[:, 0], y) + l1 * layer.weight.abs().sum() + l2 * (layer.weight**2).sum()).backward()
        return np.array(layer.weight.grad[0].tolist()), layer.bias.grad.item()
    return gradient


@pytest.mark.parametrize("framework", [keras_gradient, torch_gradient], ids=["keras", "torch"])
@pytest.mark.parametrize("code", FRAMEWORKS)
def test_frameworks_themselves_find_nothing_to_do(code, framework, data):
    """At our coefficients, and not beside them, the gradient of their objective is zero; where |w| has its corner, that
    of the rest is no larger than what |w| may take."""
    kind, _, l1, l2 = FRAMEWORKS[code]
    kind_of_loss = "huber" if "huber" in code else kind
    gradient, smooth = framework(kind_of_loss, l1, l2), framework(kind_of_loss, 0.0, l2)
    X, y = data[0], data[1][kind]
    model = said(code).fit(X, y)
    w, b = np.ravel(model.coef_), float(np.ravel(model.intercept_)[0])
    of_w, of_b = gradient(X, y, w, b)
    assert np.max(np.abs(of_w[w != 0])) <= ACCURACY and abs(of_b) <= ACCURACY
    assert np.all(np.abs(smooth(X, y, w, b)[0][w == 0]) <= l1)
    assert np.max(np.abs(gradient(X, y, 1.001 * w, b)[0][w != 0])) > 10 * ACCURACY


def test_weight_decay_of_torch(data):
    """Trained to the end by whole batches, the bias in a group without decay."""
    torch = pytest.importorskip("torch", reason="needs PyTorch: pip install torch")
    X, y = (torch.tensor(values.tolist(), dtype=torch.float64) for values in (data[0], data[1]["number"]))
    layer = torch.nn.Linear(P, 1, dtype=torch.float64)
    steps = torch.optim.SGD([{"params": [layer.weight], "weight_decay": GIVEN["wd"]}, {"params": [layer.bias]}], lr=0.1)
    for _ in range(3000):
        steps.zero_grad()
        torch.nn.functional.mse_loss(layer(X)[:, 0], y).backward()
        steps.step()
    model = said("Ridge(n * wd / 2)").fit(data[0], data[1]["number"])
    assert_same(model, layer.weight[0].tolist(), layer.bias.item())


def test_softmax_layer(data):
    """Several classes: a bias more for all of them changes nothing, so biases are compared about their mean."""
    X, y = data[0], data[1]["class"]
    hot = np.eye(3)[y]

    def objective(flat):
        W, b = flat[:-3].reshape(3, P), flat[-3:]
        eta = X @ W.T + b
        slope = special.softmax(eta, axis=1) - hot
        return ((special.logsumexp(eta, axis=1) - (eta * hot).sum(axis=1)).mean() + GIVEN["l2"] * (W**2).sum(),
                np.append((slope.T @ X / N + 2 * GIVEN["l2"] * W).ravel(), slope.mean(axis=0)))

    flat = np.zeros(3 * P + 3)
    for _ in range(5):
        flat = optimize.minimize(objective, flat, jac=True, method="BFGS", options={"gtol": 1e-11}).x
    model = said("LogisticRegression(C=1 / (2 * n * l2))").fit(X, y)
    np.testing.assert_allclose(model.coef_, flat[:-3].reshape(3, P), rtol=0, atol=ACCURACY)
    np.testing.assert_allclose(model.intercept_, flat[-3:] - flat[-3:].mean(), rtol=0, atol=ACCURACY)


@pytest.mark.parametrize("q", [0.1, 0.5])
def test_dropout_on_inputs(q, data):
    """The mean over all 2^p masks of each row, kept inputs divided by 1 - q: least squares on rows times masks."""
    X, y = data[0], data[1]["number"]
    masks = np.array(list(itertools.product((0, 1), repeat=P)))
    chance = (1 - q) ** masks.sum(axis=1) * q ** (P - masks.sum(axis=1))
    dropped = (X[:, None, :] * masks / (1 - q)).reshape(-1, P)
    root = np.sqrt(np.tile(chance, N))
    w = np.linalg.lstsq(np.column_stack([dropped, np.ones(len(root))]) * root[:, None],
                        np.repeat(y, len(masks)) * root, rcond=None)[0]
    factor = "q / (1 - q) * (X**2).sum(axis=0)"
    assert f"Ridge(alpha=1.0, penalty_factor={factor})" in PAGE.read_text()
    assert_same(fastreg.Ridge(alpha=1.0, penalty_factor=eval(factor)).fit(X, y), w[:-1], w[-1])


SCIKIT_LEARN = {
    # the sum or mean of losses, and what is in front of |w| and of w^2, as scikit-learn's guide writes them
    "Lasso": ("number", squared, 2 * 0.1, 0, True, fastreg.Lasso(0.1, **EXACT)),
    "ElasticNet": ("number", squared, 2 * 0.1 * 0.3, 0.1 * 0.7, True, fastreg.ElasticNet(0.1, l1_ratio=0.3, **EXACT)),
    "Ridge": ("number", squared, 0, 3.0, False, fastreg.Ridge(3.0)),
    "LogisticRegression": ("label", cross_entropy, 0, 1 / (2 * 0.7), False, fastreg.LogisticRegression(C=0.7, **EXACT)),
    "PoissonRegressor": ("count", poisson, 0, 0.2 / 2, True, fastreg.PoissonRegressor(alpha=0.2, **EXACT)),
}


@pytest.mark.parametrize("name", SCIKIT_LEARN)
def test_objectives_of_scikit_learn(name, data):
    kind, loss, l1, l2, average, model = SCIKIT_LEARN[name]
    X, y = data[0], data[1][kind]
    assert_same(model.fit(X, y), *minimise(X, y, loss, l1, l2, average))


@pytest.mark.parametrize("family", ["gaussian", "binomial", "poisson"])
@pytest.mark.parametrize("standardize", [True, False])
def test_objectives_of_glmnet(family, standardize, data):
    """Columns in units of their deviations by n; the Gaussian family fits y / sd, and gives back sd times that."""
    kind, loss = {"gaussian": ("number", squared), "binomial": ("label", cross_entropy), "poisson": ("count", poisson)}[
        family]
    X, y = data[0], data[1][kind]
    alpha, lam = 0.6, 0.08
    sd = y.std() if family == "gaussian" else 1.0
    unit = X.std(axis=0) if standardize else np.ones(P)
    half = 2 if family == "gaussian" else 1                # glmnet has half the squares
    w, b = minimise(X / unit, y / sd, loss, half * lam / sd * alpha, half * lam / sd * (1 - alpha) / 2)
    given = from_glmnet(family, alpha=alpha, lambda_=lam, y=y, standardize=standardize) | EXACT
    path = regularization_path(X, y, **given)
    np.testing.assert_allclose(np.asarray(path.coefs)[:, 0], sd * w / unit, rtol=0, atol=ACCURACY)
    np.testing.assert_allclose(path.intercepts[0], sd * b, rtol=0, atol=ACCURACY)
