"""The embedded simulator: street scenes seen by camera, thermal, depth and LiDAR. See docs/embedded-data.md."""

from sensorproof.data.simulator.write import Plan, default_workers, simulate_batch

__all__ = ["Plan", "default_workers", "simulate_batch"]
