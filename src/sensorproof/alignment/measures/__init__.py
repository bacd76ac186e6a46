"""Measure single sensors and labels: time, calibration, image quality. `registry` names every measure."""
