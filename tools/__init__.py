"""Commands that make what the repository carries; no part of the installed package."""
