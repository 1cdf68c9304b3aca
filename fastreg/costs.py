"""What work costs and how much is too much: rates, budgets and thresholds by which methods are chosen.

They are asked for as ``costs.NAME`` at the time of use, so that whoever sets one here sets it everywhere.
"""
# Elements of X above which BLAS could start threads of its own.
SMALL = 50_000
# Multiply-adds a second of a rank-k update, and elements a second of a pass: their ratio decides the Gram mode.
GRAM_RATE, PASS_RATE = 4e10, 1.2e9
# Elements of X up to which least squares (alpha = 0) is refined on X itself, whatever the Gram matrix would save.
EXACT = 1_000_000
# Bytes for the working block, its Gram matrix and its factor.
BUDGET = 2**31
# Stored elements of X below which a pass costs too little to be shared: threads then gain more from whole paths.
LEAST_SHARED = 500_000
# Training sets that share an engine. More would share more, but threads do better on engines of their own than within
# one, where they wait for each other in every round.
MOST_SHARED = 3
# Parts of the rows beyond which folds have too little in common (random splits that overlap in every way).
MOST_PARTS = 64
# Columns (no more than rows) and rows up to which a working set of all columns is faster than Newton's method on rows,
# where there is no L1 penalty; of several classes, columns and probabilities of all rows.
FEW_COLUMNS, FEW_ROWS, FEW_CHANCES = 300, 8000, 15_000
