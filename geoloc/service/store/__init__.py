"""What was told, kept: positions, events, stalls and cameras in one schema, in a file or in PostgreSQL."""
