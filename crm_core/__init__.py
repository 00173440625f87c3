"""The records, sealed; every read passes the gate."""
