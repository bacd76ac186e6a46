"""Modality dropout: how well a model does with every subset of its sensors, and how sure that is."""
