r"""
A file that need not fit in memory
==================================

``numpy.load(..., mmap_mode="r")`` gives an array whose rows stay on disk until they are read. Fits stream it, from one
end to the other, and keep no copy. What a process holds, beside the pages of the file that the system may drop
whenever it likes, stays small.
"""
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from fastreg import certify, regularization_path

# %%
# A file is written
# -----------------
# By blocks of rows, as somebody with more rows than memory would: 64 MB here, so that these pages are built in seconds.
n, p, block = 40_000, 400, 5_000
rng = np.random.default_rng(14)
weights = np.where(np.arange(p) < 12, rng.uniform(-1, 1, p), 0)
folder = tempfile.TemporaryDirectory()
file = Path(folder.name, "X.npy")
written = np.lib.format.open_memmap(file, mode="w+", dtype=np.float32, shape=(n, p))
y = np.empty(n)
for start in range(0, n, block):
    rows = rng.standard_normal((block, p)).astype(np.float32)
    written[start : start + block] = rows
    y[start : start + block] = rows @ weights + rng.standard_normal(block)
del written

# %%
# A path of it
# ------------
# ``RssAnon`` is what a Linux process holds for itself, pages of files not counted.


def held():
    """Megabytes of memory that are this process's own; NaN where the system does not say."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("RssAnon")), np.nan)


X = np.load(file, mmap_mode="r")
most, before = [held()], held()
path = regularization_path(X, y, alphas=60, callback=lambda k, n_alphas: most.append(held()))
more = max(*most, held()) - before
print(f"file: {file.stat().st_size / 1e6:.0f} MB; more memory held during the path: {more:.0f} MB")
print(path.certificate)

# %%
# With many more rows than columns the file is read once for its sums of products, and once more for the last
# certificate. ``certify`` judges every solution from the file itself.
print(certify(X, y, path))

# %%
# Coefficients
# ------------
# Twelve columns are in the truth; the others enter late.
axes = path.plot(label=12)
axes.set_title(f"{n:,} rows on disk")
plt.show()
folder.cleanup()
