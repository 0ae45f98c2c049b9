"""Files in and out: volumes, annotations, results."""
