"""Test the sandbox room."""
