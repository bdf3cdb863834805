const DEGREES = 180 / Math.PI;

export interface SunPosition { azimuth: number; elevation: number }

/**
 * Azimuth (from north, clockwise) and elevation of the sun in degrees for a UTC instant in milliseconds.
 * Low-precision formulae of the Astronomical Almanac (0.01 degree between 1950 and 2050); no refraction.
 */
export function sunPosition(utc: number, lon: number, lat: number): SunPosition {
  const days = utc / 86400000 + 2440587.5 - 2451545;
  const meanLongitude = 280.46 + 0.9856474 * days;
  const anomaly = (357.528 + 0.9856003 * days) / DEGREES;
  const longitude = (meanLongitude + 1.915 * Math.sin(anomaly) + 0.02 * Math.sin(2 * anomaly)) / DEGREES;
  const obliquity = (23.439 - 4e-7 * days) / DEGREES;
  const rightAscension = Math.atan2(Math.cos(obliquity) * Math.sin(longitude), Math.cos(longitude));
  const declination = Math.asin(Math.sin(obliquity) * Math.sin(longitude));
  const sidereal = (280.46062 + 360.98564737 * days + lon) / DEGREES;
  const hour = sidereal - rightAscension;
  const phi = lat / DEGREES;
  const elevation = Math.asin(
    Math.sin(phi) * Math.sin(declination) + Math.cos(phi) * Math.cos(declination) * Math.cos(hour),
  );
  const azimuth = Math.atan2(
    -Math.sin(hour),
    Math.tan(declination) * Math.cos(phi) - Math.sin(phi) * Math.cos(hour),
  );
  return { azimuth: (azimuth * DEGREES + 360) % 360, elevation: elevation * DEGREES };
}

/** The instant (ms UTC) at which the local clock of the same day shows this hour. */
export function atLocalHour(reference: number, offsetHours: number, hour: number): number {
  const day = 86400000;
  const local = reference + offsetHours * 3600000;
  return Math.floor(local / day) * day + hour * 3600000 - offsetHours * 3600000;
}

/** Hours 0..24 of the local clock at an instant. */
export function localHour(utc: number, offsetHours: number): number {
  const day = 86400000;
  return ((((utc + offsetHours * 3600000) % day) + day) % day) / 3600000;
}
