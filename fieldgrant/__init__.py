"""Composition only: the command line, the wiring of the apps, the demo."""

VERSION = "0.1.0"
