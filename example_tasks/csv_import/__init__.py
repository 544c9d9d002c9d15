"""An example: a message that a function of your own parses."""
