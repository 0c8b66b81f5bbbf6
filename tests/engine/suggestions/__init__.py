"""Test the suggestions room."""
