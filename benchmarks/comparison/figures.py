"""The figures."""


def draw(found, folder):
    """Nothing yet."""
