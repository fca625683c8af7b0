// What speed costs: accuracy, memory, the first call; and the comparison with peers.

// Points whose names do not cover each other: about 14 names fit above and 6 beside each other.
function apart(points) {
  const scale = (values) => Math.log(Math.max(...values) / Math.min(...values)) || 1;
  const [across, up] = ["cost", "error"].map((name) => scale(points.map((point) => point[name])));
  const near = (one, other) =>
    Math.abs(Math.log(one.cost / other.cost)) < across / 6 && Math.abs(Math.log(one.error / other.error)) < up / 14;
  const kept = [];
  for (const point of points) if (!kept.some((other) => near(point, other))) kept.push(point);
  return new Set(kept);
}

figures.tradeoff = () => {
  const some = timedCells(selectedGroups());
  const measured = some.some((cell) => cell.wrong > 0) ? "wrong" : "bound";
  const points = [...byAlgorithm(some)].map(([algorithm, mine]) => ({
    algorithm, cost: geometricMean(mine.map((cell) => cell.cost)), error: median(mine.map((cell) => cell[measured]).filter((error) => error > 0)),
    memory: median(mine.map((cell) => cell.memory ?? cell.workspace)), count: mine.length,
  })).filter((point) => point.error);
  if (!points.length) return "No error was recorded for this selection.";
  const most = Math.max(1, ...known(points.map((point) => point.memory)));
  const named = apart(points);
  const data = points.map((point) => ({
    type: "scatter", mode: "markers+text", name: nameOf(point.algorithm), x: [point.cost], y: [point.error], text: [named.has(point) ? nameOf(point.algorithm) : ""],
    textposition: "middle right", textfont: { size: 12, color: colourOfPage("soft") }, cliponaxis: false,
    marker: marker(point.algorithm, 10 + 34 * Math.sqrt((point.memory || 0) / most), { opacity: 0.85 }),
    hovertemplate: `<b>${nameOf(point.algorithm)}</b><br>${timesText(point.cost)} the fastest<br>error ${point.error.toExponential(1)}` +
      `<br>${point.memory === null ? "memory unknown" : `${bytesText(point.memory)} more memory`}<br>${plural(point.count, "problem")}<extra></extra>`,
  }));
  return {
    data, margin: { r: isNarrow() ? 84 : 130, t: 24 },
    rows: [["algorithm", "cost", measured === "wrong" ? "relative_error" : "error_over_bound", "bytes", "problems"],
      ...points.map((point) => [model.algorithms[point.algorithm].name, point.cost, point.error, point.memory, point.count])],
    layout: {
      xaxis: logAxis("times the time of the fastest, where it has a time", points.map((point) => point.cost), (at) => `${tickText(at)}×`, { most: ticksAcross() }),
      yaxis: logAxis(measured === "wrong" ? "largest error over largest result" : "largest error over its bound", points.map((point) => point.error), (at) => at.toExponential(0)),
    },
  };
};

const PHASES = [
  ["compile", "compile", "x-thin-open", "✕"], ["load", "start, compiled", "diamond-open", "◇"], ["prepare", "prepare", "square-open", "□"],
  ["convert", "convert", "triangle-up-open", "△"], ["first", "first call", "circle-open", "○"], ["time", "steady", "circle", "●"],
];

// Calls after which preparing has paid, against the cell that is cheapest for a single call.
function payingCalls(cell) {
  const single = (one) => (one.prepare || 0) + one.time;
  const others = cellsOfGroup[cell.group].filter((one) => !state.hidden.has(one.algorithm));
  const cheapest = others.reduce((best, one) => (single(one) < single(best) ? one : best), cell);
  if (cheapest === cell) return 1;
  if (cell.time >= cheapest.time) return null;
  return Math.ceil(((cell.prepare || 0) - (cheapest.prepare || 0)) / (cheapest.time - cell.time));
}

