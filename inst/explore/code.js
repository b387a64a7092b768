// Autoencoders: rows to codes, codes to the distribution of each column.

// ---- margins: values of a column to scores that are normal, and back

const marginOf = (m) => {
  const n = m.x.length;
  const placeIn = (knots, v) => {
    let low = 0, high = n;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (knots[middle] <= v) low = middle + 1;
      else high = middle;
    }
    return low;
  };
  const tailSize = (end) => {
    const s = [m.x[end === 0 ? 0 : n - 1] - m.low, m.x[end === 0 ? 0 : n - 1] - m.high];
    const known = [s[end], s[1 - end]].filter((v) => Number.isFinite(v) && v !== 0);
    return known.length ? known[0] : Infinity;
  };
  const sizes = [tailSize(0), tailSize(1)];
  const score = (v) => {
    const k = placeIn(m.x, v);
    if (k === 0 || k === n) {
      const end = k === 0 ? 0 : 1, at = k === 0 ? 0 : n - 1, d = v - m.x[at], s = sizes[end];
      const away = Number.isFinite(s) ? s * Math.log1p(Math.max(d / s, -1 + 1e-14)) : d;
      return m.u[at] + m.slope[at] * away;
    }
    const a = k - 1, width = m.x[k] - m.x[a], rise = m.u[k] - m.u[a];
    if (!(rise > 0)) return m.u[a];
    const t = (v - m.x[a]) / width, s = rise / width;
    const below = s + (m.slope[k] + m.slope[a] - 2 * s) * t * (1 - t);
    return m.u[a] + rise * (s * t * t + m.slope[a] * t * (1 - t)) / below;
  };
  const onGrid = (v) => {
    if (m.step === 0) return Math.min(Math.max(v, m.low), m.high);
    const v1 = roundEven(v / m.step) * m.step;
    const v2 = Math.min(Math.max(v1, m.low + m.step / 2), m.high - m.step / 2);
    return Math.round(v2 * 1e8) / 1e8;
  };
  const value = (u) => {
    const k = placeIn(m.u, u);
    if (k === 0 || k === n) {
      const end = k === 0 ? 0 : 1, at = k === 0 ? 0 : n - 1, s = sizes[end];
      if (m.slope[at] === 0) return onGrid(m.x[at]);
      const d = (u - m.u[at]) / m.slope[at];
      return onGrid(m.x[at] + (Number.isFinite(s) ? s * Math.expm1(Math.min(d / s, 600)) : d));
    }
    const a = k - 1, width = m.x[k] - m.x[a], rise = m.u[k] - m.u[a];
    if (!(width > 0)) return onGrid(m.x[a]);
    const q = u - m.u[a], s = rise / width, bend = m.slope[k] + m.slope[a] - 2 * s, b = rise * m.slope[a] - q * bend;
    const t = 2 * s * q / (b + Math.sqrt(Math.max(0, b * b + 4 * s * q * (rise * (s - m.slope[a]) + q * bend))));
    return onGrid(m.x[a] + width * t);
  };
  const hasMass = m.x.some((x, i) => i > 0 && x === m.x[i - 1]);
  const nearest = (v) => {
    if (m.step === 0 && m.slope.every((s) => s === 0)) {
      const known = [...new Set(m.x)];
      return known.reduce((best, x) => (Math.abs(x - v) < Math.abs(best - v) || x === v ? x : best), known[0]);
    }
    return Math.min(Math.max(v, m.low + m.step / 2), m.high - m.step / 2);
  };
  // The scores that a value has: the mean of a standard normal between them.
  const meanScore = (given) => {
    const v = nearest(given);
    let low, high;
    if (m.step > 0) {
      low = v - m.step / 2 <= m.low ? -Infinity : score(Math.max(v - m.step / 2, m.low));
      high = v + m.step / 2 >= m.high ? Infinity : score(Math.min(v + m.step / 2, m.high));
    } else {
      low = high = score(v);
      const at = m.x.findIndex((x, i) => x === v && m.x[i + 1] === v);
      if (at >= 0) [low, high] = [m.u[at], m.u[at + 1]];
    }
    if (Number.isFinite(low) && Number.isFinite(high) && high - low < 0.01) return (low + high) / 2;
    const density = (x) => (Number.isFinite(x) ? dnorm(x) : 0);
    const mass = low > 0 ? pnorm(-low) - pnorm(-high) : pnorm(high) - pnorm(low);
    return Math.min(Math.max((density(low) - density(high)) / mass, low), high);
  };
  // The mean of the values of normal scores: steps exactly, all else by quadrature.
  const mean = (mu, sd, nodes) => {
    const jumps = m.jumps;
    let out = jumps ? jumps.first : 0;
    if (jumps) jumps.at.forEach((at, i) => out += jumps.size[i] * pnorm((mu - at) / sd));
    if (jumps && m.step === 0) return out;
    const q = nodes[jumps || hasMass ? 1 : 0];
    q.at.forEach((z, i) => {
      let v = value(mu + sd * z);
      if (jumps) v -= Math.min(Math.max(v, jumps.first), jumps.last);
      out += q.weight[i] * v;
    });
    return out;
  };
  return {score, value, meanScore, mean};
};
// The cubic spline through points whose third derivatives at the ends are those of the four points there: splinefun().
const splineOf = (x, y) => {
  const n = x.length, b = new Float64Array(n), c = new Float64Array(n), d = new Float64Array(n), last = n - 1;
  d[0] = x[1] - x[0];
  c[1] = (y[1] - y[0]) / d[0];
  for (let i = 1; i < last; i++) {
    d[i] = x[i + 1] - x[i];
    b[i] = 2 * (d[i - 1] + d[i]);
    c[i + 1] = (y[i + 1] - y[i]) / d[i];
    c[i] = c[i + 1] - c[i];
  }
  b[0] = -d[0];
  b[last] = -d[last - 1];
  c[0] = (c[2] / (x[3] - x[1]) - c[1] / (x[2] - x[0])) * d[0] * d[0] / (x[3] - x[0]);
  const end = c[last - 1] / (x[last] - x[last - 2]) - c[last - 2] / (x[last - 1] - x[last - 3]);
  c[last] = -end * d[last - 1] * d[last - 1] / (x[last] - x[last - 3]);
  for (let i = 1; i < n; i++) {
    const t = d[i - 1] / b[i - 1];
    b[i] -= t * d[i - 1];
    c[i] -= t * c[i - 1];
  }
  c[last] /= b[last];
  for (let i = last - 1; i >= 0; i--) c[i] = (c[i] - d[i] * c[i + 1]) / b[i];
  for (let i = 0; i < last; i++) {
    b[i] = (y[i + 1] - y[i]) / d[i] - d[i] * (c[i + 1] + 2 * c[i]);
    d[i] = (c[i + 1] - c[i]) / d[i];
    c[i] *= 3;
  }
  const step = x[1] - x[0];
  return (v) => {
    const i = Math.min(last - 1, Math.max(0, Math.floor((v - x[0]) / step))), e = v - x[i];
    return y[i] + e * (b[i] + e * (c[i] + e * d[i]));
  };
};
// Means of values by those of their scores: where these all have one standard deviation from a spline, as R has them.
const meansOf = (margin, sd, nodes) => {
  if (!(sd > 0.02 && sd < 24)) return (mu) => margin.mean(mu, sd, nodes);
  const n = Math.ceil(240 / sd);
  const x = Float64Array.from({length: n}, (_, i) => -12 + 24 * i / (n - 1));
  const spline = splineOf(x, x.map((mu) => margin.mean(mu, sd, nodes)));
  return (mu) => (Math.abs(mu) > 12 ? margin.mean(mu, sd, nodes) : spline(mu));
};

