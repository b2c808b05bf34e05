"""Manifests, their checks, and everything between a manifest line and a batch."""
