"""What every engine and every kind must keep, run on real databases."""
