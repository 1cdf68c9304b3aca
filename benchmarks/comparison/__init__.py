"""fastreg beside its peers, at equal accuracy: what `compare.py` and `update_readme.py` are made of.

`tasks` says what is solved and judges the answers, `solvers` and `glm_solvers` hold one small adapter for each solver
and task, `worker` runs them in a process of their own, `measure` drives the workers, `results` keeps the JSON, and
`tables` and `figures` show it.
"""

from . import glm_solvers as glm_solvers  # what it registers
