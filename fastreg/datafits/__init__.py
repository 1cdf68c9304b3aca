"""What a fit is judged by: one file a loss (``base`` is the contract)."""
from fastreg.datafits.logistic import LOGISTIC
from fastreg.datafits.multinomial import MULTINOMIAL
from fastreg.datafits.poisson import POISSON
from fastreg.datafits.quadratic import QUADRATIC

BY_NAME = {datafit.name: datafit for datafit in (QUADRATIC, LOGISTIC, POISSON, MULTINOMIAL)}


def by_name(name):
    """The loss of that name.

    Raises
    ------
    ValueError
        Where there is none.
    """
    if not isinstance(name, str) or name not in BY_NAME:
        raise ValueError(f"datafit must be one of {', '.join(map(repr, BY_NAME))}, got {name!r}.")
    return BY_NAME[name]
