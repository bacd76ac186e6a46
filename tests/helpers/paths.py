"""Where the project is."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The checkout."""
DATA = ROOT.parent / "shared/data"
"""Real data beside the checkout."""
