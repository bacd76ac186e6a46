"""Measure single sensors and pairs: time, calibration, image quality, labels."""
