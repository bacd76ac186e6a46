"""The embedded simulator: street scenes recorded by camera, thermal camera, depth camera and LiDAR.

The page on the embedded data describes what it shows and how.
"""

from sensorproof.data.simulator.generate import SimulationConfig, simulate_batch

__all__ = ["SimulationConfig", "simulate_batch"]
