"""The tool that draws 3D boxes, and paints the masks of a few of them."""
