"""The rows of the report, a file for each thing that is measured: `measure(size)` yields its results."""
