"""One tool per kind of annotation."""
