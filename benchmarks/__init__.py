"""asv benchmarks: `asv run`, or at toy size with FASTREG_BENCH=toy."""
