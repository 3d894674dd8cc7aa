// Positions and times: what the page computes, without drawing anything.

const WGS84_A = 6378137.0, WGS84_F = 1 / 298.257223563, WGS84_E2 = WGS84_F * (2 - WGS84_F);

// Latitude and longitude (degrees) of a point east, north (m) of the datum, in its tangent plane.
function toGeodetic([latDeg, lonDeg, height], east, north) {
  const lat0 = latDeg * Math.PI / 180, lon0 = lonDeg * Math.PI / 180;
  const [sinLat, cosLat, sinLon, cosLon] = [Math.sin(lat0), Math.cos(lat0), Math.sin(lon0), Math.cos(lon0)];
  const normal0 = WGS84_A / Math.sqrt(1 - WGS84_E2 * sinLat ** 2);
  const x = (normal0 + height) * cosLat * cosLon - sinLon * east - sinLat * cosLon * north;
  const y = (normal0 + height) * cosLat * sinLon + cosLon * east - sinLat * sinLon * north;
  const z = (normal0 * (1 - WGS84_E2) + height) * sinLat + cosLat * north;
  const distance = Math.hypot(x, y);
  let lat = Math.atan2(z, distance * (1 - WGS84_E2));
  for (let i = 0; i < 6; i++) {
    const normal = WGS84_A / Math.sqrt(1 - WGS84_E2 * Math.sin(lat) ** 2);
    lat = Math.atan2(z + WGS84_E2 * normal * Math.sin(lat), distance);
  }
  return [lat * 180 / Math.PI, Math.atan2(y, x) * 180 / Math.PI];
}

// Index of the last of the sorted numbers that is at most `value`; -1 if none is.
function lastAt(numbers, value) {
  let low = 0, high = numbers.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (numbers[middle] <= value) low = middle + 1; else high = middle;
  }
  return low - 1;
}

// Largest of 1, 2, 5 times a power of ten that is at most `length`.
function niceStep(length) {
  const power = 10 ** Math.floor(Math.log10(length));
  return power * (length >= 5 * power ? 5 : length >= 2 * power ? 2 : 1);
}

// The part of the ground that the canvas shows: centre (m) and pixels per metre.
class View {
  constructor(box) { this.box = box; this.width = this.height = 1; this.fit(); }

  fit() {
    const [x0, y0, x1, y1] = this.box;
    this.x = (x0 + x1) / 2;
    this.y = (y0 + y1) / 2;
    this.scale = Math.min(this.width / (x1 - x0), this.height / (y1 - y0));
    this.fitted = true;
  }

  resize(width, height) {
    this.width = width;
    this.height = height;
    if (this.fitted) this.fit();
  }

  toScreen(x, y) {
    return [this.width / 2 + (x - this.x) * this.scale, this.height / 2 - (y - this.y) * this.scale];
  }

  toGround(u, v) {
    return [this.x + (u - this.width / 2) / this.scale, this.y - (v - this.height / 2) / this.scale];
  }

  pan(du, dv) {
    this.x -= du / this.scale;
    this.y += dv / this.scale;
    this.fitted = false;
  }

  // The ground point under (u, v) stays there.
  zoom(factor, u = this.width / 2, v = this.height / 2) {
    const [x, y] = this.toGround(u, v);
    this.scale = Math.min(2000, Math.max(0.02, this.scale * factor));
    const [x1, y1] = this.toGround(u, v);
    this.x += x - x1;
    this.y += y - y1;
    this.fitted = false;
  }
}

function clockText(seconds) {
  if (!DATA.utc) return `${(DATA.start + seconds).toFixed(1)} s`;
  return new Date((DATA.start + seconds) * 1000).toISOString().slice(11, 21) + " UTC";
}

function durationText(seconds) {
  if (seconds >= 7200) return `${(seconds / 3600).toFixed(1)} h`;
  return seconds >= 120 ? `${(seconds / 60).toFixed(1)} min` : `${seconds.toFixed(1)} s`;
}

function counted(n, thing) { return `${n} ${thing}${n === 1 ? "" : "s"}`; }
