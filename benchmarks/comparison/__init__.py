"""fastreg beside its peers, at equal accuracy: what `compare.py` and `update_readme.py` are made of.

`tasks` says what is solved and judges the answers, `solvers` holds one small adapter for each solver and task, `worker`
runs them in a process of their own, `measure` drives the workers, `results` keeps the JSON, and `tables` and `figures`
show it.
"""
