"""Search for lists: beams, the exact optimum, and the values of given lists."""
