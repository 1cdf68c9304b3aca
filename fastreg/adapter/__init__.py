"""The one door by which tests reach the kernels: thin wrappers, not public."""
