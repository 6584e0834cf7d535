"""Measurements of whole commands beside a yardstick of the same run, and the acceptance run; nothing here is a test."""
