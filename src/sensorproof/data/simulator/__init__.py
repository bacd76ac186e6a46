"""The embedded simulator: street scenes seen by camera, thermal, depth and LiDAR. See docs/embedded-data.md."""

from sensorproof.data.simulator.generate import SimulationConfig, default_workers, simulate_batch

__all__ = ["SimulationConfig", "default_workers", "simulate_batch"]
