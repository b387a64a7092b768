// Networks: expressions of predictors, layers forward and backward, moments of random weights.

// ---- functions of numbers

const SELU = [1.05070098735548049342, 1.67326324235437728481];
// Value, then slope at x where the value is y.
const activations = {
  linear: [(x) => x, () => 1],
  relu: [(x) => (x < 0 ? 0 : x), (x, y) => (y > 0 ? 1 : 0)],
  leaky_relu: [(x) => (x > 0 ? x : 0.01 * x), (x, y) => (y > 0 ? 1 : 0.01)],
  elu: [(x) => (x > 0 ? x : Math.expm1(x)), (x, y) => (y > 0 ? 1 : y + 1)],
  selu: [(x) => SELU[0] * (x > 0 ? x : SELU[1] * Math.expm1(x)), (x, y) => (y > 0 ? SELU[0] : y + SELU[0] * SELU[1])],
  gelu: [(x) => x * pnorm(x), (x) => pnorm(x) + x * dnorm(x)],
  silu: [(x) => x * plogis(x), (x) => plogis(x) * (1 + x * (1 - plogis(x)))],
  tanh: [Math.tanh, (x, y) => 1 - y * y],
  sigmoid: [plogis, (x, y) => y * (1 - y)],
  softplus: [log1pexp, plogis]
};

const flag = (x) => (x ? 1 : 0);
const primitives = {
  "+": (a, b) => a + b, "-": (a, b) => a - b, "*": (a, b) => a * b, "/": (a, b) => a / b, "^": Math.pow,
  exp: Math.exp, expm1: Math.expm1, log: Math.log, log1p: Math.log1p, sqrt: Math.sqrt, abs: Math.abs, sign: Math.sign,
  tanh: Math.tanh, plogis, qlogis, log1pexp, sin: Math.sin, cos: Math.cos, atan: Math.atan, pnorm, dnorm, lgamma,
  digamma, trigamma, pmin: (a, b) => (b !== b ? b : b < a ? b : a), pmax: (a, b) => (b !== b ? b : b > a ? b : a),
  ifelse: (a, b, c) => (a !== a ? NaN : a ? b : c),
  "<": (a, b) => flag(a < b), "<=": (a, b) => flag(a <= b), ">": (a, b) => flag(a > b), ">=": (a, b) => flag(a >= b),
  "==": (a, b) => flag(a === b), "!=": (a, b) => flag(a !== b), "&": (a, b) => flag(a && b),
    "|": (a, b) => flag(a || b),
  "!": (a) => flag(!a)
};

// A program that a user wrote, at its arguments.
const runProgram = (program, inputs) => {
  const at = new Array(program.op.length);
  for (let i = 0; i < at.length; i++) {
    const op = program.op[i];
    at[i] = op === "number" ? program.number[i] : op === "argument" ? inputs[program.a[i] - 1]
      : primitives[op](at[program.a[i] - 1], at[program.b[i] - 1], at[program.c[i] - 1]);
  }
  return at[at.length - 1];
};

// An expression of the predictors as a function of their values.
const compile = (e, predictors) => {
  if (typeof e === "number") return () => e;
  if (e === null) return () => NaN;
  const [head, ...rest] = e;
  if (head === "v") return (v) => (v[rest[0]] === null ? NaN : typeof v[rest[0]] === "boolean" ? +v[rest[0]]
    : v[rest[0]]);
  if (head === "s") return () => rest[0];
  if (head === "t") return tableOf(predictors[rest[0]], rest[0], rest[1]);
  if (head === "in") {
    const x = compile(rest[0], predictors), values = rest[1].map((r) => compile(r, predictors)());
    return (v) => (x(v) !== x(v) ? NaN : flag(values.includes(x(v))));
  }
  const parts = rest.map((r) => compile(r, predictors));
  if (head === "is.na") return (v) => flag(parts[0](v) !== parts[0](v));
  const f = head === "-" && parts.length === 1 ? (a) => -a : primitives[head];
  const compares = ["<", "<=", ">", ">=", "==", "!="].includes(head);
  return (v) => {
    const at = parts.map((part) => part(v));
    return compares && at.some((a) => a !== a) ? NaN : f(...at);
  };
};

// Columns that only R can make of a predictor, at its levels or between two numbers of its grid.
const tableOf = (predictor, index, column) => {
  if (predictor.kind === "level") return (v) => (v[index] === null ? NaN : column[predictor.levels.indexOf(v[index])]);
  if (predictor.kind === "logical") return (v) => (v[index] === null ? NaN : column[v[index] ? 1 : 0]);
  const grid = predictor.grid, last = grid.length - 1, step = (grid[last] - grid[0]) / last;
  return (v) => {
    if (v[index] === null) return NaN;
    const place = Math.min(last, Math.max(0, step > 0 ? (v[index] - grid[0]) / step : 0));
    const near = Math.round(place), low = Math.min(Math.floor(place), last - 1);
    if (Math.abs(place - near) < 1e-6 || last === 0) return column[near];
    return column[low] + (place - low) * (column[low + 1] - column[low]);
  };
};

// ---- layers

// y = W x + b, W by columns from `first` in theta.
const dense = (theta, weight, bias, rows, cols, x) => {
  const y = new Float64Array(rows);
  if (bias >= 0) for (let i = 0; i < rows; i++) y[i] = theta[bias + i];
  for (let j = 0; j < cols; j++) {
    const xj = x[j], at = weight + j * rows;
    if (xj !== 0) for (let i = 0; i < rows; i++) y[i] += theta[at + i] * xj;
  }
  return y;
};

