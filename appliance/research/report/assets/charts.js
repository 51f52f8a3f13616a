"use strict";
(() => {
  const charts = JSON.parse(document.getElementById("charts-data").textContent);
  const made = [];
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
  const zone = "America/New_York";
  const formats = new Map();
  const format = (options) => {
    const key = JSON.stringify(options);
    if (!formats.has(key)) formats.set(key, new Intl.DateTimeFormat("en-US", { timeZone: zone, ...options }));
    return formats.get(key);
  };
  const day = { month: "short", day: "numeric" }, hour = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  const date = (seconds, options) => format(options).format(new Date(seconds * 1000));
  // What a tick says depends on how far it is from its neighbour: hours within days, days within years, months.
  function ticks(times, splits) {
    const shown = splits.map((at) => (Number.isInteger(at) ? times[at] : undefined));
    const known = shown.filter((time) => time !== undefined);
    const steps = known.slice(1).map((time, at) => time - known[at]).sort((one, other) => one - other);
    const step = steps.length ? steps[steps.length >> 1] : 0;
    let before = "";
    return shown.map((time) => {
      if (time === undefined) return "";
      const near = date(time, step < 72000 ? day : { year: "numeric" });
      const first = near !== before;
      before = near;
      if (step < 72000) return first ? near : date(time, hour);
      if (step < 86400 * 200) return first ? date(time, { ...day, year: "numeric" }) : date(time, day);
      return date(time, { month: "short", year: "numeric" });
    });
  }
  const number = (value, places) => value === null || value === undefined ? "–"
    : value.toLocaleString("en-US", { minimumFractionDigits: places, maximumFractionDigits: places }).replace("-", "−");

  // The horizontal axis counts points, not time: nights and weekends take no room.
  function axes(chart, times) {
    const common = { stroke: colour("soft"), grid: { stroke: colour("grid"), width: 1 }, ticks: { show: false },
      font: "11px system-ui, sans-serif" };
    const along = { ...common, space: 84, size: 26, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000],
      values: (plot, splits) => ticks(times, splits) };
    const up = { ...common, size: 62, values: (plot, splits) => splits.map((at) => number(at, places(splits)) + (chart.suffix || "")) };
    return [along, up];
  }
  function places(splits) {
    const step = splits.length > 1 ? Math.abs(splits[1] - splits[0]) : 1;
    let found = 0;
    while (found < 6 && Math.abs(step * 10 ** found - Math.round(step * 10 ** found)) > 1e-6) found += 1;
    return found;
  }
  function line(series) {
    return { label: series.label, show: !series.hidden, stroke: colour(series.colour), width: series.width || 1.5, points: { show: false },
      fill: series.fill ? colour(series.fill) : undefined, fillTo: series.fill ? 0 : undefined,
      dash: series.dash, paths: series.step ? uPlot.paths.stepped({ align: 1 }) : undefined, spanGaps: true };
  }
  // Entries and exits: a triangle that points the way of the order, filled for entries, hollow for exits.
  function drawMarks(plot, marks) {
    const context = plot.ctx, size = 5 * devicePixelRatio;
    context.save();
    context.beginPath();
    context.rect(plot.bbox.left, plot.bbox.top, plot.bbox.width, plot.bbox.height);
    context.clip();
    for (const [at, price, sign, entry] of marks) {
      const x = plot.valToPos(at, "x", true), y = plot.valToPos(price, "y", true);
      context.beginPath();
      context.moveTo(x, y);
      context.lineTo(x - size, y + sign * size * 1.7);
      context.lineTo(x + size, y + sign * size * 1.7);
      context.closePath();
      context.lineWidth = 1.3 * devicePixelRatio;
      context.strokeStyle = colour(sign > 0 ? "one" : "two");
      context.fillStyle = entry ? context.strokeStyle : colour("card");
      context.fill();
      context.stroke();
    }
    context.restore();
  }
  function tip(chart, times) {
    const box = document.createElement("div");
    box.className = "tip";
    box.hidden = true;
    return { hooks: {
      init: (plot) => { plot.over.appendChild(box); plot.over.addEventListener("mouseleave", () => { box.hidden = true; }); },
      setCursor: (plot) => {
        const at = plot.cursor.idx;
        if (at === null || at === undefined || plot.cursor.left < 0) { box.hidden = true; return; }
        const rows = [date(times[at], { year: "numeric", ...day, ...hour }) + " New York"];
        plot.series.forEach((one, index) => { if (index && one.show) rows.push(one.label + " " + number(plot.data[index][at], chart.places) + (chart.suffix || "")); });
        box.replaceChildren(...rows.map((text) => Object.assign(document.createElement("div"), { textContent: text })));
        box.hidden = false;
        const left = plot.cursor.left + 14, wide = box.offsetWidth, room = plot.over.clientWidth;
        box.style.left = Math.max(0, left + wide > room ? plot.cursor.left - wide - 14 : left) + "px";
        box.style.top = "6px";
      },
    } };
  }
  function make(chart) {
    const holder = document.getElementById(chart.id);
    const data = [chart.times.map((_, at) => at), ...chart.series.map((one) => one.values)];
    const options = {
      width: holder.clientWidth, height: chart.height, padding: [10, 28, 0, 0],
      scales: { x: { time: false }, y: { range: (plot, low, high) => span(low, high, chart) } },
      series: [{}, ...chart.series.map(line)],
      axes: axes(chart, chart.times),
      cursor: { sync: chart.sync ? { key: chart.sync } : undefined, y: false, points: { size: 6 } },
      plugins: [tip(chart, chart.times)],
      hooks: { draw: chart.marks ? [(plot) => drawMarks(plot, chart.marks)] : [] },
    };
    made.push({ plot: new uPlot(options, data, holder), holder, chart });
  }
  function span(low, high, chart) {
    if (low === null || high === null) return [0, 1];
    if (chart.zero) { low = Math.min(0, low); high = Math.max(0, high); }
    const room = (high - low || Math.abs(high) || 1) * 0.06;
    return [chart.zero && low === 0 ? 0 : low - room, chart.zero && high === 0 ? 0 : high + room];
  }
  function toggle(button) {
    const shown = button.getAttribute("aria-pressed") !== "true", at = Number(button.dataset.series);
    button.setAttribute("aria-pressed", String(shown));
    const one = made.find((one) => one.chart.id === button.dataset.chart);
    one.chart.series[at - 1].hidden = !shown;
    one.plot.setSeries(at, { show: shown });
  }
  function again() {
    made.splice(0).forEach((one) => one.plot.destroy());
    charts.filter((chart) => document.getElementById(chart.id).clientWidth).forEach(make);
  }
  function fit() {
    made.forEach((one) => { if (one.holder.clientWidth && one.holder.clientWidth !== one.plot.width) one.plot.setSize({ width: one.holder.clientWidth, height: one.chart.height }); });
    if (charts.some((chart) => document.getElementById(chart.id).clientWidth && !made.some((one) => one.chart === chart))) again();
  }
  again();
  new ResizeObserver(fit).observe(document.querySelector("main"));
  document.querySelectorAll("button.key").forEach((one) => one.addEventListener("click", () => toggle(one)));
  document.querySelectorAll("details").forEach((one) => one.addEventListener("toggle", fit));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
  addEventListener("beforeprint", () => { document.documentElement.dataset.theme = "print"; again(); });
  addEventListener("afterprint", () => { delete document.documentElement.dataset.theme; again(); });
})();