figures.phases = () => {
  const found = [...byAlgorithm(timedCells(selectedGroups()))];
  if (!found.length) return "Nothing of this selection has a time.";
  const rows = [["algorithm", ...PHASES.map(([name]) => `${name}_s`), "calls_until_preparation_pays"]];
  const middles = found.map(([, mine]) => PHASES.map(([name]) => median(mine.map((cell) => cell[name]).filter((value) => value > 0))));
  const data = PHASES.map(([, title, symbol], phase) => ({
    type: "scatter", mode: "markers", name: title, x: middles.map((values) => values[phase]), y: found.map((_, at) => at),
    marker: { symbol, size: symbol === "circle" ? 11 : 10, color: found.map(([algorithm]) => colourOf(algorithm)), line: { width: 2, color: found.map(([algorithm]) => colourOf(algorithm)) } },
    text: found.map(([algorithm], at) => `<b>${nameOf(algorithm)}</b><br>${title}: ${timeText(middles[at][phase])}`), hovertemplate: "%{text}<extra></extra>",
  })).filter((trace) => trace.x.some((value) => value !== null));
  const annotations = found.map(([algorithm, mine], at) => {
    const calls = median(mine.map(payingCalls));
    rows.push([model.algorithms[algorithm].name, ...middles[at], calls]);
    const text = calls === null ? "never" : calls <= 1 ? "at once" : `${threeDigits(calls).replace(/\.0+$/, "")} calls`;
    return { x: 1, xref: "paper", xanchor: "left", xshift: 10, y: at, showarrow: false, text, font: { size: 12, color: colourOfPage("soft") } };
  });
  const present = PHASES.filter(([, title]) => data.some((trace) => trace.name === title)).map(([, title, , sign]) => `${sign} ${title}`);
  const key = {
    x: 0, xref: "paper", xanchor: "left", y: 1, yref: "paper", yanchor: "bottom", yshift: 10, align: "left", showarrow: false,
    text: present.map((text, at) => (at === 0 ? text : `${isNarrow() && at % 2 === 0 ? "<br>" : "     "}${text}`)).join(""),
    font: { size: 12.5, color: colourOfPage("soft") },
  };
  return {
    data, rows, height: 32 * found.length + 130, margin: { r: isNarrow() ? 70 : 90, t: isNarrow() ? 76 : 40 },
    layout: {
      annotations: [...annotations, key],
      xaxis: logAxis("time", middles.flat().filter((value) => value > 0), timeTick, { most: ticksAcross() }),
      yaxis: rowAxis(found.map(([algorithm]) => briefName(algorithm))),
    },
  };
};

figures.peers = () => {
  const isPeer = (cell) => model.algorithms[cell.algorithm].peer;
  if (!model.algorithms.some((one) => one.peer)) return "The run timed no peers; run with --peers to compare with other libraries.";
  const rows = [["problem", "threads", "peer", "ours", "ratio"]], ratios = new Map();
  for (const group of selectedGroups()) {
    const mine = timedCells([group]), ours = mine.filter((cell) => !isPeer(cell));
    if (!ours.length) continue;
    const best = ours.reduce((first, cell) => (cell.time < first.time ? cell : first));
    for (const cell of mine.filter(isPeer)) {
      const ratio = cell.time / best.time;
      ratios.set(cell.algorithm, [...(ratios.get(cell.algorithm) || []), { cell, best, ratio }]);
      rows.push([model.groups[group].label, model.groups[group].threads, model.algorithms[cell.algorithm].name, model.algorithms[best.algorithm].name, ratio]);
    }
  }
  const found = [...ratios].map(([algorithm, pairs]) => ({ algorithm, pairs, mean: geometricMean(pairs.map((pair) => pair.ratio)) }));
  if (!found.length) return "No peer has a time in this selection.";
  found.sort((a, b) => a.mean - b.mean);
  const data = found.flatMap(({ algorithm, pairs, mean }, at) => [
    {
      type: "scatter", mode: "markers", name: nameOf(algorithm), showlegend: false, x: pairs.map((pair) => pair.ratio),
      y: pairs.map((_, number) => at + (((number * 0.618) % 1) - 0.5) * 0.5), customdata: pairs.map((pair) => pair.cell.number),
      marker: marker(algorithm, 6, { opacity: 0.4 }),
      text: pairs.map(({ cell, best, ratio }) => `${hoverOf(cell)}<br>ours: ${nameOf(best.algorithm)} ${timeText(best.time)}<br><b>${timesText(ratio)}</b>`),
      hovertemplate: "%{text}<extra></extra>",
    },
    {
      type: "scatter", mode: "markers", name: nameOf(algorithm), x: [mean], y: [at], marker: marker(algorithm, 14, { line: { color: colourOfPage("ink"), width: 1.5 } }),
      hovertemplate: `<b>${nameOf(algorithm)}</b><br>${timesText(mean)} our time<br>${plural(pairs.length, "problem")}<extra></extra>`,
    },
  ]);
  const behind = ({ pairs }) => pairs.filter((pair) => pair.ratio < 0.97).length;
  const annotations = found.map((one, at) => ({
    x: 1, xref: "paper", xanchor: "left", xshift: 10, y: at, showarrow: false, font: { size: 12, color: colourOfPage("soft") }, align: "left",
    text: `<b>${timesText(one.mean)}</b>` + (isNarrow() ? "" : `  ahead in ${one.pairs.length - behind(one)} of ${one.pairs.length}`),
  }));
  return {
    data, rows, height: 40 * found.length + 80, margin: { r: isNarrow() ? 52 : 170 },
    layout: {
      annotations, xaxis: logAxis("time of the peer over ours", [1, ...found.flatMap((one) => one.pairs.map((pair) => pair.ratio))], (at) => `${tickText(at)}×`, { most: ticksAcross() }),
      yaxis: rowAxis(found.map((one) => briefName(one.algorithm))),
      shapes: [{ type: "line", x0: 1, x1: 1, yref: "paper", y0: 0, y1: 1, layer: "below", line: { color: colourOfPage("ink"), width: 1 } }],
    },
  };
};
