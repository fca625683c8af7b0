// The page as a whole: controls, the fragment that keeps its state, and the theme.

// Variant of a figure that is chosen in its menu, which this fills in.
function chosen(id, variants) {
  const choice = document.querySelector(`#${id} .choice`), menu = choice.querySelector("select");
  const title = (one) => (state.threads ? one.title : `${one.title} · ${plural(one.threads, "thread")}`);
  choice.hidden = variants.length < 2;
  const at = Math.min(state.choice[id] || 0, variants.length - 1);
  menu.replaceChildren(...variants.map((one, number) => element("option", title(one), { value: number, selected: number === at })));
  return variants[at];
}

function chip(text, pressed, press) {
  const button = element("button", text, { type: "button" });
  button.setAttribute("aria-pressed", String(pressed));
  button.addEventListener("click", () => {
    press();
    update();
  });
  return button;
}

function fillControls() {
  const presets = ["", ...model.presets].map((name) => chip(name || "All", state.preset === name, () => (state.preset = name)));
  document.getElementById("presets").replaceChildren(...(presets.length > 1 ? presets : []));
  const counts = threadCounts.length > 1 ? [...threadCounts, 0] : [];
  document.getElementById("threads-chips").replaceChildren(
    ...counts.map((count) => chip(count ? plural(count, "thread") : "any threads", state.threads === count, () => (state.threads = count))),
  );
  const legend = model.algorithms.map((algorithm, at) => {
    const button = chip("", !state.hidden.has(at), () => (state.hidden.has(at) ? state.hidden.delete(at) : state.hidden.add(at)));
    button.innerHTML = swatch(at);
    button.append(algorithm.name);
    return button;
  });
  document.getElementById("legend").replaceChildren(...legend);
  document.getElementById("search").value = state.query;
  document.getElementById("selected").textContent = `${selectedGroups().length} of ${plural(model.groups.length, "problem")}`;
}

function showVerdict() {
  const standing = state.query || state.hidden.size ? null : model.verdicts[`${state.preset}|${state.threads || ""}`];
  const first = ranking(selectedGroups())[0];
  const own = first ? `Of this selection, ${model.algorithms[first.algorithm].name} is the best single choice: ${timesText(first.middle)} the time of each problem's fastest.` : "Nothing of this selection has a time.";
  document.getElementById("verdict").textContent = standing || own;
}

const FIELDS = ["preset", "threads", "query", "sort", "cell"];

function writeFragment() {
  const usual = { preset: "", threads: threadCounts[threadCounts.length - 1] || 0, query: "", sort: "", cell: -1 };
  const kept = new URLSearchParams();
  for (const name of FIELDS) if (state[name] !== usual[name]) kept.set(name, state[name]);
  if (state.hidden.size) kept.set("hidden", [...state.hidden].join("."));
  for (const id in state.choice) if (state.choice[id]) kept.set(id, state.choice[id]);
  const { theme } = document.documentElement.dataset;
  if (theme) kept.set("theme", theme);
  history.replaceState(null, "", `#${kept}` === "#" ? location.href.split("#")[0] : `#${kept}`);
}

function readFragment() {
  if (!location.hash.includes("=")) return;
  const given = new URLSearchParams(location.hash.slice(1));
  const number = (name, usual) => (/^-?\d+$/.test(given.get(name) || "") ? Number(given.get(name)) : usual);
  if (model.presets.includes(given.get("preset"))) state.preset = given.get("preset");
  state.threads = [0, ...threadCounts].includes(number("threads", -1)) ? number("threads", 0) : state.threads;
  state.query = given.get("query") || "";
  state.sort = /^\d+[+-]$/.test(given.get("sort") || "") ? given.get("sort") : "";
  state.hidden = new Set((given.get("hidden") || "").split(".").filter((text) => text in model.algorithms).map(Number));
  for (const id of ["map", "scaling"]) state.choice[id] = Math.max(0, number(id, 0));
  if (["light", "dark"].includes(given.get("theme"))) document.documentElement.dataset.theme = given.get("theme");
  state.cell = number("cell", -1);
}

function update() {
  fillControls();
  showVerdict();
  filterTable();
  drawSeen();
  writeFragment();
}

// Figures that a run cannot have leave the page; selections only empty them.
function dropViews() {
  const without = {
    map: !model.maps.length, scaling: !model.sweeps.length, roofline: !model.roofs.length, ranking: !cells.length,
    threads: threadCounts.length < 2, peers: !model.algorithms.some((one) => one.peer), profile: model.groups.length < 2,
    tradeoff: !cells.some((cell) => cell.cost && (cell.wrong || cell.bound)), phases: !cells.some((cell) => cell.cost),
  };
  for (const id in without) {
    if (!without[id]) continue;
    delete figures[id];
    document.getElementById(id).remove();
    document.querySelector(`[data-for="${id}"]`).remove();
  }
}

function listen() {
  const theme = document.getElementById("theme");
  theme.addEventListener("click", () => {
    document.documentElement.dataset.theme = isDark() ? "light" : "dark";
    update();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", update);
  document.getElementById("search").addEventListener("input", (event) => {
    state.query = event.target.value;
    update();
  });
  document.querySelector("main").addEventListener("change", (event) => {
    const section = event.target.closest(".choice") && event.target.closest(".view");
    if (!section) return;
    state.choice[section.id] = Number(event.target.value);
    draw(section.id);
    writeFragment();
  });
  document.querySelector("main").addEventListener("click", (event) => {
    const kind = event.target.dataset.save, section = event.target.closest(".view");
    if (kind === "svg") saveSvg(section.id);
    if (kind === "csv") save(`${section.id}.csv`, "text/csv", csvText(section.id === "problems" ? cellRows(cells) : drawn[section.id].rows));
  });
  let waiting = 0;
  addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(drawSeen, 150);
  });
  for (const element of [theme, document.getElementById("controls"), document.getElementById("legend")]) element.hidden = false;
}

readFragment();
dropViews();
prepareTable();
prepareDetail();
listen();
sortTable();
update();
library.then(watchFigures);
if (state.cell >= 0) openDetail(state.cell);
