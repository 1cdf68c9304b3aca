"""What a fit is judged by: one file a loss (``base`` is the contract)."""
import re

from fastreg.datafits.base import Datafit
from fastreg.datafits.functions import custom, from_skglm
from fastreg.datafits.gamma import GAMMA
from fastreg.datafits.huber import Huber
from fastreg.datafits.logistic import LOGISTIC
from fastreg.datafits.multinomial import MULTINOMIAL
from fastreg.datafits.poisson import POISSON
from fastreg.datafits.quadratic import QUADRATIC
from fastreg.datafits.squared_hinge import SQUARED_HINGE
from fastreg.datafits.tweedie import Tweedie

__all__ = ["GAMMA", "LOGISTIC", "MULTINOMIAL", "POISSON", "QUADRATIC", "SQUARED_HINGE", "Datafit", "Huber", "Tweedie",
           "by_name", "custom", "from_skglm", "tweedie"]

BY_NAME = {datafit.name: datafit for datafit in (
    QUADRATIC, LOGISTIC, POISSON, GAMMA, MULTINOMIAL, SQUARED_HINGE)}
OTHER_NAMES = {"inverse_gaussian": "tweedie(3.0)"}
NAMED = re.compile(r"(tweedie|huber)\(([0-9.e+-]+)\)")


def tweedie(power):
    """The loss of a power of the mean, which the variance of y is a multiple of, with the logarithm as link.

    Parameters
    ----------
    power : float
        1 is the Poisson loss, 2 the gamma loss, between them Tweedie's; above 2 and not above 0, those that are not
        convex: 3 is the inverse Gaussian loss.

    Raises
    ------
    ValueError
        Of any other power.
    """
    return {1: POISSON, 2: GAMMA}.get(power) or Tweedie(power)


def by_name(name):
    """The loss of that name, 'tweedie(1.5)' and 'huber(1.35)' being some as well; a loss itself is returned as it is.

    Raises
    ------
    ValueError
        Where there is none.
    """
    if isinstance(name, Datafit):
        return name
    if isinstance(name, str) and name in BY_NAME:
        return BY_NAME[name]
    found = NAMED.fullmatch(OTHER_NAMES.get(name, name)) if isinstance(name, str) else None
    if found is None:
        raise ValueError(f"datafit must be one of {', '.join(map(repr, [*BY_NAME, *OTHER_NAMES]))}, 'tweedie(POWER)', "
                         f"'huber(DELTA)' or a loss that datafits.custom has made, got {name!r}.")
    return {"tweedie": tweedie, "huber": Huber}[found[1]](float(found[2]))
