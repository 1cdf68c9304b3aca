"""What a fit is judged by: one file a loss (``base`` is the contract)."""
