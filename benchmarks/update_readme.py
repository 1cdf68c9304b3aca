"""Write the results into docs/benchmarks.md: tables, figures and losses, all from results.json.

python benchmarks/update_readme.py            # docs/benchmarks.md and docs/figures/
python benchmarks/update_readme.py --check    # exit code 1 if docs/benchmarks.md is not what results.json says
"""

import sys

if __name__ == "__main__":
    from compare import benchmark_module

    sys.exit(benchmark_module("comparison.readme").main())
