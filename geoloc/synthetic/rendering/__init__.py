"""Pictures of sites that are drawn: textured, lit by lamps, sky and sun, with cars that come and go."""
