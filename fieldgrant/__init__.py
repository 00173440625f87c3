"""Composition only: the command line, the wiring of the apps, the demo."""
