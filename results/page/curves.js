// Curves: time against size, performance profile, roofline and threads.

figures.scaling = () => {
  const usable = model.sweeps.filter((sweep) => !state.threads || sweep.threads === state.threads);
  if (!usable.length) return "No size varies alone over three problems or more in this selection.";
  const sweep = chosen("scaling", usable);
  const some = timedCells(Object.keys(sweep.points).map(Number));
  const at = (cell) => sweep.points[cell.group];
  const data = [];
  for (const [algorithm, found] of byAlgorithm(some)) {
    const mine = found.sort((a, b) => at(a) - at(b)), colour = colourOf(algorithm);
    const band = mine.filter((cell) => cell.low !== null && cell.high !== null && cell.passes > 2);
    if (band.length > 1)
      data.push({
        type: "scatter", mode: "lines", hoverinfo: "skip", showlegend: false, fill: "toself", fillcolor: faded(colour, 0.14), line: { width: 0 },
        x: [...band.map(at), ...band.map(at).reverse()], y: [...band.map((cell) => cell.low), ...band.map((cell) => cell.high).reverse()],
      });
    data.push({
      type: "scatter", mode: "lines+markers", name: nameOf(algorithm) + exponentText(sweep.exponents[model.algorithms[algorithm].key]),
      x: mine.map(at), y: mine.map((cell) => cell.time), marker: marker(algorithm, 9), line: { color: colour, width: 2, dash: dashOf(algorithm) },
      customdata: mine.map((cell) => cell.number), text: mine.map(hoverOf), hovertemplate: "%{text}<extra></extra>",
    });
  }
  if (!data.length) return "Nothing of this selection has a time.";
  const sizes = [...new Set(some.map(at))].sort((a, b) => a - b);
  return {
    data, rows: cellRows(some), height: innerWidth < 700 ? 400 + 20 * data.length : 480, margin: { r: 16 },
    layout: {
      showlegend: true,
      legend: {
        title: { text: `time ~ sizeᵖ<br>operations: p = ${sweep.work.toFixed(2)}`, font: { size: 12, color: colourOfPage("soft") } },
        font: { size: 12.5 }, itemclick: false, itemdoubleclick: false, bgcolor: "rgba(0,0,0,0)",
        ...(innerWidth < 700 ? { x: 0, y: -0.22, yanchor: "top" } : { x: 1.02, y: 1 }),
      },
      xaxis: logAxis(sweep.axis, sizes, String, { tickvals: sizes, ticktext: sizes.map(tickText) }),
      yaxis: logAxis("time per call", some.flatMap((cell) => [cell.time]), timeTick),
    },
  };
};

function exponentText(fit) {
  if (!fit) return "";
  const [middle, low, high] = fit;
  const text = (value) => value.toFixed(2).replace("-", "−");
  return `  ${text(middle)}` + (low === null ? "" : ` (${text(low)} to ${text(high)})`);
}

figures.profile = () => {
  const groups = selectedGroups().filter((group) => cellsOfGroup[group].length);
  const some = timedCells(groups);
  if (!some.length) return "Nothing of this selection has a time.";
  const best = new Map([...grouped(some, (cell) => cell.group)].map(([group, mine]) => [group, Math.min(...mine.map((cell) => cell.cost))]));
  const ratio = (cell) => cell.cost / best.get(cell.group);
  const most = Math.min(100, Math.max(2, ...some.map(ratio))) * 1.05;
  const rows = [["algorithm", "factor", "share"]];
  const data = [...byAlgorithm(some)].map(([algorithm, mine]) => {
    const factors = mine.map(ratio).sort((a, b) => a - b).filter((factor) => factor <= most);
    const x = [1], y = [0];
    factors.forEach((factor, at) => {
      x.push(factor);
      y.push((at + 1) / best.size);
    });
    factors.forEach((factor, at) => rows.push([model.algorithms[algorithm].name, factor, (at + 1) / best.size]));
    x.push(most);
    y.push(y[y.length - 1]);
    return {
      type: "scatter", mode: "lines", name: nameOf(algorithm), x, y, line: { shape: "hv", width: 2.4, color: colourOf(algorithm), dash: dashOf(algorithm) },
      hovertemplate: `<b>${nameOf(algorithm)}</b><br>within %{x:.2f}× of the fastest<br>on %{y:.0%} of problems<extra></extra>`,
    };
  });
  return {
    data, rows,
    layout: {
      xaxis: logAxis("within this factor of the fastest", [1, most / 1.03], (at) => `${tickText(at)}×`, { most: ticksAcross() }),
      yaxis: axis("share of problems", { range: [0, 1.03], tickformat: ".0%" }),
    },
  };
};

