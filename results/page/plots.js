// Drawing of figures: the layout they share, downloads, and drawing when they come into view.

const figures = {}; // by id: a function that returns a drawing, or a sentence why there is none

function axis(title, more = {}) {
  return {
    title: { text: title, standoff: 12, font: { size: 12, color: colourOfPage("soft") } },
    gridcolor: colourOfPage("line"), linecolor: colourOfPage("line"), zeroline: false, ticks: "",
    tickfont: { size: 12, color: colourOfPage("soft") }, tickangle: 0, automargin: true, fixedrange: true, ...more,
  };
}

const isNarrow = () => innerWidth < 560;
const ticksAcross = () => (isNarrow() ? 4 : 9);

// Vertical axis of one row per label, the first on top.
function rowAxis(labels) {
  return axis("", {
    range: [labels.length - 0.4, -0.6], tickvals: labels.map((_, at) => at), ticktext: labels, showgrid: false,
    tickfont: { size: isNarrow() ? 11 : 13, color: colourOfPage("ink") },
  });
}

// Name of an algorithm, cut where the screen is narrow.
function briefName(algorithm) {
  const { name } = model.algorithms[algorithm];
  return plain(isNarrow() && name.length > 14 ? `${name.slice(0, 13)}…` : name);
}

// Logarithmic axis over `values`, with at most `most` ticks that `text` writes.
function logAxis(title, values, text, { most = 9, ...more } = {}) {
  const sound = known(values).filter((value) => value > 0);
  const low = Math.log10(Math.min(...sound)), high = Math.log10(Math.max(...sound));
  const margin = Math.max(0.04 * (high - low), 0.05);
  const fits = (at) => Math.log10(at) >= low - margin && Math.log10(at) <= high + margin;
  const ticksOf = (steps, every) => {
    const ticks = [];
    for (let decade = Math.floor(low - margin); decade <= high + margin; decade += every)
      ticks.push(...steps.map((step) => step * 10 ** decade).filter(fits));
    return ticks;
  };
  const ways = [[[1, 1.2, 1.5, 2, 3, 4, 5, 7], 1], [[1, 2, 5], 1], [[1, 3], 1], [[1], 1], [[1], 2], [[1], 3], [[1], 6]];
  const ticks = ways.map(([steps, every]) => ticksOf(steps, every)).find((some) => some.length <= most) || [];
  return axis(title, {
    type: "log", range: [low - margin, high + margin], tickvals: ticks, ticktext: ticks.map(text), ...more,
  });
}

function layoutOf(drawing, width) {
  const narrow = width < 560;
  return {
    width, height: drawing.height || (narrow ? 380 : 460), paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    margin: { l: 8, r: narrow ? 12 : 24, t: 8, b: 8, ...drawing.margin }, showlegend: false, hovermode: "closest",
    font: { family: getComputedStyle(document.body).fontFamily, size: 13, color: colourOfPage("ink") },
    hoverlabel: {
      bgcolor: colourOfPage("panel"), bordercolor: colourOfPage("line"), align: "left",
      font: { color: colourOfPage("ink"), size: 13 },
    },
    ...drawing.layout,
  };
}

function marker(algorithm, size, more = {}) {
  return {
    symbol: markOf(algorithm), size, color: colourOf(algorithm),
    line: { color: colourOfPage("paper"), width: 1 }, ...more,
  };
}

const hoverOf = (cell) =>
  `<b>${nameOf(cell.algorithm)}</b><br>${plain(model.groups[cell.group].label)} · ` +
  `${plural(model.groups[cell.group].threads, "thread")}<br>${timeText(cell.time)} a call · ` +
  `${timesText(cell.cost)} the fastest`;

// Plotly takes a second to start, so it starts after the page has been painted.
const library = new Promise((ready) => {
  requestAnimationFrame(() =>
    setTimeout(() => {
      const script = document.createElement("script");
      script.textContent = document.getElementById("library").textContent;
      document.head.append(script);
      ready();
    }, 50),
  );
});

const drawn = {}; // by id: the drawing on the page
const seen = new Set();

function draw(id) {
  const section = document.getElementById(id), place = section.querySelector(".plot");
  const drawing = figures[id]();
  const nothing = section.querySelector(".nothing");
  nothing.hidden = typeof drawing !== "string";
  place.hidden = !nothing.hidden;
  place.dataset.drawn = place.hidden ? "nothing" : "yes";
  for (const button of section.querySelectorAll("[data-save]")) button.disabled = place.hidden;
  if (place.hidden) {
    nothing.textContent = drawing;
    return;
  }
  drawn[id] = drawing;
  const width = place.clientWidth || section.clientWidth;
  Plotly.react(place, drawing.data, layoutOf(drawing, width), { displayModeBar: false, doubleClick: false });
  if (!place.dataset.listens) {
    place.dataset.listens = "yes";
    place.on("plotly_click", ({ points }) => {
      const number = points[0].customdata;
      if (typeof number === "number") openDetail(number);
    });
  }
}

function drawSeen() {
  for (const id of seen) draw(id);
}

// Draw each figure when it comes near the screen; idle time draws the rest.
function watchFigures() {
  const watcher = new IntersectionObserver(
    (entries) => {
      for (const { target, isIntersecting } of entries) if (isIntersecting) show(target.id);
    },
    { rootMargin: "300px" },
  );
  const show = (id) => {
    if (seen.has(id)) return;
    seen.add(id);
    draw(id);
  };
  const rest = Object.keys(figures);
  for (const id of rest) watcher.observe(document.getElementById(id));
  const drawNext = () => {
    const id = rest.shift();
    if (!id) return;
    show(id);
    setTimeout(drawNext, 30);
  };
  setTimeout(drawNext, 120);
  addEventListener("beforeprint", () => rest.splice(0).forEach(show));
}

function save(name, type, content) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([content], { type }));
  link.download = `${model.id}-${name}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

async function saveSvg(id) {
  const place = document.getElementById(id).querySelector(".plot");
  const layout = { ...layoutOf(drawn[id], 1000), showlegend: true, paper_bgcolor: colourOfPage("paper") };
  const url = await Plotly.toImage({ data: place.data, layout }, { format: "svg", width: 1000, height: layout.height });
  save(`${id}.svg`, "image/svg+xml", decodeURIComponent(url.slice(url.indexOf(",") + 1)));
}

function csvText(rows) {
  const quoted = (value) => (/[",\n]/.test(value) ? `"${value.replace(/"/g, '""')}"` : value);
  return rows.map((row) => row.map((value) => quoted(String(value ?? ""))).join(",")).join("\n") + "\n";
}

// Rows of a CSV file for some cells.
function cellRows(some) {
  const numbers = ["time", "low", "high", "cost", "gflops", "limit", "prepare", "compile", "convert", "first", "workspace", "memory", "wrong"];
  const head = ["problem", "descriptor", "threads", "algorithm", "status", ...numbers, "reason"];
  const rows = some.map((cell) => {
    const group = model.groups[cell.group];
    return [group.label, group.problem, group.threads, model.algorithms[cell.algorithm].name, cell.status,
      ...numbers.map((name) => cell[name]), cell.reason];
  });
  return [head, ...rows];
}
