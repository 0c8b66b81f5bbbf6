"""Test the pipeline."""
