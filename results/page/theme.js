// Colours and marks: those of the style sheet, and the looks of the algorithms.

const colourOfPage = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

const channels = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));

// Colour of an algorithm; dark ones are lightened on dark paper.
function colourOf(algorithm) {
  const parts = channels(model.algorithms[algorithm].colour);
  const light = (0.299 * parts[0] + 0.587 * parts[1] + 0.114 * parts[2]) / 255;
  const mix = isDark() ? Math.max(0.12, 0.55 - light) : 0;
  return `rgb(${parts.map((part) => Math.round(part + mix * (255 - part))).join(",")})`;
}

const faded = (colour, opacity) => colour.replace("rgb(", "rgba(").replace(")", `,${opacity})`);

// Marks of plotly by those of matplotlib.
const MARKS = {
  o: "circle", s: "square", "^": "triangle-up", v: "triangle-down", "<": "triangle-left",
  ">": "triangle-right", D: "diamond", d: "diamond-tall", P: "cross", X: "x", p: "pentagon",
  h: "hexagon", H: "hexagon2", "*": "star", 8: "octagon",
};
const markOf = (algorithm) => MARKS[model.algorithms[algorithm].marker] || "circle";

function dashOf(algorithm) {
  const { dashes } = model.algorithms[algorithm];
  return dashes.length ? dashes.map((length) => `${length * 1.6}px`).join(",") : "solid";
}

// Text without markup: plotly would interpret tags.
const plain = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

const nameOf = (algorithm) => plain(model.algorithms[algorithm].name);

// Outlines of the marks in a square of 16 units, for the legend.
function swatch(algorithm) {
  const mark = markOf(algorithm);
  const polygon = (points) => `<polygon points="${points}"/>`;
  const star = (count, inner) =>
    Array.from({ length: 2 * count }, (_, at) => {
      const [angle, radius] = [(Math.PI * at) / count - Math.PI / 2, at % 2 ? inner : 7.6];
      return `${(8 + radius * Math.cos(angle)).toFixed(1)},${(8 + radius * Math.sin(angle)).toFixed(1)}`;
    }).join(" ");
  const shapes = {
    circle: '<circle cx="8" cy="8" r="6.5"/>', square: '<rect x="2" y="2" width="12" height="12"/>',
    "triangle-up": polygon("8,1.5 15,14 1,14"), "triangle-down": polygon("8,14.5 15,2 1,2"),
    "triangle-left": polygon("1.5,8 14,1 14,15"), "triangle-right": polygon("14.5,8 2,1 2,15"),
    diamond: polygon("8,1 15,8 8,15 1,8"), "diamond-tall": polygon("8,0 13,8 8,16 3,8"),
    cross: polygon("5.5,1 10.5,1 10.5,5.5 15,5.5 15,10.5 10.5,10.5 10.5,15 5.5,15 5.5,10.5 1,10.5 1,5.5 5.5,5.5"),
    x: polygon("4,1 8,5 12,1 15,4 11,8 15,12 12,15 8,11 4,15 1,12 5,8 1,4"),
    pentagon: polygon(star(5, 6.2)), hexagon: polygon(star(6, 6.6)), hexagon2: polygon(star(3, 7.6)),
    star: polygon(star(5, 3.2)), octagon: polygon(star(8, 7)),
  };
  return `<svg viewBox="0 0 16 16" aria-hidden="true" fill="${colourOf(algorithm)}">${shapes[mark]}</svg>`;
}
