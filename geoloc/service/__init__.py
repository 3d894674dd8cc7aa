"""Pages that geoloc serves on this machine: so far the one on which stills and map are marked."""
