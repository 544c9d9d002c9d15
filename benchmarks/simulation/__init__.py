"""A simulation of jobs on Google Cloud, under the test clock; `benchmarks/simulate.py` runs it."""
