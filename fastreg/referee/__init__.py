"""The referee: objective, duality gap and bounds of any answer, recomputed from X itself; no solver is believed.

It imports nothing of the engine, so that an error there cannot hide here. `data` reads X block by block, `problem`
bounds how far an answer is from the optimum, from what `squares` or `glm` with a loss of `losses` say is left of the
loss; `answers` knows what the estimators and paths mean, `certificate` puts all together, `paths` judges coefficients
from anywhere for the command line and the benchmarks.
"""
from fastreg.referee.certificate import Certificate, certify
from fastreg.referee.paths import Referee, Verdict

__all__ = ["Certificate", "Referee", "Verdict", "certify"]
