// Families, on the scale of the network: of each what R has under the same name. e: the outputs for a response, f: its
// free scalars, c: the numbers of the family by name. `whole`: it has whole numbers; `positive`: numbers above 0.

const HUBER = (() => {
  const k = 1.345, root = Math.sqrt(2 * Math.PI);
  const middle = root * (2 * pnorm(k) - 1), all = middle + 2 * Math.exp(-k * k / 2) / k;
  return {k, middle: middle / all, tail: (1 - middle / all) / 2, inner: 2 * pnorm(k) - 1};
})();
const huberCdf = (x) => {
  const {k, middle, tail, inner} = HUBER;
  if (x < -k) return tail * Math.exp(k * (x + k));
  if (x > k) return 1 - tail * Math.exp(k * (k - x));
  return tail + middle * (pnorm(x) - pnorm(-k)) / inner;
};
const huberQuantile = (p) => {
  const {k, middle, tail, inner} = HUBER;
  if (p < tail) return Math.log(p / tail) / k - k;
  if (p > 1 - tail) return k - Math.log((1 - p) / tail) / k;
  return qnorm(pnorm(-k) + (p - tail) / middle * inner);
};

// A location and a scale: y = e + exp(f) w of a noise w.
const located = (cdf, quantile) => ({
  mean: (e) => e[0],
  cdf: (q, e, f, c) => cdf((q - e[0]) / Math.exp(f[0]), f, c),
  quantile: (p, e, f, c) => e[0] + Math.exp(f[0]) * quantile(p, f, c)
});
// Times: log y = e + exp(f) w.
const timed = (cdf, quantile) => ({
  positive: true, mean: (e) => Math.exp(e[0]),
  cdf: (q, e, f) => (q > 0 ? cdf((Math.log(q) - e[0]) / Math.exp(f[0])) : 0),
  quantile: (p, e, f) => Math.exp(e[0] + Math.exp(f[0]) * quantile(p))
});
const binary = {
  binary: true, mean: (e) => plogis(e[0]), cdf: (q, e) => (q < 0 ? 0 : q < 1 ? plogis(-e[0]) : 1),
  quantile: (p, e) => (p <= plogis(-e[0]) ? 0 : 1)
};
const counted = (cdf) => ({
  whole: true, mean: (e) => Math.exp(e[0]), cdf: (q, e, f) => (q < 0 ? 0 : cdf(Math.floor(q), Math.exp(e[0]), f)),
  quantile: (p, e, f) => wholeQuantile((q) => cdf(q, Math.exp(e[0]), f), p, Math.exp(e[0]))
});
const poisson = counted((q, mu) => incompleteGamma(q + 1, mu)[1]);
const negativeBinomial = counted((q, mu, f) => {
  const size = Math.exp(f[0]);
  return size > 1e15 ? incompleteGamma(q + 1, mu)[1] : pbeta(size / (size + mu), size, q + 1, mu / (size + mu));
});
const inflated = (counts) => ({
  whole: true, mean: (e) => Math.exp(e[0]) * plogis(-e[1]),
  cdf: (q, e, f) => (q < 0 ? 0 : plogis(e[1]) + plogis(-e[1]) * counts.cdf(q, e, f)),
  quantile: (p, e, f) => {
    const rest = plogis(-e[1]), inner = Math.min(1, Math.max(0, (p - 1 + rest) / rest));
    return inner > 0 ? counts.quantile(inner, e, f) : 0;
  }
});
const continuous = (family) => ({
  ...family,
  quantile: (p, e, f, c) => quantileOf((q) => family.cdf(q, e, f, c), p, family.mean(e, f, c), family.positive)
});
const degrees = (f, c) => {
  if (c && c.df) return c.df[0];
  const r = Math.exp(Math.min(f[1], 500));
  return 0.5 + r / (1 + r / 1e6);
};
const qt = (p, df) => (p < 0.5 ? -qt(1 - p, df) : p === 0.5 ? 0 : quantileOf((t) => pt(t, df), p, qnorm(p), true));

// Quantiles of which the first output is the middle one, the others logs of distances.
const quantilesAt = (e, tau) => {
  let m = 0;
  tau.forEach((t, k) => {
    if (Math.abs(t - 0.5) < Math.abs(tau[m] - 0.5)) m = k;
  });
  const q = tau.map((_, k) => (k === m ? e[0] : e[k < m ? k + 1 : k]));
  for (let k = m + 1; k < tau.length; k++) q[k] = q[k - 1] + Math.exp(q[k]);
  for (let k = m - 1; k >= 0; k--) q[k] = q[k + 1] - Math.exp(q[k]);
  return q;
};
// The line of the log odds of P(Y <= q) between two of these.
const oddsLine = (q, tau, piece) => {
  const k = Math.min(Math.max(piece, 1), tau.length - 1) - 1;
  return {low: q[k], odds: qlogis(tau[k]), slope: (qlogis(tau[k + 1]) - qlogis(tau[k])) / (q[k + 1] - q[k])};
};
const severalQuantiles = {
  cdf: (x, e, tau) => {
    const q = quantilesAt(e, tau), line = oddsLine(q, tau, q.filter((v) => v <= x).length);
    return plogis(line.odds + (x - line.low) * line.slope);
  },
  quantile: (p, e, tau) => {
    const line = oddsLine(quantilesAt(e, tau), tau, tau.filter((t) => t <= p).length);
    return line.low + (qlogis(p) - line.odds) / line.slope;
  }
};
const tauOf = (c) => (c && c.tau ? c.tau : [0.5]);
const oneQuantile = {
  cdf: (x, tau) => (x < 0 ? tau * Math.exp((1 - tau) * x) : 1 - (1 - tau) * Math.exp(-tau * x)),
  quantile: (p, tau) => (p < tau ? Math.log(p / tau) / (1 - tau) : -Math.log((1 - p) / (1 - tau)) / tau)
};