// One layer: forward(theta, x, given), and backward(theta, x, y, dy, slopes), which adds to the slopes in theta and
// gives dx.
const layerKinds = {
  dense: {
    forward: (l, theta, x) => dense(theta, l.weight, l.bias, l.rows, l.cols, x),
    backward: (l, theta, x, y, dy, slopes) => {
      const dx = new Float64Array(l.cols);
      for (let j = 0; j < l.cols; j++) {
        const at = l.weight + j * l.rows;
        let sum = 0;
        for (let i = 0; i < l.rows; i++) {
          sum += theta[at + i] * dy[i];
          slopes[at + i] += dy[i] * x[j];
        }
        dx[j] = sum;
      }
      if (l.bias >= 0) for (let i = 0; i < l.rows; i++) slopes[l.bias + i] += dy[i];
      return dx;
    }
  },
  // W' x + b, W being the weights of an earlier layer
  tied: {
    forward: (l, theta, x) => {
      const y = new Float64Array(l.rows);
      for (let i = 0; i < l.rows; i++) {
        let sum = l.bias >= 0 ? theta[l.bias + i] : 0;
        for (let j = 0; j < l.cols; j++) sum += theta[l.weight + i * l.cols + j] * x[j];
        y[i] = sum;
      }
      return y;
    }
  },
  activate: {
    forward: (l, theta, x) => x.map(activations[l.name][0]),
    backward: (l, theta, x, y, dy) => dy.map((d, i) => d * activations[l.name][1](x[i], y[i]))
  },
  program: {
    forward: (l, theta, x) => x.map((v) => runProgram(l.value, [v])),
    backward: (l, theta, x, y, dy) => dy.map((d, i) => (d === 0 ? 0 : d * runProgram(l.slope, [x[i]])))
  },
  layer_norm: {
    forward: (l, theta, x) => {
      const u = normed(x);
      return u.value.map((v, i) => theta[l.gain + i] * v + theta[l.shift + i]);
    },
    backward: (l, theta, x, y, dy, slopes) => {
      const u = normed(x), n = x.length;
      let sum = 0, along = 0;
      const du = dy.map((d, i) => {
        slopes[l.gain + i] += d * u.value[i];
        slopes[l.shift + i] += d;
        return d * theta[l.gain + i];
      });
      du.forEach((d, i) => {
        sum += d / n;
        along += d * u.value[i] / n;
      });
      return du.map((d, i) => u.inverse * (d - sum - along * u.value[i]));
    }
  },
  given: {forward: (l, theta, x, given) => Float64Array.from([...x, ...given])}
};
const normed = (x) => {
  let mean = 0, squares = 0;
  for (const v of x) mean += v / x.length;
  for (const v of x) squares += (v - mean) * (v - mean) / x.length;
  const inverse = 1 / Math.sqrt(squares + 1e-5);
  return {value: x.map((v) => (v - mean) * inverse), inverse};
};

const forward = (layers, theta, x, given) => {
  for (const l of layers) x = layerKinds[l.kind].forward(l, theta, x, given);
  return x;
};

// The outputs and, for these of them, their slopes in theta.
const withSlopes = (layers, theta, x, outputs) => {
  const values = [x];
  for (const l of layers) values.push(layerKinds[l.kind].forward(l, theta, values[values.length - 1]));
  const eta = values[values.length - 1];
  const slopes = outputs.map((k) => {
    const out = new Float64Array(theta.length);
    let d = new Float64Array(eta.length);
    d[k] = 1;
    for (let i = layers.length - 1; i >= 0; i--) {
      d = layerKinds[layers[i].kind].backward(layers[i], theta, values[i], values[i + 1], d, out);
    }
    return out;
  });
  return {eta, slopes};
};

// The means of the outputs where the weights are independent normal numbers, moments matched from layer to layer: of
// relu(a) at a ~ N(m, v) with s = sqrt(v), u = m / s they are E h = s (phi(u) + u Phi(u)) and E h^2 = m E h + v Phi(u).
const momentsForward = (layers, theta, sd, x) => {
  let mean = x, square = x.map((v) => v * v);
  for (const l of layers) {
    if (l.kind === "activate") {
      if (l.name === "linear") continue;
      const second = new Float64Array(mean.length);
      mean = mean.map((m, i) => {
        const v = Math.max(0, square[i] - m * m), s = Math.sqrt(v);
        const u = s > 0 ? Math.max(-36, Math.min(36, m / s)) : m > 0 ? 36 : -36;
        const h = s * dnorm(u) + m * pnorm(u);
        second[i] = m * h + v * pnorm(u);
        return h;
      });
      square = second;
      continue;
    }
    const y = dense(theta, l.weight, l.bias, l.rows, l.cols, mean), variance = new Float64Array(l.rows);
    for (let i = 0; i < l.rows; i++) {
      if (l.bias >= 0) variance[i] = sd[l.bias + i] ** 2;
      for (let j = 0; j < l.cols; j++) {
        const at = l.weight + j * l.rows + i;
        variance[i] += sd[at] ** 2 * square[j] + theta[at] ** 2 * (square[j] - mean[j] ** 2);
      }
    }
    mean = y;
    square = y.map((v, i) => v * v + variance[i]);
  }
  return mean;
};

// What the network reads of columns: standardised, maybe rotated, 0 where training had one value.
const standardiser = (scaling) => {
  const turn = unpack(scaling.rotation), n = scaling.center.length;
  return (raw) => {
    let x = Float64Array.from(raw, (v, j) => (v - scaling.center[j]) / scaling.scale[j]);
    if (turn) {
      const z = x;
      x = x.map((_, j) => {
        let sum = 0;
        for (let i = 0; i < n; i++) sum += z[i] * turn[i + j * n];
        return sum;
      });
    }
    return x.map((v, j) => (scaling.constant[j] ? 0 : v));
  };
};
