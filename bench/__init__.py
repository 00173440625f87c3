"""How fast the gate is, against what people would use instead: `python3 dev.py bench`. Never a part of the product."""
