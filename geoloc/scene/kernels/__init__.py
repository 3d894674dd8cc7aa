"""Inner loops over a site's map, over plain arrays: compiled by numba where it is, run as Python where it is not."""