const softmax = (e) => {
  const most = Math.max(...e), parts = e.map((v) => Math.exp(v - most));
  const sum = parts.reduce((a, b) => a + b, 0);
  return parts.map((v) => v / sum);
};

const families = {
  gaussian: {...located((w) => pnorm(w), (p) => qnorm(p)), sd: (e, f) => Math.exp(f[0])},
  gaussian_hetero: {
    mean: (e) => e[0], sd: (e) => Math.exp(e[1]), cdf: (q, e) => pnorm((q - e[0]) / Math.exp(e[1])),
    quantile: (p, e) => e[0] + Math.exp(e[1]) * qnorm(p)
  },
  huber: located(huberCdf, huberQuantile),
  quantile: {
    mean: (e) => e[0],
    cdf: (q, e, f, c) => (tauOf(c).length > 1 ? severalQuantiles.cdf(q, e, c.tau)
      : oneQuantile.cdf((q - e[0]) / Math.exp(f[0]), tauOf(c)[0])),
    quantile: (p, e, f, c) => (tauOf(c).length > 1 ? severalQuantiles.quantile(p, e, c.tau)
      : e[0] + Math.exp(f[0]) * oneQuantile.quantile(p, tauOf(c)[0]))
  },
  bernoulli: binary,
  binomial: binary,
  categorical: {levels: true, mean: (e) => softmax(Array.from(e))},
  ordinal: {
    levels: true,
    mean: (e, f) => {
      const cuts = [0];
      f.forEach((gap) => cuts.push(cuts[cuts.length - 1] + Math.exp(gap)));
      const out = [plogis(cuts[0] - e[0])];
      for (let k = 1; k < cuts.length; k++) {
        const a = cuts[k] - e[0], b = cuts[k - 1] - e[0];
        out.push(plogis(a) * plogis(-b) * -Math.expm1(b - a));
      }
      out.push(plogis(e[0] - cuts[cuts.length - 1]));
      return out;
    }
  },
  poisson, negative_binomial: negativeBinomial,
  student_t: located((w, f, c) => pt(w, degrees(f, c)), (p, f, c) => qt(p, degrees(f, c))),
  gamma: continuous({
    positive: true, mean: (e) => Math.exp(e[0]),
    cdf: (q, e, f) => pgamma(q, Math.exp(f[0]), Math.exp(e[0] - f[0]))
  }),
  inverse_gaussian: continuous({
    positive: true, mean: (e) => Math.exp(e[0]),
    cdf: (q, e, f) => {
      if (!(q > 0)) return 0;
      const m = Math.exp(e[0]), l = Math.exp(f[0]), root = Math.sqrt(l / q), far = root * (q / m + 1);
      const tail = pnorm(-far);
      const second = tail > 0 ? Math.exp(2 * l / m + Math.log(tail))
        : Math.exp(2 * l / m - far * far / 2 - Math.log(far) - 0.9189385332046727);
      return Math.min(1, pnorm(root * (q / m - 1)) + second);
    }
  }),
  beta: {
    mean: (e) => plogis(e[0]),
    cdf: (q, e, f) => pbeta(q, plogis(e[0]) * Math.exp(f[0]), plogis(-e[0]) * Math.exp(f[0])),
    quantile: (p, e, f) => rootOf((q) => families.beta.cdf(q, e, f), p, 0, 1)
  },
  zero_inflated_poisson: inflated(poisson),
  zero_inflated_negative_binomial: inflated(negativeBinomial),
  weibull: timed((w) => -Math.expm1(-Math.exp(w)), (p) => Math.log(-Math.log1p(-p))),
  lognormal: timed(pnorm, qnorm),
  loglogistic: timed(plogis, qlogis)
};

// The family of a block; one that a user wrote has a mean alone.
const familyOf = (block) => {
  if (!block.custom) return families[block.family];
  const reads = block.custom.reads;
  return {
    mean: (e, f) => {
      const all = [...e, ...f];
      return runProgram(block.custom.mean, reads.map((k) => all[k]));
    }
  };
};

// The outputs of entry i of a block, and its free scalars.
const outputsOf = (block, eta, first, i) => {
  if (block.family === "categorical") return eta.slice(first, first + block.size);
  return block.parts.map((_, k) => eta[first + i + k * block.size]);
};
const freeOf = (free, i) => (free.length > 1 ? free[i] : free[0] || []);

// Where each block's outputs begin.
const blockStarts = (blocks) => {
  let at = 0;
  return blocks.map((b) => {
    const first = at;
    at += b.size * b.parts.length;
    return first;
  });
};
