"""Many sites over many processes: workers that take a site each, lose it when they die, and are replaced."""
