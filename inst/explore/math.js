// Numbers: special functions, distributions and roots, to about 14 digits.

const unpack = (packed) => {
  if (packed === null || packed === undefined) return null;
  const text = atob(packed.f64 !== undefined ? packed.f64 : packed.f32);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  const view = new DataView(bytes.buffer);
  const size = packed.f64 !== undefined ? 8 : 4;
  const out = new Float64Array(bytes.length / size);
  for (let i = 0; i < out.length; i++) out[i] = size === 8 ? view.getFloat64(8 * i, true)
    : view.getFloat32(4 * i, true);
  return out;
};

const plogis = (x) => (x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x)));
const qlogis = (p) => Math.log(p / (1 - p));
const log1pexp = (x) => (x > 0 ? x + Math.log1p(Math.exp(-x)) : Math.log1p(Math.exp(x)));
const dnorm = (x) => Math.exp(-x * x / 2) * 0.3989422804014327;
const polynomial = (coefficients, x) => coefficients.reduceRight((sum, c) => sum * x + c, 0);

// P(N(0, 1) > x) for x >= 0: Cody (1969).
const upperTail = (() => {
  const near = [[18154.981253343561249, 1067.6894854603709582, 161.02823106855587881, 2.2352520354606839287,
                 0.065682337918207449113],
                [45507.789335026729956, 10260.932208618978205, 976.09855173777669322, 47.20258190468824187, 1]];
  const middle = [[9842.7148383839780218, 11602.651437647350124, 6848.1904505362823326, 2494.5375852903726711,
                   597.27027639480026226, 93.506656132177855979, 8.8831497943883759412, 0.39894151208813466764,
                   1.0765576773720192317e-8],
                  [19685.429676859990727, 38912.003286093271411, 34900.952721145977266, 18615.571640885098091,
                   6485.558298266760755, 1519.377599407554805, 235.38790178262499861, 22.266688044328115691, 1]];
  const far = [[2.9112874951168792e-5, 0.001421619193227893466, 0.022235277870649807, 0.1274011611602473639,
                0.21589853405795699, 0.02307344176494017303],
               [7.29751555083966205e-5, 0.00378239633202758244, 0.0659881378689285515, 0.468238212480865118,
                1.28426009614491121, 1]];
  const ratio = (rows, x) => polynomial(rows[0], x) / polynomial(rows[1], x);
  return (x) => {
    if (x > 38.5) return 0;
    if (x <= 0.67448975) return 0.5 - x * ratio(near, x * x);
    const cut = Math.trunc(x * 16) / 16;
    const scale = Math.exp(-cut * cut / 2) * Math.exp(-(x - cut) * (x + cut) / 2);
    if (x <= 5.656854249492380195) return scale * ratio(middle, x);
    const square = 1 / (x * x);
    return scale * (0.398942280401432677939946 - square * ratio(far, square)) / x;
  };
})();
const pnorm = (x) => (x !== x ? x : x > 0 ? 1 - upperTail(x) : upperTail(-x));

// Acklam's approximation, and two of Halley's steps.
const qnorm = (p) => {
  if (!(p > 0 && p < 1)) return p === 0 ? -Infinity : p === 1 ? Infinity : NaN;
  if (p > 0.5) return -qnorm(1 - p);
  let x;
  if (p < 0.02425) {
    const q = Math.sqrt(-2 * Math.log(p));
    x = polynomial([2.938163982698783, 4.374664141464968, -2.549732539343734, -2.400758277161838,
                    -0.3223964580411365, -0.007784894002430293], q) /
      polynomial([1, 3.754408661907416, 2.445134137142996, 0.3224671290700398, 0.007784695709041462], q);
  } else {
    const q = p - 0.5, r = q * q;
    x = q * polynomial([2.506628277459239, -30.66479806614716, 138.3577518672690, -275.9285104469687,
                        220.9460984245205, -39.69683028665376], r) /
      polynomial([1, -13.28068155288572, 66.80131188771972, -155.6989798598866, 161.5858368580409,
                  -54.47609879822406], r);
  }
  for (let i = 0; i < 2; i++) {
    const u = (pnorm(x) - p) / dnorm(x);
    x -= u / (1 + x * u / 2);
  }
  return x;
};

