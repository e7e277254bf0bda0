// Moves, turns and scalings of the infrared picture, as one thing that can be put together without loss.

/** z -> a z + b of complex numbers z = x + iy, RGB pixels; a turn is positive from x towards y. */
export class Similarity {
  constructor(a = [1, 0], b = [0, 0]) {
    this.a = a;
    this.b = b;
  }

  static move(dx, dy) {
    return new Similarity([1, 0], [dx, dy]);
  }

  /** Scales by `scale` and turns by `degrees` about a point, which then moves by (dx, dy). */
  static about([x, y], scale, degrees, [dx, dy] = [0, 0]) {
    const angle = (degrees * Math.PI) / 180;
    const a = [scale * Math.cos(angle), scale * Math.sin(angle)];
    const [turnedX, turnedY] = times(a, [x, y]);
    return new Similarity(a, [x - turnedX + dx, y - turnedY + dy]);
  }

  /** What maps two points onto two others: two fingers. */
  static pinch([p, q], [toP, toQ]) {
    const from = [q[0] - p[0], q[1] - p[1]];
    const to = [toQ[0] - toP[0], toQ[1] - toP[1]];
    const size = from[0] ** 2 + from[1] ** 2;
    if (size < 1) return new Similarity();
    const a = [(to[0] * from[0] + to[1] * from[1]) / size, (to[1] * from[0] - to[0] * from[1]) / size];
    const [x, y] = times(a, p);
    return new Similarity(a, [toP[0] - x, toP[1] - y]);
  }

  /** First `before`, then this one. */
  after(before) {
    const [x, y] = times(this.a, before.b);
    return new Similarity(times(this.a, before.a), [x + this.b[0], y + this.b[1]]);
  }

  /** As the server takes it: scaled and turned about a point, then moved. */
  asNudge(about) {
    const [x, y] = times(this.a, about);
    return {
      move_xy: [x + this.b[0] - about[0], y + this.b[1] - about[1]],
      rotate_deg: (Math.atan2(this.a[1], this.a[0]) * 180) / Math.PI,
      scale: Math.hypot(...this.a),
      about_xy: about,
    };
  }
}

function times([a, b], [c, d]) {
  return [a * c - b * d, a * d + b * c];
}
