"""The engine live: detections come in, positions and events go out. `app` joins the parts."""
