"""What the parties share to do I/O: settings, clock, database, key-ring, journal, outbox, staff sign-in, errors."""
