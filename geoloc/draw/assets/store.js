// Where objects were: chunks of the recording, unpacked when their time comes; see page_columns.py for their form.

const TIME_S = 0.01, PLACE_M = 0.01, SHAPE = 0.02, UNKNOWN = -32768;

async function inflate(text) {
  const packed = Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// Reads columns of differences that lie in planes of bytes.
class Columns {
  constructor(bytes) {
    this.bytes = bytes;
    const head = new DataView(bytes.buffer, bytes.byteOffset), n = head.getUint32(0, true);
    this.tracks = new Uint32Array(n);
    this.first = new Uint32Array(n + 1);
    for (let i = 0; i < n; i++) {
      this.tracks[i] = head.getUint32(4 + 8 * i, true);
      this.first[i + 1] = this.first[i] + head.getUint32(8 + 8 * i, true);
    }
    this.n = this.first[n];
    this.at = 4 + 8 * n;
  }

  // Numbers of `width` bytes each, added up along every track, times `unit`; `missing` is no number.
  read(width, unit, missing = null) {
    const { bytes, at, n } = this, out = new Float64Array(n), shift = 32 - 8 * width;
    for (let k = 0; k < this.tracks.length; k++) {
      let sum = 0;
      for (let i = this.first[k]; i < this.first[k + 1]; i++) {
        let value = 0;
        for (let plane = 0; plane < width; plane++) value |= bytes[at + plane * n + i] << (8 * plane);
        sum += (value << shift) >> shift;
        if (width === 2) sum = (sum << 16) >> 16;  // differences wrap round as they do in 16 bits
        out[i] = sum === missing ? NaN : sum * unit;
      }
    }
    this.at += width * n;
    return out;
  }

  small() {
    this.at += this.n;
    return this.bytes.subarray(this.at - this.n, this.at);
  }
}

class Store {
  constructor(data) {
    this.data = data;
    this.tracks = data.tracks.map(([id, label, first, last]) => ({ id, label, first, last, parts: new Map() }));
    this.byId = new Map(this.tracks.map(track => [track.id, track]));
    this.there = new Map();  // tracks of each chunk that is unpacked
    this.coming = new Map();
    this.count = Math.max(1, Math.ceil((data.seconds + TIME_S) / data.stretch));
    this.factor = Math.sqrt(-2 * Math.log(1 - data.probability));
  }

  chunkAt(time) { return Math.max(0, Math.min(this.count - 1, Math.floor(time / this.data.stretch))); }

  has(time) { return this.there.has(this.chunkAt(time)); }

  // Unpack a chunk, once; then `done` is called.
  load(k, done) {
    if (k < 0 || k >= this.count || this.there.has(k) || this.coming.has(k)) return this.coming.get(k);
    const node = document.getElementById(`chunk-${k}`);
    const work = inflate(node.textContent).then(bytes => {
      this.unpack(k, new Columns(bytes));
      node.remove();
      this.coming.delete(k);
      done?.();
    });
    this.coming.set(k, work);
    return work;
  }

  unpack(k, columns) {
    const t = columns.read(4, TIME_S), x = columns.read(4, PLACE_M), y = columns.read(4, PLACE_M);
    const shape = [0, 1, 2].map(() => columns.read(2, SHAPE, UNKNOWN));
    const [level, state, life, cut] = [0, 1, 2, 3].map(() => columns.small());
    const here = [];
    columns.tracks.forEach((index, i) => {
      const from = columns.first[i], to = columns.first[i + 1], own = column => column.subarray(from, to);
      const part = { t: own(t), x: own(x), y: own(y), shape: shape.map(own), level: own(level), state: own(state),
        life: own(life), cut: own(cut) };
      this.tracks[index].parts.set(k, part);
      here.push(this.tracks[index]);
    });
    this.there.set(k, here);
  }

  // All objects at a time; what is not unpacked yet is left out.
  at(time) {
    const k = this.chunkAt(time), spots = [];
    for (const track of this.there.get(k) ?? []) {
      const spot = this.spot(track, track.parts.get(k), time);
      if (spot) spots.push(spot);
    }
    return spots;
  }

  // Where a track is between its keys; null where it is not seen. The last key counts as long as times are rounded.
  spot(track, part, time) {
    const i = lastAt(part.t, time + TIME_S / 2);
    if (i < 0) return null;
    const last = i === part.t.length - 1, span = last ? 0 : part.t[i + 1] - part.t[i], late = time - part.t[i];
    if ((last || part.cut[i]) && late > 2 * TIME_S) return null;
    const linked = span > 0 && !part.cut[i] && part.level[i + 1] === part.level[i];
    const share = linked ? Math.max(0, late / span) : 0, mix = column => share ? column[i] + share * (column[i + 1] - column[i]) : column[i];
    return {
      track, level: part.level[i], state: this.data.states[part.state[i]], life: this.data.lives[part.life[i]],
      x: mix(part.x), y: mix(part.y), vx: linked ? (part.x[i + 1] - part.x[i]) / span : null,
      vy: linked ? (part.y[i + 1] - part.y[i]) / span : null, ...this.ellipse(...part.shape.map(mix)),
    };
  }

  // Half axes (m) and angle of the ellipse that holds DATA.probability, of the logarithm of a covariance.
  ellipse(xx, xy, yy) {
    if (Number.isNaN(xx)) return { a: null, b: null, angle: 0 };
    const middle = (xx + yy) / 2, off = Math.hypot((xx - yy) / 2, xy);
    const axis = log => this.factor * Math.exp(log / 2);
    return { a: axis(middle + off), b: axis(middle - off), angle: Math.atan2(2 * xy, xx - yy) / 2 };
  }

  // The way of a track from `begin` to `end`, of what is unpacked: [t, x, y, level, cut] of each key.
  way(track, begin, end) {
    const way = [];
    for (let k = this.chunkAt(begin); k <= this.chunkAt(end); k++) {
      const part = track.parts.get(k);
      if (!part) continue;
      for (let i = Math.max(0, lastAt(part.t, begin)); i < part.t.length && part.t[i] <= end; i++) {
        if (!way.length || part.t[i] > way.at(-1)[0]) way.push([part.t[i], part.x[i], part.y[i], part.level[i], part.cut[i]]);
      }
    }
    return way;
  }

  // Since when a track has been what it is (its life, or where none is known its state) at a time, as far back as is unpacked; s.
  since(track, time) {
    let found = time, kind = null;
    for (let k = this.chunkAt(time); k >= this.chunkAt(track.first); k--) {
      const part = track.parts.get(k);
      if (!part) return [found, false];
      for (let i = lastAt(part.t, time); i >= 0; i--) {
        const now = this.data.lives[part.life[i]] || this.data.states[part.state[i]];
        kind ??= now;
        if (now !== kind) return [found, true];
        found = part.t[i];
      }
    }
    return [found, true];
  }
}
