"""Decide on promotion, and change the registry safely: for the stage `register` and for `sensorproof registry`."""

from sensorproof.promotion.act import Request, approve, decide_promotion, promote, refuse, roll_back
from sensorproof.promotion.decision import PromotionDecision

__all__ = ["PromotionDecision", "Request", "approve", "decide_promotion", "promote", "refuse", "roll_back"]
