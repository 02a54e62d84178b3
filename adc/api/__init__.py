"""What users call: transformations, signatures, the cache of programs."""
