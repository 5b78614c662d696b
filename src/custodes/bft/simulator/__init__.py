"""A deterministic simulator of the agreement protocol: faults, liars, Twins, invariants and seeded defects."""
