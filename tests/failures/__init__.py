"""Nothing is lost: programs killed, interrupted, refused, cut off and locked out in the middle of the main job."""
