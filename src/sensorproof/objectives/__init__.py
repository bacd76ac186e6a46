"""What each arm minimises."""
