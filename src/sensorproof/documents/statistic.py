"""A figure over the seeds."""

from sensorproof.documents.base import Document


class Statistic(Document):
    """Mean and sample standard deviation over the seeds; the deviation of one seed is 0."""

    mean: float
    std: float