// By recurrence to where Stirling's series has all digits.
const lgamma = (x) => {
  if (!(x > 0)) {
    if (x === Math.floor(x)) return Infinity;
    return Math.log(Math.PI / Math.abs(Math.sin(Math.PI * x))) - lgamma(1 - x);
  }
  let shift = 0;
  if (x < 15) {
    let product = 1;
    while (x < 15) product *= x++;
    shift = Math.log(product);
  }
  const s = 1 / (x * x);
  const series = polynomial([1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156], s) / x;
  return (x - 0.5) * Math.log(x) - x + 0.9189385332046727 + series - shift;
};
// lgamma(x + by) - lgamma(x), without loss where x is large.
const lgammaRise = (x, by) => {
  if (x < 15) return lgamma(x + by) - lgamma(x);
  const series = (v) => polynomial([1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156],
    1 / (v * v)) / v;
  return (x + by - 0.5) * Math.log1p(by / x) - by + by * Math.log(x) + series(x + by) - series(x);
};
const digamma = (x) => {
  if (x <= 0) return x === Math.floor(x) ? NaN : digamma(1 - x) - Math.PI / Math.tan(Math.PI * x);
  let sum = 0;
  while (x < 12) sum -= 1 / x++;
  const s = 1 / (x * x);
  return sum + Math.log(x) - 1 / (2 * x) - s * polynomial([1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132,
    -691 / 32760], s);
};
const trigamma = (x) => {
  if (x <= 0) {
    if (x === Math.floor(x)) return NaN;
    const s = Math.sin(Math.PI * x);
    return Math.PI * Math.PI / (s * s) - trigamma(1 - x);
  }
  let sum = 0;
  while (x < 12) {
    sum += 1 / (x * x);
    x++;
  }
  const s = 1 / (x * x);
  return sum + 1 / x + s / 2 + s / x * polynomial([1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730], s);
};

// A continued fraction b0 + a1 / (b1 + a2 / (b2 + ...)), by Lentz's method; of(i) = [a, b].
const fraction = (first, of) => {
  const tiny = 1e-300;
  let f = first || tiny, c = f, d = 0;
  for (let i = 1; i < 5000; i++) {
    const [a, b] = of(i);
    d = 1 / (b + a * d || tiny);
    c = b + a / c || tiny;
    f *= c * d;
    if (Math.abs(c * d - 1) < 1e-16) break;
  }
  return f;
};

// Lower and upper regularised incomplete gamma functions: [P, Q].
const incompleteGamma = (a, x) => {
  if (!(x > 0)) return [0, 1];
  if (x === Infinity) return [1, 0];
  const front = Math.exp(a * Math.log(x) - x - lgamma(a));
  if (x < a + 1) {
    let term = 1 / a, sum = term;
    for (let k = 1; k < 100000 && term > sum * 1e-17; k++) sum += term *= x / (a + k);
    const p = Math.min(1, front * sum);
    return [p, 1 - p];
  }
  const q = Math.min(1, front / fraction(x + 1 - a, (i) => [-i * (i - a), x + 2 * i + 1 - a]));
  return [1 - q, q];
};
const pgamma = (x, shape, scale) => incompleteGamma(shape, x / scale)[0];

// Regularised incomplete beta function at x, where y = 1 - x.
const pbeta = (x, a, b, y = 1 - x) => {
  if (!(x > 0)) return x <= 0 ? 0 : NaN;
  if (!(y > 0)) return 1;
  if (y < (b + 1) / (a + b + 2)) return 1 - pbeta(y, b, a, x);
  const logX = x > 0.5 ? Math.log1p(-y) : Math.log(x), logY = y > 0.5 ? Math.log1p(-x) : Math.log(y);
  const beta = lgamma(Math.min(a, b)) - lgammaRise(Math.max(a, b), Math.min(a, b));
  const front = Math.exp(a * logX + b * logY - beta) / a;
  const of = (i) => {
    const k = i - 1, h = k >> 1;
    if (i === 1) return [1, 1];
    if (k % 2 === 0) return [h * (b - h) * x / ((a + 2 * h - 1) * (a + 2 * h)), 1];
    return [-(a + h) * (a + b + h) * x / ((a + 2 * h) * (a + 2 * h + 1)), 1];
  };
  return Math.min(1, front * fraction(0, of));
};

