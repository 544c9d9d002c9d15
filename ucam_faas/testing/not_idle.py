"""The error of a test that expects work to be done, where it isn't."""


class NotIdleError(AssertionError):
    """Something still runs, or waits."""
