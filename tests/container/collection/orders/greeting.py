"""What tasks say."""

GREETING = "Good morning"
