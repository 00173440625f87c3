"""Touchpoints upload: each signed, each with its purpose and its ground; what has none is refused or held."""
