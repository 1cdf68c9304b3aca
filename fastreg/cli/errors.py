"""What goes wrong through the input, not through the program."""


class DataError(Exception):
    """Something about the input that the user can put right, said in one line."""


def shown(text, length=40):
    """A piece of a file as a message quotes it: on one line, and short.

    Parameters
    ----------
    text : str or bytes
        The piece.
    length : int, default=40
        Characters of it to show.

    Returns
    -------
    str
        The piece in quotes, its end left out if it is long.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8", errors="backslashreplace")
    return repr(text) if len(text) <= length else f"{text[:length]!r}..."
