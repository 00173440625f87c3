"""The log, the chain of one value, the bundle and its offline verifier."""
