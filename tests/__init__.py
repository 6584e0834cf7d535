"""Tests: one folder per room of dbops, plus conformance (engines, resource laws) and stories (the command line)."""
