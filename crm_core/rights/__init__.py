"""What is held of one customer, for that customer alone: copies, data to take along, corrections."""
