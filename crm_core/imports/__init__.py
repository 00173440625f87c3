"""Files of customers come in: read as a stream, checked and gathered first, then applied as a whole, or undone."""
