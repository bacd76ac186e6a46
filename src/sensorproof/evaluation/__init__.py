"""Score a model with every subset of its sensors, compare arms over their seeds, and judge a candidate."""
