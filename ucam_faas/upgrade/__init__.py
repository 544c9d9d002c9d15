"""The upgrade from 1.0: `changes` is the one table of differences, and the rest finds them.

In: the files of a project that was written for 1.0, which are read and never imported. Out: the
findings of `ucam-faas check --from 1.0`. docs/upgrading.md is made of the same table.
"""
