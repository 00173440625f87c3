"""Where consent is asked for, given and ended."""
