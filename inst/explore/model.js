// A network with a response: from values of the predictors to means, bands and draws of functions.

const predictModel = (page) => {
  const predictors = page.predictors;
  const columns = page.design.columns.map((e) => compile(e, predictors));
  const offsetOf = page.design.offset ? compile(page.design.offset, predictors) : null;
  const standardise = standardiser(page.scaling);
  const starts = blockStarts(page.blocks);
  const members = page.members.map((m) => ({
    ...m, theta: unpack(m.theta), root: unpack(m.root), shifts: unpack(m.shifts), drawn: unpack(m.drawn),
      sd: unpack(m.sd)
  }));
  const responseOf = (b, e, f) => familyOf(page.blocks[b]).mean(e, f, page.blocks[b].constants);

  const inputsOf = (values) => {
    const offset = offsetOf ? offsetOf(values) : 0;
    const raw = columns.map((column) => column(values));
    return {x: standardise(raw), offset, known: [...raw, offset].every((v) => v === v)};
  };
  // Numbers of eta that are in no unit of the response have the offset.
  const withOffset = (eta, offset) => {
    if (!offset) return eta;
    page.blocks.forEach((block, b) => {
      if (!block.scaled) for (let i = 0; i < block.size; i++) eta[starts[b] + i] += offset;
    });
    return eta;
  };
  const observed = (b, y, offset) => {
    const block = page.blocks[b];
    if (!block.scaled) return y;
    return block.center[0] + block.scale[0] * y + offset;
  };

  // ---- the linearised network

  // T'j of a slope j in the active weights, T being packed by columns of its upper triangle.
  const throughRoot = (m, slopes) => {
    const n = m.active.length, out = new Float64Array(n);
    let at = 0;
    for (let c = 0; c < n; c++) {
      let sum = 0;
      for (let r = 0; r <= c; r++) sum += m.root[at++] * slopes[m.active[r]];
      out[c] = sum;
    }
    return out;
  };
  const covarianceOf = (m, slopes, size) => {
    const cov = Array.from({length: size}, () => new Float64Array(size));
    const sides = slopes.map((s) => throughRoot(m, s));
    sides.forEach((a, i) => sides.forEach((b, j) => {
      let sum = 0;
      for (let k = 0; k < a.length; k++) sum += a[k] * b[k];
      cov[m.random[i]][m.random[j]] = sum;
    }));
    return cov;
  };
  // What stands for a normal eta of a block: points with weights, and the variance that is left of a mean.
  const nodesOf = (b, eta, cov) => {
    const block = page.blocks[b], at = starts[b], family = familyOf(block);
    const v = cov[at][at];
    if (family.sd && block.parts.length === 1) return [{w: 1, e: [eta[at]], left: v}];
    if (family.sd) {
      const sd = Math.sqrt(cov[at + 1][at + 1]), slope = sd > 0 ? cov[at][at + 1] / sd : 0;
      return page.nodes.at.map((z, k) => ({
        w: page.nodes.weight[k], left: Math.max(0, v - slope * slope),
        e: [eta[at] + slope * z, Math.min(100, Math.max(-100, eta[at + 1] + sd * z))]
      }));
    }
    return page.nodes.at.map((z, k) => ({w: page.nodes.weight[k], left: 0, e: [eta[at] + Math.sqrt(v) * z]}));
  };

  const isNormal = page.blocks.every((block) => familyOf(block).sd);
  // Of each member: its weight and the parts of each block's distribution, {w, e, f, left}. With `meanOnly` of normal
  // ones those at the mode, which have the same mean.
  const partsOfMember = (m, input, meanOnly) => {
    const blocks = page.blocks.map((block, b) => ({parts: [], free: freeOf(m.free[b], 0)}));
    const add = (b, w, e, left) => blocks[b].parts.push({w, e, f: blocks[b].free, left});
    const whole = (w, eta) => page.blocks.forEach((block, b) => add(b, w, outputsOf(block, eta, starts[b], 0), 0));
    if (page.way === "point" || meanOnly && isNormal && (page.center === "nodes" || page.center === "mode")) {
      whole(m.weight, withOffset(forward(page.layers, m.theta, input.x), input.offset));
    } else if (page.way === "draws") {
      drawsOf(m).forEach((theta) => whole(m.weight / m.draws,
        withOffset(forward(page.layers, theta, input.x), input.offset)));
    } else {
      const found = withSlopes(page.layers, m.theta, input.x, m.random);
      const eta = withOffset(Float64Array.from(found.eta), input.offset);
      blocks.mode = eta;
      if (page.way === "normal") {
        const cov = covarianceOf(m, found.slopes, eta.length);
        page.blocks.forEach((block, b) => {
          nodesOf(b, eta, cov).forEach((node) => add(b, m.weight * node.w, node.e, node.left));
          blocks[b].normal = {w: m.weight, mean: eta[starts[b]], sd: Math.sqrt(cov[starts[b]][starts[b]])};
        });
      } else {
        for (let k = 0; k < m.draws; k++) whole(m.weight / m.draws, shifted(m, eta, found.slopes, shiftOf(m, k)));
      }
    }
    return blocks;
  };
  const drawsOf = (m) => {
    const n = m.theta.length;
    return Array.from({length: m.draws}, (_, k) => m.drawn.subarray(k * n, (k + 1) * n));
  };
  const shiftOf = (m, k) => m.shifts.subarray(k * m.active.length, (k + 1) * m.active.length);
  const shifted = (m, eta, slopes, shift) => {
    const out = Float64Array.from(eta);
    slopes.forEach((s, i) => {
      for (let k = 0; k < shift.length; k++) out[m.random[i]] += s[m.active[k]] * shift[k];
    });
    return out;
  };

  // What the mean is taken over.
  const centerOf = (m, blocks, input) => {
    if (page.center === "mode") {
      const eta = blocks.mode || withOffset(forward(page.layers, m.theta, input.x), input.offset);
      return page.blocks.map((block, b) => [{w: m.weight, e: outputsOf(block, eta, starts[b], 0), f: blocks[b].free}]);
    }
    if (page.center === "moments") {
      const eta = withOffset(momentsForward(page.layers, m.theta, m.sd, input.x), input.offset);
      return page.blocks.map((block, b) => [{w: m.weight, e: outputsOf(block, eta, starts[b], 0), f: blocks[b].free}]);
    }
    return blocks.map((block) => block.parts);
  };

  // The distribution of each response at these values of the predictors: list of {mean, parts, normals}, means as
  // arrays.
  const at = (values, meanOnly = false) => {
    const input = inputsOf(values);
    if (!input.known) return null;
    const found = members.map((m) => partsOfMember(m, input, meanOnly));
    const centers = found.map((blocks, k) => centerOf(members[k], blocks, input));
    return page.blocks.map((block, b) => {
      const parts = found.flatMap((blocks) => blocks[b].parts);
      let mean = null;
      centers.forEach((of) => of[b].forEach((part) => {
        const y = [responseOf(b, part.e, part.f)].flat();
        if (!mean) mean = y.map(() => 0);
        y.forEach((v, i) => mean[i] += part.w * v);
      }));
      const normals = found.map((blocks) => blocks[b].normal).filter(Boolean);
      return {mean: mean.map((v) => observed(b, v, input.offset)), parts, normals, offset: input.offset, b};
    });
  };

  // The band of the mean, which Bayesian fits and mixtures have; null where there is none. Of levels, for each.
  const meanBand = (d, level, which = 0) => {
    const block = page.blocks[d.b], tails = [(1 - level) / 2, (1 + level) / 2];
    if (d.normals.length) {
      const [w, mean, sd] = ["w", "mean", "sd"].map((name) => d.normals.map((n) => n[name]));
      return tails.map((p) => {
        const q = mixtureQuantile(w, mean, sd, p);
        return observed(d.b, [responseOf(d.b, [q, 0], d.parts[0].f)].flat()[which], d.offset);
      });
    }
    if (d.parts.length < 2) return null;
    const values = d.parts.map((part) => observed(d.b, [responseOf(d.b, part.e, part.f)].flat()[which], d.offset));
    const weights = d.parts.map((part) => part.w);
    const same = Math.max(...weights) - Math.min(...weights) <= 1e-12;
    return tails.map((p) => (same ? drawQuantile(values, p) : weightedQuantile(values, weights, p)));
  };

  // Of the distribution of an observation P(Y <= q), on the scale of the network, and its quantile on that of the
  // response.
  const predictive = (d, p) => {
    const block = page.blocks[d.b], family = familyOf(block);
    if (!family.quantile || family.levels || family.binary) return null;
    if (family.sd) {
      const sds = d.parts.map((part) => Math.sqrt(family.sd(part.e, part.f) ** 2 + part.left));
      return observed(d.b, mixtureQuantile(d.parts.map((x) => x.w), d.parts.map((x) => x.e[0]), sds, p), d.offset);
    }
    const of = (part) => family.quantile(p, part.e, part.f, block.constants);
    if (d.parts.length === 1) return observed(d.b, of(d.parts[0]), d.offset);
    const total = d.parts.reduce((sum, part) => sum + part.w, 0);
    const cdf = (q) => d.parts.reduce((sum, part) => sum + part.w * family.cdf(q, part.e, part.f, block.constants),
      0) / total;
    const ends = d.parts.map(of), low = Math.min(...ends), high = Math.max(...ends);
    const q = family.whole ? wholeQuantile(cdf, p, high) : rootOf(cdf, p, low, high);
    return observed(d.b, q, d.offset);
  };
  const observationBand = (d, level) => {
    const low = predictive(d, (1 - level) / 2);
    return low === null ? null : [low, predictive(d, (1 + level) / 2)];
  };

  // A function of the predictors drawn from the posterior, or of a mixture that of a member: values -> means by block.
  const drawFunction = () => {
    let u = Math.random() * members.reduce((sum, m) => sum + m.weight, 0), k = 0;
    while (k < members.length - 1 && u > members[k].weight) u -= members[k++].weight;
    const m = members[k];
    const number = m.draws ? Math.floor(Math.random() * m.draws) : 0;
    const shift = page.way === "normal" ? randomShift(m) : page.way === "shifts" ? shiftOf(m, number) : null;
    const theta = page.way === "draws" ? drawsOf(m)[number] : m.theta;
    return (values) => {
      const input = inputsOf(values);
      if (!input.known) return null;
      let eta;
      if (shift) {
        const found = withSlopes(page.layers, m.theta, input.x, m.random);
        eta = shifted(m, found.eta, found.slopes, shift);
      } else {
        eta = forward(page.layers, theta, input.x);
      }
      withOffset(eta, input.offset);
      return page.blocks.map((block, b) => {
        const y = [responseOf(b, outputsOf(block, eta, starts[b], 0), freeOf(m.free[b], 0))].flat();
        return y.map((v) => observed(b, v, input.offset));
      });
    };
  };
  // T z of standard normal z.
  const randomShift = (m) => {
    const n = m.active.length, out = new Float64Array(n);
    let at = 0;
    for (let c = 0; c < n; c++) {
      const z = randomNormal();
      for (let r = 0; r <= c; r++) out[r] += m.root[at++] * z;
    }
    return out;
  };

  return {
    at, meanBand, observationBand, drawFunction,
    hasDraws: page.way !== "point" || members.length > 1,
    hasMeanBand: page.way !== "point" || members.length > 1
  };
};

