"""The JSON: the machine, the records, merging, and what is read from them."""

import json
import os
import platform
import re
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_info

from .solvers import OWN
from .tasks import TASKS

SCHEMA = 1
KEY = ("task", "data", "params", "solver", "threads", "axis")


def machine():
    """The machine and its libraries.

    Returns
    -------
    dict
        Processor, cores, memory, system, Python and BLAS.
    """
    pools = {f"{pool['internal_api']} {pool['version'] or ''}".strip() for pool in threadpool_info()}
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "blas": sorted(pools),
    }


def _processor():
    try:
        found = re.search(r"model name\s*:\s*(.*)", Path("/proc/cpuinfo").read_text())
    except OSError:
        found = None
    return found[1] if found else platform.processor()


def read(path):
    """The results in a file, empty ones if there is none.

    Parameters
    ----------
    path : path-like
        The JSON file.

    Returns
    -------
    dict
        `schema`, `machine` and `records`.
    """
    if not Path(path).exists():
        return {"schema": SCHEMA, "machine": machine(), "records": []}
    results = json.loads(Path(path).read_text())
    if results["schema"] != SCHEMA:
        raise ValueError(f"{path} has schema {results['schema']}, this script writes {SCHEMA}")
    return results


def merge(results, records):
    """Add records; those of the same task, data, parameters, solver and threads are replaced.

    Parameters
    ----------
    results : dict
        What there is; changed.
    records : list of dict
        What is new.
    """
    new = {_key(record) for record in records}
    results["records"] = [record for record in results["records"] if _key(record) not in new] + records
    results["records"].sort(key=lambda record: list(TASKS).index(record["task"]))  # stable: rows keep their order


def write(results, path):
    """Write the JSON, a record to a line."""
    head = {name: value for name, value in results.items() if name != "records"}
    lines = ",\n".join(json.dumps(record) for record in results["records"])
    Path(path).write_text(f'{json.dumps(head)[:-1]}, "records": [\n{lines}\n]}}\n')


def _key(record):
    return json.dumps([record.get(name) for name in KEY], sort_keys=True)


class Row:
    """A task on a data set: fastreg's record, its peers', and who is best.

    Parameters
    ----------
    records : list of dict
        Those of the row.
    """

    def __init__(self, records):
        self.own = next((record for record in records if record["solver"] == OWN), None)
        self.peers = [record for record in records if record["solver"] != OWN]
        self.task, self.data, self.params = (records[0][name] for name in ("task", "data", "params"))
        self.shape = next((record["shape"] for record in records if record["shape"]), None)
        self.nnz = next((record["nnz"] for record in records if record["nnz"]), None)
        self.finished = sorted(
            (peer for peer in self.peers if peer["seconds"]),
            key=lambda peer: peer["seconds"] / (self._beside(peer) or 1),
        )

    @property
    def best(self):
        """The peer with the smallest ratio to fastreg, None if none has finished."""
        return self.finished[0] if self.finished else None

    @property
    def seconds(self):
        """fastreg's time, beside the best peer."""
        return self._beside(self.best) if self.best else self.own and self.own["seconds"]

    @property
    def ratio(self):
        """Time of the best peer over fastreg's; None where one of them is missing."""
        return self.best["seconds"] / self.seconds if self.best and self.seconds else None

    @property
    def lost(self):
        """Whether the best peer is faster."""
        return self.ratio is not None and self.ratio < 1

    def _beside(self, peer):
        return peer["fastreg_seconds"] or (self.own and self.own["seconds"])


def rows(results, scaling=False):
    """The rows, in the order of the file.

    Parameters
    ----------
    results : dict
        What `read` returned.
    scaling : bool, default=False
        Those of the scaling sweeps, else the others.

    Returns
    -------
    list of Row
    """
    groups = {}
    for record in results["records"]:
        if ("axis" in record) == scaling:
            key = json.dumps([record.get(name) for name in KEY if name != "solver"], sort_keys=True)
            groups.setdefault(key, []).append(record)
    return [Row(records) for records in groups.values()]


def exponent(values, measured):
    """The power of `values` that `measured` grows with, by least squares of the logarithms.

    Parameters
    ----------
    values, measured : sequence of float
        Positive.

    Returns
    -------
    float or None
        None where there is one point only.
    """
    if len(values) < 2:
        return None
    return float(np.polyfit(np.log(values), np.log(measured), 1)[0])
