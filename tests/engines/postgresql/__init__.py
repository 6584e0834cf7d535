"""What only PostgreSQL can show, beside the conformance suite."""
