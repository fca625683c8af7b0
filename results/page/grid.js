// Table of problems and algorithms: filter, sort, and the keyboard.

const table = document.getElementById("grid");
const tableRows = [...table.tBodies[0].querySelectorAll("tr[data-g]")];

function filterTable() {
  const kept = new Set(selectedGroups());
  let shown = 0;
  for (const row of tableRows) {
    row.hidden = !kept.has(Number(row.dataset.g));
    if (!row.hidden) shown += 1;
  }
  const used = new Set(cells.filter((cell) => kept.has(cell.group)).map((cell) => cell.algorithm));
  for (const head of table.tHead.querySelectorAll("[data-a]")) {
    const algorithm = Number(head.dataset.a), hidden = state.hidden.has(algorithm) || !used.has(algorithm);
    if (head.hidden === hidden) continue;
    head.hidden = hidden;
    for (const row of tableRows) row.cells[head.cellIndex].hidden = hidden;
  }
  document.getElementById("no-rows").hidden = shown > 0 || !tableRows.length;
}

// Key of a row in a column: its label, its threads, or the cost of its cell; none sorts last.
function keyOfRow(row, column) {
  const cell = row.cells[column];
  if (column === 0) return cell.textContent;
  if (column === 1) return Number(cell.textContent);
  const found = cells[cell.dataset.c];
  return found && found.cost !== null ? found.cost : null;
}

function sortTable() {
  const column = parseInt(state.sort, 10), down = state.sort.endsWith("-");
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, at) => head.setAttribute("aria-sort", at !== column ? "none" : down ? "descending" : "ascending"));
  const rows = [...tableRows];
  if (heads[column]) {
    const compare = new Intl.Collator(undefined, { numeric: true }).compare;
    rows.sort((one, other) => {
      const [a, b] = [keyOfRow(one, column), keyOfRow(other, column)];
      if (a === null || b === null) return (a === null) - (b === null);
      return (typeof a === "string" ? compare(a, b) : a - b) * (down ? -1 : 1);
    });
  }
  table.tBodies[0].append(...rows);
}

function nextSort(column) {
  const now = state.sort;
  state.sort = now === `${column}+` ? `${column}-` : now === `${column}-` ? "" : `${column}+`;
}

// Move the focus from a cell by rows and columns, over hidden ones.
function moveFocus(cell, down, right) {
  let row = cell.parentElement, column = cell.cellIndex, next = null;
  do {
    column += right;
    if (down > 0) row = row.nextElementSibling;
    if (down < 0) row = row.previousElementSibling;
    next = row && row.cells[column];
  } while (next && (row.hidden || next.hidden || !next.dataset.c));
  if (next) focusCell(next);
}

function focusCell(cell) {
  for (const other of table.querySelectorAll('td[tabindex="0"]')) other.tabIndex = -1;
  cell.tabIndex = 0;
  cell.focus();
}

function prepareTable() {
  for (const head of table.tHead.rows[0].cells) {
    const text = head.querySelector(".sort"), button = document.createElement("button");
    button.type = "button";
    button.className = "sort";
    button.textContent = text.textContent;
    button.title = text.title || `Sort by ${text.textContent}`;
    button.addEventListener("click", () => {
      nextSort(head.cellIndex);
      sortTable();
      writeFragment();
    });
    text.replaceWith(button);
  }
  const first = table.querySelector("td[data-c]");
  if (first) first.tabIndex = 0;
  table.addEventListener("click", (event) => {
    const cell = event.target.closest("td[data-c]");
    if (cell) openDetail(Number(cell.dataset.c));
  });
  table.addEventListener("keydown", (event) => {
    const cell = event.target.closest("td[data-c]");
    const moves = { ArrowDown: [1, 0], ArrowUp: [-1, 0], ArrowRight: [0, 1], ArrowLeft: [0, -1] };
    if (!cell || !(event.key in moves || event.key === "Enter")) return;
    event.preventDefault();
    if (event.key === "Enter") openDetail(Number(cell.dataset.c));
    else moveFocus(cell, ...moves[event.key]);
  });
}
