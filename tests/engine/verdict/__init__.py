"""Test the verdict room."""
