"""The tool that clicks cells."""
