// Panel of one cell: its numbers, its samples by pass, and the command that repeats it.

const panel = document.getElementById("detail");

function facts(cell) {
  const group = model.groups[cell.group], algorithm = model.algorithms[cell.algorithm];
  const percent = (value) => `${value.toFixed(0)} %`;
  return [
    ["algorithm", algorithm.does ? `${algorithm.name}: ${algorithm.does}` : algorithm.name],
    ["status", cell.status === "ok" ? "" : cell.status],
    ["why no time", cell.reason],
    ["time per call", cell.time && timeText(cell.time)],
    ["95 % interval", cell.low && cell.high && `${timeText(cell.low)} – ${timeText(cell.high)}`],
    ["over the fastest", cell.cost && timesText(cell.cost)],
    [`as fast as ${model.baseline}`, cell.speedup && timesText(cell.speedup)],
    ["verdict", cell.verdict],
    ["not beaten", cell.rivals],
    ["because", cell.doubt],
    ["speed", cell.gflops && `${threeDigits(cell.gflops)} GFLOP/s${cell.limit ? `, ${percent(cell.limit)} of the limit` : ""}`],
    ["passes · samples", cell.passes && `${cell.passes} · ${cell.blocks}`],
    ["drift", cell.drift && cell.drift !== 1 && timesText(cell.drift)],
    ["prepare", cell.prepare && timeText(cell.prepare)],
    ["compile", cell.compile && timeText(cell.compile)],
    ["first call", cell.first && timeText(cell.first)],
    ["convert", cell.convert && timeText(cell.convert)],
    ["memory", cell.memory === null ? "" : bytesText(cell.memory)],
    ["relative error", cell.wrong && cell.wrong.toExponential(1)],
    ["error over bound", cell.bound && threeDigits(cell.bound)],
    ["threads", group.threads],
    ["type", group.dtype],
    ["problem", group.problem],
    ["source", algorithm.source],
    ["paper", algorithm.paper],
  ].filter(([, text]) => text !== null && text !== undefined && text !== "" && text !== false && text !== 0);
}

const shellQuoted = (text) => (/^[\w.,:/=+-]+$/.test(text) ? text : `'${text.replace(/'/g, "'\\''")}'`);

function reproCommand(cell) {
  const group = model.groups[cell.group], own = model.algorithms[cell.algorithm].key;
  const names = [...new Set([own, model.baseline])].filter((name) => name);
  const words = ["convbench run --problem", shellQuoted(group.problem), "--algorithms", shellQuoted(names.join(",")), "--threads", group.threads];
  if (group.weights !== "random") words.push("--weights", shellQuoted(group.weights));
  words.push("--dtype", group.dtype, "--seed", model.seed);
  return words.join(" ");
}

function element(tag, text, more = {}) {
  const made = document.createElement(tag);
  made.textContent = text;
  return Object.assign(made, more);
}

function openDetail(number) {
  const cell = cells[number];
  if (!cell) return;
  state.cell = number;
  document.getElementById("detail-title").textContent = `${model.algorithms[cell.algorithm].name} · ${model.groups[cell.group].label}`;
  const list = document.createElement("dl");
  for (const [name, text] of facts(cell)) {
    const value = element("dd", text, { dir: "auto" });
    if (/^https:/.test(text)) value.replaceChildren(element("a", text, { href: text, rel: "noreferrer" }));
    list.append(element("dt", name), value);
  }
  const plot = document.createElement("div");
  const parts = cell.samples.length ? [plot] : [];
  parts.push(list, element("strong", "Measure it again"), element("pre", reproCommand(cell)));
  document.getElementById("detail-body").replaceChildren(...parts);
  if (!panel.open) panel.showModal();
  if (cell.samples.length) library.then(() => drawSamples(plot, cell));
  writeFragment();
}

function drawSamples(place, cell) {
  const points = cell.samples.flatMap((taken, at) => taken.map((seconds, number) => [at + 1, seconds, number]));
  const colour = colourOf(cell.algorithm);
  const data = [{
    type: "scatter", mode: "markers", x: points.map(([at]) => at), y: points.map(([, seconds]) => seconds),
    marker: { size: points.map(([, , number]) => (number ? 5 : 9)), color: colour, opacity: points.map(([, , number]) => (number ? 0.45 : 1)) },
    text: points.map(([at, seconds]) => `pass ${at}: ${timeText(seconds)}`), hovertemplate: "%{text}<extra></extra>",
  }];
  const shapes = [];
  if (cell.low && cell.high)
    shapes.push({ type: "rect", xref: "paper", x0: 0, x1: 1, y0: cell.low, y1: cell.high, fillcolor: faded(colour, 0.15), line: { width: 0 }, layer: "below" });
  shapes.push({ type: "line", xref: "paper", x0: 0, x1: 1, y0: cell.time, y1: cell.time, line: { color: colour, width: 1.5, dash: "dot" } });
  const drawing = {
    height: 230, layout: {
      shapes, xaxis: axis("pass", { dtick: Math.ceil(cell.samples.length / 10), range: [0.4, cell.samples.length + 0.6] }),
      yaxis: logAxis("", points.map(([, seconds]) => seconds), timeTick),
    },
  };
  Plotly.newPlot(place, data, layoutOf(drawing, place.clientWidth), { displayModeBar: false });
}

function prepareDetail() {
  document.getElementById("close").addEventListener("click", () => panel.close());
  panel.addEventListener("click", (event) => {
    if (event.target === panel) panel.close();
  });
  panel.addEventListener("close", () => {
    state.cell = -1;
    writeFragment();
  });
}
