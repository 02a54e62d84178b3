"""Text to callables: `numpy_backend` (the readable source, as it is) and `cpu` (native code, cached on disk)."""
