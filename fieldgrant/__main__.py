"""`python -m fieldgrant`."""

from fieldgrant.cli import main

main()
