"""Scores with a sensor that fails without saying so, in mIoU points (0 to 100)."""

from sensorproof.documents.base import Document


class FailureScores(Document):
    """One sensor broken in one way in every frame, all sensors given to the model."""

    kept: float
    """The model believes the sensor."""
    monitored: float
    """The monitor decides, frame by frame."""
    noticed: float
    """Share of the images that the monitor found failing."""


class SensorFailures(Document):
    """One sensor."""

    absent: float
    """The sensor is declared absent in every frame."""
    failures: dict[str, FailureScores]
    """By the name of the failure; see `evaluation.failures`."""

    def shortfall(self, failure: str) -> float:
        """Return how far the monitored score lies below the better of declared absence and keeping the sensor."""
        scores = self.failures[failure]
        return max(self.absent, scores.kept) - scores.monitored


class FalseAlarms(Document):
    """Images of sound sensors, and how many of them were found failing."""

    alarms: int
    images: int


class SilentScores(Document):
    """Silent failures of every sensor, with and without the monitor."""

    full: float
    """All sensors sound, no monitor."""
    monitored: float
    """The same with the monitor."""
    conditions: dict[str, FalseAlarms]
    """By the condition of the frames; the empty one stands as `(none)`."""
    sensors: dict[str, SensorFailures]

    @property
    def false_alarms(self) -> FalseAlarms:
        """Over all conditions."""
        parts = self.conditions.values()
        return FalseAlarms(alarms=sum(p.alarms for p in parts), images=sum(p.images for p in parts))

    @property
    def mean(self) -> float:
        """With the monitor, averaged over all sensors and failures."""
        scores = [own.monitored for sensor in self.sensors.values() for own in sensor.failures.values()]
        return sum(scores) / len(scores)

    @property
    def loss(self) -> float:
        """What the monitor costs while all sensors are sound."""
        return self.full - self.monitored

    @property
    def worst(self) -> tuple[str, str, float]:
        """The sensor and the failure with the largest shortfall, and that shortfall."""
        return max(
            ((name, kind, own.shortfall(kind)) for name, own in self.sensors.items() for kind in own.failures),
            key=lambda entry: entry[2],
        )
