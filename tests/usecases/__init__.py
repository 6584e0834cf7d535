"""Verbs on real databases, beside the main job."""