const pt = (t, df) => {
  if (df > 1e10) return pnorm(t);
  const x = df / (df + t * t), tail = pbeta(x, df / 2, 0.5, t * t / (df + t * t));
  return t > 0 ? 1 - tail / 2 : tail / 2;
};

// Where a function that does not fall reaches p, between low and high: bisection, then what doubles have.
const rootOf = (cdf, p, low, high) => {
  for (let i = 0; i < 200 && low < high; i++) {
    const middle = low + (high - low) / 2;
    if (middle <= low || middle >= high) break;
    if (cdf(middle) < p) low = middle;
    else high = middle;
  }
  return low + (high - low) / 2;
};
// The same of any numbers, or of those above 0 (`positive`), from a first guess.
const quantileOf = (cdf, p, guess, positive) => {
  const at = positive ? Math.exp : (x) => x;
  const start = positive ? Math.log(Math.max(guess, 1e-300)) : guess;
  let step = positive ? 1 : Math.max(1e-3, Math.abs(guess) / 8);
  let low = start, high = start;
  while (cdf(at(low)) > p && step < 1e300) {
    low -= step;
    step *= 2;
    if (positive && low < -745) break;
  }
  step = positive ? 1 : Math.max(1e-3, Math.abs(guess) / 8);
  while (cdf(at(high)) < p && step < 1e300) {
    high += step;
    step *= 2;
    if (positive && high > 709) break;
  }
  return at(rootOf((x) => cdf(at(x)), p, low, high));
};
// The least whole number with cdf >= p.
const wholeQuantile = (cdf, p, guess) => {
  const enough = p * (1 - 64 * Number.EPSILON);
  let low = -1, high = Math.max(1, Math.ceil(guess));
  while (cdf(high) < enough && high < 1e15) {
    low = high;
    high *= 2;
  }
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (cdf(middle) >= enough) high = middle;
    else low = middle;
  }
  return high;
};

// The quantile of a mixture of normal distributions: lists of weights, means and standard deviations.
const mixtureQuantile = (weights, means, sds, p) => {
  const total = weights.reduce((a, b) => a + b, 0);
  const z = qnorm(p);
  let low = Infinity, high = -Infinity;
  means.forEach((m, k) => {
    low = Math.min(low, m + z * sds[k]);
    high = Math.max(high, m + z * sds[k]);
  });
  if (!(low < high)) return low;
  const cdf = (x) => {
    let sum = 0;
    for (let k = 0; k < means.length; k++) {
      sum += weights[k] * (sds[k] > 0 ? pnorm((x - means[k]) / sds[k]) : x >= means[k] ? 1 : 0);
    }
    return sum / total;
  };
  return rootOf(cdf, p, low, high);
};

// Quantiles of draws that count the same, as quantile() of R has them.
const drawQuantile = (values, p) => {
  const sorted = Float64Array.from(values).sort();
  const rank = (sorted.length - 1) * p, low = Math.floor(rank);
  return sorted[low] + (rank - low) * (sorted[Math.min(low + 1, sorted.length - 1)] - sorted[low]);
};
const weightedQuantile = (values, weights, p) => {
  const order = values.map((_, i) => i).sort((i, j) => values[i] - values[j]);
  const total = weights.reduce((a, b) => a + b, 0);
  let below = 0;
  for (const i of order) {
    below += weights[i];
    if (below >= p * total - 1e-12) return values[i];
  }
  return values[order[order.length - 1]];
};

const randomNormal = () => qnorm(Math.random() * (1 - 1e-12) + 5e-13);
