"""The page and the figure that people read: what a run came to, drawn from what its stages left."""
