"""Writes by staff: corrections, new customers, items and organisations, each for a purpose and under a ground."""
