"""Every read of records: planned, judged by the gate, on record; lists, searches, counts, exports, items, histories."""
