"""The ports every engine fills, and what they are told and answer with."""
