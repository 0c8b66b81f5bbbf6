"""Test the mining room."""
