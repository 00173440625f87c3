"""Least data, measured: what a prediction needs, and what nobody ever read."""
