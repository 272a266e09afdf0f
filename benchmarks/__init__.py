"""Side-by-side measurements, one command each; results are kept under ``benchmarks/results/``."""
