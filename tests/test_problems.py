"""The helpers that other tests rest on."""

from itertools import combinations, product

import pytest
from problems import covering


@pytest.mark.parametrize("strength", [2, 3])
@pytest.mark.parametrize("sizes", [(3, 5, 6, 2, 3), (5, 3, 2, 2, 2, 2), (1, 4, 4, 4)], ids=str)
def test_any_values_of_so_many_factors_occur_together(sizes, strength):
    factors = [[f"{name}{value}" for value in range(size)] for name, size in zip("abcdef", sizes)]
    cases = covering(*factors, strength=strength)
    assert cases == covering(*factors, strength=strength) and len(cases) == len(set(cases))
    for some in combinations(range(len(factors)), strength):
        met = {tuple(case[k] for k in some) for case in cases}
        assert met == set(product(*(factors[k] for k in some)))


def test_a_covering_is_much_smaller_than_the_product():
    assert len(covering(range(3), range(5), range(6), range(2), range(3))) == 30  # of 540: 5 * 6 is the least
    assert len(covering(*[range(2)] * 10)) <= 12  # of 1024
