"""The examples are for mypy: importing them would register their tasks in the tests' process."""

collect_ignore = ["user_examples.py", "wrong_uses.py"]
