"""What becomes of a field that lost its last ground: keep, seal, shred; and restore."""
