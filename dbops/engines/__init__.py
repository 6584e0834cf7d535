"""One folder per database engine, the same file names in each; `base` holds the ports they fill."""
