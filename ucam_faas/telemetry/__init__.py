"""OpenTelemetry: spans and metrics of executions, publishes and sends, exported over OTLP.

`switch` decides whether it is on. Only then are the other modules imported, and OpenTelemetry with
them: the rest of the package holds a `Telemetry`, or None.
"""
