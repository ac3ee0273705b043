"""Faces: found, cut out, followed."""
