"""Forms of payloads, from a JSON Schema to controls and back. Pure: nothing here knows of HTTP.

A schema is read into shapes (`shapes`). `building` makes a tree of `fields` of a schema with a
value, or with the controls that were submitted; a template shows it. `reading` returns a tree's
value, puts errors at its fields, and does what the form's buttons say.
"""
