"""Decide from measures: rules, findings on frames and batches, states of pairs, the verdict."""
