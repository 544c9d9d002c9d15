"""An example: lanes, in one of which a catalogue is imported."""