figures.roofline = () => {
  const known = (cell) => model.groups[cell.group].intensity && model.groups[cell.group].attainable && cell.gflops;
  const some = timedCells(selectedGroups()).filter(known);
  const roof = model.roofs.find((one) => !state.threads || one.threads === state.threads);
  if (!roof || !some.length) return "The limits of this machine were not measured, or nothing selected has a time.";
  const intensity = (cell) => model.groups[cell.group].intensity;
  const lowest = Math.min(...some.map(intensity)) / 1.5, highest = Math.max(...some.map(intensity)) * 1.5;
  const ridge = roof.peak / Math.max(...Object.values(roof.levels));
  const left = Math.min(lowest, ridge / 2), bottom = Math.min(...some.map((cell) => cell.gflops)) / 1.6;
  const ink = colourOfPage("soft"), annotations = [];
  const data = Object.entries(roof.levels).map(([level, rate]) => {
    const start = Math.max(left, bottom / rate);
    annotations.push({ x: Math.log10(start), y: Math.log10(start * rate), xanchor: "left", yanchor: "middle", bgcolor: colourOfPage("paper"), borderpad: 2, text: `${level} ${threeDigits(rate)} GB/s`, showarrow: false, font: { size: 11, color: ink } });
    return { type: "scatter", mode: "lines", name: level, showlegend: false, hoverinfo: "skip", x: [start, roof.peak / rate], y: [start * rate, roof.peak], line: { color: ink, width: 1 } };
  });
  const right = Math.max(highest, ...Object.values(roof.levels).map((rate) => roof.peak / rate));
  data.push({ type: "scatter", mode: "lines", name: "peak", showlegend: false, hoverinfo: "skip", x: [ridge, right], y: [roof.peak, roof.peak], line: { color: colourOfPage("ink"), width: 1.5 } });
  annotations.push({ x: Math.log10(right), y: Math.log10(roof.peak), xanchor: "right", yanchor: "bottom", text: `peak ${threeDigits(roof.peak)} GFLOP/s`, showarrow: false, font: { size: 12, color: colourOfPage("ink") } });
  for (const [algorithm, mine] of byAlgorithm(some))
    data.push({
      type: "scatter", mode: "markers", name: nameOf(algorithm), x: mine.map(intensity), y: mine.map((cell) => cell.gflops),
      marker: marker(algorithm, mine.map((cell) => (cell.winner ? 11 : 6)), { opacity: mine.map((cell) => (cell.winner ? 1 : 0.5)) }),
      customdata: mine.map((cell) => cell.number), text: mine.map((cell) => `${hoverOf(cell)}<br>${threeDigits(cell.gflops)} GFLOP/s` + (cell.limit ? `, ${cell.limit.toFixed(0)} % of the limit` : "")),
      hovertemplate: "%{text}<extra></extra>",
    });
  const heights = [bottom, roof.peak * 1.4, ...some.map((cell) => cell.gflops)];
  return {
    data, rows: cellRows(some),
    layout: {
      annotations, xaxis: logAxis("operations per byte", [left, right], tickText, { most: ticksAcross() }),
      yaxis: logAxis("effective GFLOP/s", heights, tickText),
    },
  };
};

figures.threads = () => {
  if (threadCounts.length < 2) return "The run used one number of threads; run with --threads 1,2 to compare.";
  const groups = selectedGroups(true), least = threadCounts[0];
  const keyOf = (cell) => [cell.algorithm, ...["problem", "weights", "pixels", "dtype"].map((name) => model.groups[cell.group][name])].join("\n");
  const times = grouped(timedCells(groups), keyOf);
  const gains = new Map(); // by algorithm: by threads: speed-ups
  for (const mine of times.values()) {
    const base = mine.find((cell) => model.groups[cell.group].threads === least);
    if (!base) continue;
    const own = gains.get(base.algorithm) || gains.set(base.algorithm, new Map()).get(base.algorithm);
    for (const cell of mine) {
      const { threads } = model.groups[cell.group];
      own.set(threads, [...(own.get(threads) || []), base.time / cell.time]);
    }
  }
  const rows = [["algorithm", "threads", "speed-up", "problems"]];
  const data = [...gains].sort(([a], [b]) => a - b).map(([algorithm, own]) => {
    const counts = threadCounts.filter((count) => own.has(count));
    const y = counts.map((count) => geometricMean(own.get(count)));
    counts.forEach((count, at) => rows.push([model.algorithms[algorithm].name, count, y[at], own.get(count).length]));
    return {
      type: "scatter", mode: "lines+markers", name: nameOf(algorithm), x: counts, y, marker: marker(algorithm, 11),
      line: { color: colourOf(algorithm), width: 2, dash: dashOf(algorithm) },
      text: counts.map((count) => plural(own.get(count).length, "problem")),
      hovertemplate: `<b>${nameOf(algorithm)}</b><br>%{x} threads: %{y:.2f}×<br>%{text}<extra></extra>`,
    };
  });
  const most = threadCounts[threadCounts.length - 1];
  const all = data.flatMap((one) => one.y);
  data.unshift({ type: "scatter", mode: "lines", name: "perfect", hoverinfo: "skip", x: [least, most], y: [1, most / least], line: { color: colourOfPage("soft"), width: 1, dash: "dot" } });
  return {
    data, rows,
    layout: {
      xaxis: logAxis("threads", [least, most], String, { tickvals: threadCounts, ticktext: threadCounts.map(String) }),
      yaxis: logAxis("times as fast", [1, most / least, ...all], (at) => `${tickText(at)}×`),
    },
  };
};
