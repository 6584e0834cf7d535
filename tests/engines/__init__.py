"""Tests of one engine each."""