// The largest difference between numbers of R's and those of the page, in units of `scale` where that is more than they
// are.
const worstOf = () => {
  const worst = {value: 0, n: 0};
  return {
    add: (mine, theirs, scale) => {
      worst.n++;
      if (mine === theirs || mine !== mine && theirs === null) return;
      const d = Math.abs(mine - theirs) / Math.max(Math.abs(theirs), scale, 1e-300);
      worst.value = Math.max(worst.value, d === d && theirs !== null ? d : Infinity);
    },
    worst
  };
};

const checkPredictions = (page, model) => {
  const c = page.checks, compare = worstOf();
  const n = c.mean[0].length;
  for (let i = 0; i < n; i++) {
    const found = model.at(c.values.map((v) => v[i]));
    let j = 0;
    found.forEach((d, b) => {
      const scale = page.blocks[b].scaled ? page.blocks[b].scale[0] : 1e-3;
      d.mean.forEach((v) => compare.add(v, c.mean[j++][i], scale));
      const bands = [["confidence", model.meanBand], ["prediction", model.observationBand]];
      for (const [name, of] of bands) {
        if (!c[name] || !c[name][b]) continue;
        const band = of(d, 0.95);
        compare.add(band[0], c[name][b].lower[i], scale);
        compare.add(band[1], c[name][b].upper[i], scale);
      }
    });
  }
  return compare.worst;
};
