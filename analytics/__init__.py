"""The published warehouse -> figures people read."""
