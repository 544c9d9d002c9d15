"""The workbench of dead letters: a copy of them all in a local file, and their replay."""
