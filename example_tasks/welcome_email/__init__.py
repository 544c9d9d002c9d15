"""An example: a message as a pydantic model, and the three outcomes that a task chooses."""
