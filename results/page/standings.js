// Ranking of the selection and its winner map.

// Quantile 97.5 % of Student's t (Hill, CACM 13(10), algorithm 396, 1970; the asymptotic series).
function studentQuantile(free) {
  const z = 1.959963985, z3 = z ** 3, z5 = z ** 5, z7 = z ** 7;
  return z + (z3 + z) / (4 * free) + (5 * z5 + 16 * z3 + 3 * z) / (96 * free ** 2) +
    (3 * z7 + 19 * z5 + 17 * z3 - 15 * z) / (384 * free ** 3);
}

const PENALTY = 2; // factor over the slowest time that a missing time counts as

// Standing of every algorithm on `groups`, as results/page/ranking.py computes it.
function ranking(groups) {
  const asked = groups.filter((group) => cellsOfGroup[group].some((cell) => cell.winner));
  const worst = new Map(asked.map((group) => [group, PENALTY * Math.max(...cellsOfGroup[group].map((cell) => cell.cost))]));
  const found = [...byAlgorithm(timedCells(asked))].map(([algorithm, mine]) => {
    const costs = new Map(worst);
    for (const cell of mine) costs.set(cell.group, cell.cost);
    const middle = geometricMean([...costs.values()]);
    const wins = mine.filter((cell) => cell.winner).length;
    return { algorithm, middle, ...interval(mine, middle, asked.length), wins, timed: mine.length, asked: asked.length };
  });
  found.sort((a, b) => a.middle - b.middle || (model.algorithms[a.algorithm].name < model.algorithms[b.algorithm].name ? -1 : 1));
  let leader = null;
  found.forEach((one, at) => {
    const tied = leader && one.low !== null && leader.high !== null && one.low <= leader.high;
    one.rank = tied ? leader.rank : at + 1;
    if (!tied) leader = one;
  });
  return found;
}

function interval(mine, middle, count) {
  if (mine.some((cell) => cell.error === null)) return { low: null, high: null };
  const variances = mine.map((cell) => cell.error ** 2);
  const sum = variances.reduce((total, one) => total + one, 0);
  if (!sum) return { low: middle, high: middle };
  const free = sum ** 2 / variances.reduce((total, one, at) => total + one ** 2 / (mine[at].shared - 1), 0);
  const reach = Math.exp((studentQuantile(free) * Math.sqrt(sum)) / count);
  return { low: middle / reach, high: middle * reach };
}

figures.ranking = () => {
  const found = ranking(selectedGroups());
  if (!found.length) return "Nothing of this selection has a time.";
  const label = (one) => `${briefName(one.algorithm)}  <b>${one.rank}</b>`;
  const ends = (one) => (one.low === null ? "" : ` (${one.low.toFixed(2)}–${one.high.toFixed(2)})`);
  const data = found.map((one, at) => ({
    type: "scatter", mode: "markers", name: nameOf(one.algorithm), x: [one.middle], y: [at],
    marker: marker(one.algorithm, 13),
    error_x: {
      type: "data", symmetric: false, array: [(one.high ?? one.middle) - one.middle], arrayminus: [one.middle - (one.low ?? one.middle)],
      color: colourOf(one.algorithm), thickness: 2, width: 0,
    },
    hovertemplate: `<b>${nameOf(one.algorithm)}</b><br>${timesText(one.middle)}${ends(one)}<br>` +
      `fastest in ${one.wins}, timed on ${one.timed} of ${one.asked}<extra></extra>`,
  }));
  const narrow = isNarrow();
  const annotations = found.map((one, at) => ({
    x: 1, xref: "paper", xanchor: "left", y: at, yanchor: "middle", showarrow: false, align: "left", xshift: 10,
    text: `<b>${timesText(one.middle)}</b>` + (narrow ? "" : `  ${plural(one.wins, "win")}` + (one.timed < one.asked ? ` · ${one.timed} of ${one.asked} timed` : "")),
    font: { size: 12.5, color: colourOfPage("soft") },
  }));
  const values = [1, ...found.flatMap((one) => [one.middle, one.high])];
  return {
    data, height: 34 * found.length + 70, margin: { r: narrow ? 56 : 230, t: 4 },
    layout: {
      annotations,
      xaxis: logAxis("times the time of the fastest", values, (at) => `${tickText(at)}×`, { most: ticksAcross() }),
      yaxis: rowAxis(found.map(label)),
      shapes: [{ type: "line", x0: 1, x1: 1, yref: "paper", y0: 0, y1: 1, layer: "below", line: { color: colourOfPage("soft"), width: 1 } }],
    },
    rows: [
      ["rank", "algorithm", "cost", "low", "high", "wins", "timed", "problems"],
      ...found.map((one) => [one.rank, model.algorithms[one.algorithm].name, one.middle, one.low, one.high, one.wins, one.timed, one.asked]),
    ],
  };
};

figures.map = () => {
  const usable = model.maps.filter((map) => !state.threads || map.threads === state.threads);
  if (!usable.length) return "No two sizes vary together in this selection, so there is no map.";
  const map = chosen("map", usable);
  const groups = Object.keys(map.places).map(Number);
  const [across, up] = [0, 1].map((at) => [...new Set(groups.map((group) => map.places[group][at]))].sort((a, b) => a - b));
  const shapes = [], annotations = [], data = [];
  const narrow = innerWidth < 700;
  const some = groups.map((group) => timedCells([group]).sort((a, b) => a.cost - b.cost)).filter((ranked) => ranked.length);
  for (const ranked of some) {
    const [best, second] = ranked, [place, height] = map.places[best.group];
    const x = across.indexOf(place), y = up.indexOf(height), sure = best.decided;
    const lead = second ? second.cost / best.cost : null;
    shapes.push({
      type: "rect", x0: x - 0.48, x1: x + 0.48, y0: y - 0.47, y1: y + 0.47, layer: "below",
      fillcolor: faded(colourOf(best.algorithm), sure ? 0.5 : 0.14),
      line: { width: 1.5, dash: sure ? "solid" : "dot", color: faded(colourOf(best.algorithm), sure ? 0.2 : 0.8) },
    });
    const name = nameOf(best.algorithm);
    annotations.push({
      x, y, showarrow: false, font: { size: narrow ? 9 : 12, color: colourOfPage("ink") }, captureevents: false,
      text: (narrow && across.length > 4 ? name.slice(0, 5) : `<b>${name}</b>`) + `<br>${lead === null ? "alone" : timesText(lead)}${sure ? "" : " ?"}`,
    });
  }
  for (const [algorithm, mine] of grouped(some.map((ranked) => ranked[0]), (cell) => cell.algorithm))
    data.push({
      type: "scatter", mode: "markers", name: nameOf(algorithm), marker: { ...marker(algorithm, 34), opacity: 0, symbol: "square" },
      x: mine.map((cell) => across.indexOf(map.places[cell.group][0])), y: mine.map((cell) => up.indexOf(map.places[cell.group][1])),
      customdata: mine.map((cell) => cell.number), text: mine.map(hoverOf), hovertemplate: "%{text}<extra></extra>",
    });
  const ticks = (values) => ({ tickvals: values.map((_, at) => at), ticktext: values.map((at) => String(Number(at.toPrecision(4)))), showgrid: false });
  return {
    data, height: Math.max(220, 62 * up.length + 70), rows: cellRows(some.map((ranked) => ranked[0])),
    layout: {
      shapes, annotations,
      xaxis: axis(map.across, { ...ticks(across), range: [-0.55, across.length - 0.45] }),
      yaxis: axis(map.up, { ...ticks(up), range: [-0.55, up.length - 0.45] }),
    },
  };
};
