"""Score a model with every subset of its sensors and with broken ones: a model of ours, or any other."""

from sensorproof.auditing.models import AnyModel, AuditedModel, Images
from sensorproof.auditing.own import evaluate
from sensorproof.auditing.protocols import audit
from sensorproof.auditing.result import Audit, Missing

__all__ = ["AnyModel", "Audit", "AuditedModel", "Images", "Missing", "audit", "evaluate"]
