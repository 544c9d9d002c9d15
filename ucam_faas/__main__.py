"""`python -m ucam_faas`."""

from ucam_faas.cli import main

main(prog_name="ucam-faas")
