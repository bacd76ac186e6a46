"""What `sensorproof bench` measures."""
