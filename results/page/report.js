"use strict";

/* Sort a table by a column; numbers before text, empty cells last. */
function sort(table, column, descending) {
  const key = (row) => {
    const cell = row.cells[column];
    const order = cell.dataset.order ?? cell.textContent;
    const number = order === "inf" ? Infinity : Number(order);
    return Number.isNaN(number) || order === "" ? order : number;
  };
  const rows = [...table.tBodies[0].rows].map((row) => [key(row), row]);
  rows.sort(([a], [b]) => {
    if (a === Infinity || b === Infinity) return a === b ? 0 : a === Infinity ? 1 : -1;
    const less = typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
    return descending ? -less : less;
  });
  table.tBodies[0].append(...rows.map(([, row]) => row));
}

for (const table of document.querySelectorAll("table.sortable")) {
  table.classList.add("ready");
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    head.tabIndex = 0;
    const act = () => {
      const descending = head.ariaSort === "ascending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.ariaSort = descending ? "descending" : "ascending";
      sort(table, column, descending);
    };
    head.addEventListener("click", act);
    head.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      act();
    });
  });
}

for (const box of document.querySelectorAll(".wide")) box.tabIndex = 0;

/* Show only the rows that hold every word of the filter. */
for (const input of document.querySelectorAll("input[data-for]")) {
  input.parentElement.hidden = false;
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/);
    for (const row of document.getElementById(input.dataset.for).tBodies[0].rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
    }
  });
}

const button = document.getElementById("theme");
button.hidden = false;
button.addEventListener("click", () => {
  const root = document.documentElement;
  const now = root.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  root.dataset.theme = now === "dark" ? "light" : "dark";
});