// As R rounds: halves to even numbers.
const roundEven = (x) => {
  const r = Math.round(x);
  return Math.abs(x % 1) === 0.5 && r % 2 !== 0 ? r - 1 : r;
};

const codeModel = (page) => {
  const theta = unpack(page.theta), starts = blockStarts(page.blocks);
  const standardise = standardiser(page.scaling);
  const margins = page.columns.map((c) => (c.margin ? marginOf(c.margin) : null));
  const means = [];
  const cut = page.layers.findIndex((l) => l.kind === "latent"), latent = page.layers[cut];
  const encoder = page.layers.slice(0, cut), decoder = page.layers.slice(cut + 1);
  const nY = Math.max(...page.columns.flatMap((c) => c.at)) + 1;
  const nInput = page.scaling.center.length;
  const given = page.predictors ? page.design.columns.map((e) => compile(e, page.predictors)) : [];
  const givenOf = (values) => given.map((column) => column(values));

  // What the network reads of a row: of each column its value, of levels their number, null where it is missing.
  const inputsOf = (row, values) => {
    const raw = new Float64Array(nInput - given.length);
    page.columns.forEach((c, j) => {
      const v = row[j];
      if (v === null || v === undefined || v !== v) {
        c.at.forEach((at, i) => raw[at] = c.fill[i]);
        if (c.indicator >= 0) raw[c.indicator] = 1;
      } else if (c.hot) {
        c.at.forEach((at, i) => raw[at] = i === v ? 1 : 0);
      } else {
        raw[c.at[0]] = c.count ? Math.log1p(v) : margins[j] ? margins[j].meanScore(v) : v;
      }
    });
    return standardise(given.length ? [...raw, ...givenOf(values)] : raw);
  };
  const encode = (row, values) => {
    const x = forward(encoder, theta, inputsOf(row, values));
    const head = (of) => dense(theta, of.weight, of.bias, latent.rows, latent.cols, x);
    return {z: head(latent), sd: latent.spread.weight >= 0 ? head(latent.spread).map(Math.exp) : null};
  };

  // A conditional decoder reads what it is given, standardised, behind the code.
  const etaOf = (z, values) => {
    const last = given.length ? standardise([...new Float64Array(nInput - given.length), ...givenOf(values)])
      .slice(nInput - given.length) : [];
    return forward(decoder, theta, Float64Array.from(z), last);
  };
  // Of each column {mean or probabilities, e, f}: what it has at a code.
  const decode = (z, values) => {
    const eta = etaOf(z, values);
    return page.columns.map((c, j) => {
      const block = page.blocks[c.block], family = familyOf(block), i = c.hot ? 0 : c.entry;
      const part = {e: outputsOf(block, eta, starts[c.block], i), f: freeOf(page.free[c.block], i)};
      const mean = family.mean(part.e, part.f, block.constants);
      if (c.levels) return {...part, prob: c.hot ? mean : [1 - mean, mean]};
      if (c.constant !== null && c.constant !== undefined) return {...part, mean: c.constant};
      const unit = block.scaled ? [block.center[i], block.scale[i]] : [0, 1];
      const m = unit[0] + unit[1] * mean;
      if (!margins[j]) return {...part, mean: m};
      const sd = unit[1] * family.sd(part.e, part.f);
      if (block.parts.length > 1) return {...part, mean: margins[j].mean(m, sd, page.nodes)};
      if (!means[j]) means[j] = meansOf(margins[j], sd, page.nodes);
      return {...part, mean: means[j](m)};
    });
  };
  // The quantile p of a column's distribution at a code; null where it is not known.
  const quantile = (j, found, p) => {
    const c = page.columns[j], block = page.blocks[c.block], family = familyOf(block);
    if (c.levels) {
      let below = 0, k = 0;
      while (k < found.prob.length - 1 && (below += found.prob[k]) < p) k++;
      return k;
    }
    if (c.constant !== null && c.constant !== undefined) return c.constant;
    if (!family.quantile) return null;
    const y = family.quantile(p, found.e, found.f, block.constants);
    const v = block.scaled ? block.center[c.entry] + block.scale[c.entry] * y : y;
    return margins[j] ? margins[j].value(v) : v;
  };
  // A row drawn at a code, noise included.
  const draw = (z, values) => decode(z, values).map((found, j) => {
    const u = Math.random() * (1 - 1e-12) + 5e-13, v = quantile(j, found, u);
    if (v === null) return found.mean;
    return page.columns[j].levels || !page.columns[j].whole || page.columns[j].type !== "integer" ? v : Math.round(v);
  });
  // A code drawn from the prior, or of an autoencoder from a normal distribution like that of its codes.
  const drawCode = () => {
    const e = Array.from({length: page.latent}, randomNormal);
    if (page.prior) return e;
    const k = page.latent;
    return e.map((_, i) => e.reduce((sum, v, j) => sum + page.codes.root[i + j * k] * v, page.codes.center[i]));
  };
  // The value of a column that decode() shows: a number, or of levels the likeliest one's number.
  const shownValue = (j, found) => (found.prob ? found.prob.indexOf(Math.max(...found.prob)) : found.mean);

  return {encode, decode, quantile, draw, drawCode, shownValue, nY};
};

const checkCodes = (page, model) => {
  const c = page.checks, compare = worstOf();
  const n = c.z[0].length;
  const at = (columns, i) => (columns ? columns.map((v) => v[i]) : null);
  const expected = (j, k, i) => c.mean[page.columns[j].at[k]][i];
  for (let i = 0; i < n; i++) {
    const given = at(c.given, i);
    model.decode(at(c.z, i), given).forEach((found, j) => {
      const column = page.columns[j];
      const scale = column.levels ? 1e-3 : Math.max(column.high - column.low, 1e-3) / 10;
      if (column.hot) found.prob.forEach((p, k) => compare.add(p, expected(j, k, i), scale));
      else compare.add(column.levels ? found.prob[1] : found.mean, expected(j, 0, i), scale);
    });
    const code = model.encode(at(c.values, i), given);
    code.z.forEach((z, k) => compare.add(z, c.code[k][i], 1));
    if (c.sd) code.sd.forEach((s, k) => compare.add(s, c.sd[k][i], 1e-3));
  }
  return compare.worst;
};

const checkPage = (page) => (page.kind === "predict" ? checkPredictions(page, predictModel(page))
  : checkCodes(page, codeModel(page)));
