"""Files as they lie on the disk, compressed or not."""

import bz2
import gzip
from pathlib import Path

COMPRESSED = {".gz": gzip.open, ".bz2": bz2.open}


def opened(path, mode, **options):
    """Open a file, through gzip or bzip2 if its name ends so.

    Parameters
    ----------
    path : Path
    mode : {"rt", "rb"}
    **options
        Those of `open` for text.

    Returns
    -------
    file object
    """
    return COMPRESSED.get(path.suffix.lower(), open)(path, mode, **options)


def ending(path):
    """The ending that tells the format, without that of the compression.

    Parameters
    ----------
    path : Path

    Returns
    -------
    str
        In lower case, with its dot.
    """
    suffix = path.suffix.lower()
    return Path(path.stem).suffix.lower() if suffix in COMPRESSED else suffix
