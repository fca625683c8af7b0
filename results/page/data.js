// Data of the run, and what of it is selected.

const model = JSON.parse(document.getElementById("data").textContent);

const cells = model.cells.group.map((_, number) => {
  const cell = { number };
  for (const name in model.cells) cell[name] = model.cells[name][number];
  return cell;
});

const cellsOfGroup = model.groups.map(() => []);
for (const cell of cells) if (cell.cost !== null) cellsOfGroup[cell.group].push(cell);

const threadCounts = [...new Set(model.groups.map((group) => group.threads))].sort((a, b) => a - b);

const state = {
  preset: "",
  threads: threadCounts.length ? threadCounts[threadCounts.length - 1] : 0,
  query: "",
  hidden: new Set(),
  choice: {}, // index chosen in a figure with several variants, by figure
  sort: "", // column and direction, such as "2+"
  cell: -1, // number of the cell in the detail panel
};

function matches(group, ignoreThreads = false) {
  return (
    (!state.preset || group.tags.includes(state.preset)) &&
    (ignoreThreads || !state.threads || group.threads === state.threads) &&
    state.query
      .toLowerCase()
      .split(/\s+/)
      .every((word) => `${group.label} ${group.problem}`.toLowerCase().includes(word))
  );
}

// Numbers of the selected groups; threads are ignored where a figure has them as an axis.
function selectedGroups(ignoreThreads = false) {
  const numbers = model.groups.map((_, number) => number);
  return numbers.filter((number) => matches(model.groups[number], ignoreThreads));
}

function timedCells(groups) {
  return groups.flatMap((group) => cellsOfGroup[group]).filter((cell) => !state.hidden.has(cell.algorithm));
}

// Values by key, in the order in which the keys appear.
function grouped(values, keyOf) {
  const found = new Map();
  for (const value of values) {
    const key = keyOf(value);
    if (!found.has(key)) found.set(key, []);
    found.get(key).push(value);
  }
  return found;
}

const byAlgorithm = (some) =>
  new Map([...grouped(some, (cell) => cell.algorithm)].sort(([first], [second]) => first - second));

const known = (values) => values.filter((value) => value !== null && value !== undefined);

function median(values) {
  const sorted = known(values).sort((a, b) => a - b);
  const half = sorted.length >> 1;
  if (!sorted.length) return null;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

function geometricMean(values) {
  const logs = known(values).map(Math.log);
  return logs.length ? Math.exp(logs.reduce((sum, log) => sum + log, 0) / logs.length) : null;
}

function threeDigits(value) {
  if (value === 0) return "0";
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(Number(value.toPrecision(3))))));
  return digits > 20 ? value.toExponential(1) : Number(value.toPrecision(3)).toFixed(digits);
}

function timeText(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  for (const [unit, scale] of [["s", 1], ["ms", 1e-3], ["µs", 1e-6]])
    if (seconds >= 0.9995 * scale) return `${threeDigits(seconds / scale)} ${unit}`;
  return `${threeDigits(seconds / 1e-9)} ns`;
}

function bytesText(count) {
  for (const [unit, scale] of [["GiB", 2 ** 30], ["MiB", 2 ** 20], ["KiB", 2 ** 10]])
    if (count >= scale) return `${threeDigits(count / scale)} ${unit}`;
  return `${count} B`;
}

// Text of a tick: a number without noise of binary fractions, in a unit without trailing zeros.
const tickText = (value) => String(Number(value.toPrecision(3)));
const timeTick = (seconds) => timeText(seconds).replace(/\.0+ /, " ");

const timesText = (ratio) => `${ratio < 9.95 ? ratio.toFixed(2) : ratio.toFixed(0)}×`;

const plural = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;
