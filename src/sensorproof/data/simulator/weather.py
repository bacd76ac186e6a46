"""The four conditions, and how each affects light, heat and laser beams."""

from dataclasses import dataclass

from sensorproof.data.simulator.scene import Label


@dataclass(frozen=True)
class Weather:
    """One condition. Lengths in metres, extinction per metre, temperatures in kelvin."""

    name: str
    hour: float
    """Local time at which its sequences begin."""
    cooler: float
    """How much colder the air is than by day."""
    sun: float
    """Direct light, as a share of a clear day's."""
    ambient: float
    """Diffuse light, in the same unit."""
    dark: bool
    """Headlights, street lamps and windows are lit."""
    exposure: float
    """Brightness at which the automatic exposure aims: mean linear light, as a share of full scale."""
    camera_noise: float
    """Standard deviation, as a share of full scale."""
    extinction: float
    """Of visible light and of the laser, per metre."""
    thermal_extinction: float
    """Of thermal radiation, per metre."""
    rain: float
    """0 (none) to 1: wet surfaces, drops in the air and on the lens."""
    heat: dict[Label, float]
    """How much warmer than the air each class is, without engines and bodies."""
    sunshine: float
    """How much warmer an upright surface is that faces the sun."""
    thermal_texture: float
    """Factor on the thermal contrast within a surface."""
    sky_cooling: float
    """How much colder than the air the sky overhead looks."""
    depth_noise: float
    """Factor on the depth sensor's noise."""
    depth_holes: float
    """Share of the image in which stereo matching fails."""
    depth_limit: float
    """Largest depth that the depth sensor measures."""


def _heat(*values: float) -> dict[Label, float]:
    """Return the warmth of road, sidewalk, terrain, building, vegetation, vehicle, pedestrian and pole, in kelvin."""
    return dict(zip(list(Label)[:8], values, strict=True))


DAY = Weather(
    "day", 11, 0, sun=0.85, ambient=0.4, dark=False, exposure=0.24, camera_noise=0.012,
    extinction=0.0008, thermal_extinction=0.001, rain=0,
    heat=_heat(9, 8, 2.5, 3, 0, 5, 1, 3), sunshine=5, thermal_texture=1.0, sky_cooling=34,
    depth_noise=1.0, depth_holes=0.08, depth_limit=30,
)  # fmt: skip
NIGHT = Weather(
    "night", 22, 7, sun=0, ambient=0.025, dark=True, exposure=0.1, camera_noise=0.03,
    extinction=0.001, thermal_extinction=0.001, rain=0,
    heat=_heat(3, 2.6, -1.8, 2.5, -0.6, -2.5, 0, -2.5), sunshine=0, thermal_texture=0.7, sky_cooling=28,
    depth_noise=1.6, depth_holes=0.2, depth_limit=24,
)  # fmt: skip
_FOG = Weather(
    "fog", 7, 4, sun=0.04, ambient=0.6, dark=False, exposure=0.34, camera_noise=0.014,
    extinction=0.028, thermal_extinction=0.008, rain=0,
    heat=_heat(1.4, 1.2, -0.6, 1.6, -0.3, 0.3, 0, 0.2), sunshine=0, thermal_texture=0.6, sky_cooling=7,
    depth_noise=1.3, depth_holes=0.1, depth_limit=24,
)  # fmt: skip
_RAIN = Weather(
    "rain", 15, 3, sun=0, ambient=0.42, dark=False, exposure=0.17, camera_noise=0.022,
    extinction=0.009, thermal_extinction=0.005, rain=1,
    heat=_heat(0.9, 0.8, -0.2, 0.9, -0.2, 0.2, -2, 0), sunshine=0, thermal_texture=0.35, sky_cooling=9,
    depth_noise=1.5, depth_holes=0.12, depth_limit=26,
)  # fmt: skip

_CONDITIONS = (DAY, NIGHT, _FOG, _RAIN)
SCHEDULE = (DAY, NIGHT, DAY, _FOG, DAY, _RAIN, DAY, NIGHT)
"""The conditions that sequences take in turn: half of all driving is by day, as in the field."""
