// Owns: the four charts: how fast tokens, money and turns go, and when sessions were restarted. The
// server samples counters that only grow; a chart shows what they gained in each slice of time.

import { $, fill, h, setText, svg } from "./dom.js";
import { minute, money, short, span } from "./format.js";

const WINDOW_MS = 3600000;
const LEAST_MS = 300000;
const SLICE_PX = 5;

const CHARTS = [
  {
    id: "tokens",
    title: "Tokens",
    unit: "/min",
    per: 60000,
    of: (p) => p.input_tokens + p.output_tokens,
    word: short,
  },
  { id: "money", title: "Money", unit: "/h", per: 3600000, of: (p) => p.cost_nano_usd, word: money },
  { id: "turns", title: "Turns", unit: "/min", per: 60000, of: (p) => p.turns, word: short },
  { id: "restarts", title: "Restarts", unit: "", per: 0, of: (p) => p.restarts, word: short, isBars: true },
];

export class Charts {
  constructor() {
    this.points = [];
    this.every = 5000;
    this.box = $("charts");
    this.charts = CHARTS.map((chart) => this.make(chart));
    fill(
      this.box,
      this.charts.map((chart) => chart.figure),
    );
    new ResizeObserver(() => this.draw()).observe(this.box);
  }

  make(chart) {
    const value = h("b", { class: "value" }, "–");
    const unit = h("span", { class: "unit" }, chart.unit);
    const hint = h("span", { class: "hint" });
    const area = svg("path", { class: "area" });
    const line = svg("path", { class: "line" });
    const base = svg("line", { class: "base" });
    const cross = svg("line", { class: "cross", visibility: "hidden" });
    const dot = svg("circle", { class: "dot", r: 2.5, visibility: "hidden" });
    const picture = svg("svg", { role: "img", "aria-label": chart.title }, base, area, line, cross, dot);
    const figure = h(
      "figure",
      { class: "chart", "data-chart": chart.id },
      h(
        "figcaption",
        {},
        h("span", { class: "title" }, chart.title),
        h("span", { class: "grow" }),
        hint,
        h("span", { class: "now" }, value, unit),
      ),
      picture,
    );
    const made = { ...chart, figure, picture, area, line, base, cross, dot, value, hint };
    picture.addEventListener("pointermove", (event) => this.point(made, event));
    picture.addEventListener("pointerleave", () => this.unpoint(made));
    return made;
  }

  load(history) {
    this.every = history.every_ms || this.every;
    this.points = history.points ?? [];
    this.skew = null;
    this.draw();
  }

  /// What the status says now is the newest point.
  push(status) {
    const { spent } = status;
    const at = status.now ?? Date.now();
    const last = this.points.at(-1);
    if (last && at - last.at < 1000) return;
    const point = {
      at,
      input_tokens: spent.input_tokens ?? 0,
      output_tokens: spent.output_tokens ?? 0,
      cost_nano_usd: spent.cost_nano_usd ?? 0,
      turns: status.turns_finished ?? 0,
      restarts: 0,
    };
    // The status counts the restarts of all sessions, the history those since the server began.
    this.skew ??= (status.restarts ?? 0) - (last?.restarts ?? 0);
    point.restarts = Math.max(last?.restarts ?? 0, (status.restarts ?? 0) - this.skew);
    // Between two samples of the server only the newest point is of ours; older ones would crowd it.
    if (last?.isOurs && at - (this.points.at(-2)?.at ?? 0) < this.every) this.points.pop();
    this.points.push({ ...point, isOurs: true });
    while (this.points.length > 2 && this.points[1].at < at - WINDOW_MS) this.points.shift();
    this.draw();
  }

  /// Turns in the last minute, for the header.
  turnsPerMinute() {
    const last = this.points.at(-1);
    if (!last || this.points.length < 2) return null;
    const from = Math.max(this.points[0].at, last.at - 60000);
    const gained = last.turns - counterAt(this.points, from, { of: (p) => p.turns });
    const ms = last.at - from;
    return ms > 0 ? Math.max(0, (gained * 60000) / ms) : null;
  }

  draw() {
    if (this.box.hidden || this.box.offsetParent === null) return;
    this.charts.forEach((chart) => this.one(chart));
  }

  one(chart) {
    const { width, height } = chart.picture.getBoundingClientRect();
    if (width < 20 || this.points.length < 2) return;
    const end = this.points.at(-1).at;
    const start = Math.max(end - WINDOW_MS, Math.min(this.points[0].at, end - LEAST_MS));
    const count = Math.max(12, Math.floor(width / SLICE_PX));
    const slice = (end - start) / count;
    const values = [];
    let before = counterAt(this.points, start, chart);
    for (let i = 1; i <= count; i += 1) {
      const upto = counterAt(this.points, start + i * slice, chart);
      const gained = Math.max(0, upto - before);
      values.push(chart.per ? (gained * chart.per) / slice : gained);
      before = upto;
    }
    const top = Math.max(...values, chart.isBars ? 1 : 0) || 1;
    const x = (i) => ((i + 0.5) * width) / count;
    const y = (value) => height - 1.5 - (value / top) * (height - 5);
    Object.assign(chart, { values, x, y, start, slice, width, height });
    chart.picture.setAttribute("viewBox", `0 0 ${width} ${height}`);
    for (const [name, value] of [
      ["x1", 0],
      ["x2", width],
      ["y1", height - 0.5],
      ["y2", height - 0.5],
    ])
      chart.base.setAttribute(name, value);
    if (chart.isBars) this.bars(chart, count);
    else this.curve(chart);
    this.latest(chart);
  }

  curve(chart) {
    const { values, x, y, width, height } = chart;
    const points = values.map((value, i) => `${x(i).toFixed(1)},${y(value).toFixed(1)}`);
    const path = `M0,${y(values[0]).toFixed(1)}L${points.join("L")}L${width},${y(values.at(-1)).toFixed(1)}`;
    chart.line.setAttribute("d", path);
    chart.area.setAttribute("d", `${path}L${width},${height}L0,${height}Z`);
  }

  bars(chart, count) {
    const { values, x, y, height, width } = chart;
    const wide = Math.max(1.5, width / count - 1.5);
    const bar = (value, i) =>
      value > 0
        ? `M${(x(i) - wide / 2).toFixed(1)},${height}V${y(value).toFixed(1)}h${wide.toFixed(1)}V${height}Z`
        : "";
    chart.area.setAttribute("d", values.map(bar).join(""));
    chart.line.setAttribute("d", "");
  }

  latest(chart) {
    const { values } = chart;
    if (chart.isBars) {
      const sum = Math.round(values.reduce((all, value) => all + value, 0));
      setText(chart.value, chart.word(sum));
      setText(chart.hint, `last ${span(chart.slice * values.length).replace(/ 00.*/, "")}`);
      chart.picture.setAttribute("aria-label", `${sum} restarts`);
      return;
    }
    // The rate of the last minute: a single slice would jump with every answer.
    const many = Math.max(1, Math.round(60000 / chart.slice));
    const last = values.slice(-many);
    const rate = last.reduce((all, value) => all + value, 0) / last.length;
    setText(chart.value, chart.word(rate));
    setText(chart.hint, `peak ${chart.word(Math.max(...values))}`);
    chart.picture.setAttribute(
      "aria-label",
      `${chart.title}: ${chart.word(rate)} ${chart.unit}, peak ${chart.word(Math.max(...values))}`,
    );
  }

  point(chart, event) {
    if (!chart.values) return;
    const box = chart.picture.getBoundingClientRect();
    const i = Math.max(
      0,
      Math.min(
        chart.values.length - 1,
        Math.floor(((event.clientX - box.left) / box.width) * chart.values.length),
      ),
    );
    const value = chart.values[i];
    for (const [name, where] of [
      ["x1", chart.x(i)],
      ["x2", chart.x(i)],
      ["y1", 0],
      ["y2", chart.height],
    ])
      chart.cross.setAttribute(name, where);
    chart.dot.setAttribute("cx", chart.x(i));
    chart.dot.setAttribute("cy", chart.y(value));
    chart.cross.setAttribute("visibility", "visible");
    chart.dot.setAttribute("visibility", chart.isBars ? "hidden" : "visible");
    setText(
      chart.hint,
      `${minute(chart.start + (i + 0.5) * chart.slice)}  ${chart.word(chart.isBars ? Math.round(value) : value)}${chart.unit}`,
    );
    chart.figure.classList.add("pointed");
  }

  unpoint(chart) {
    chart.cross.setAttribute("visibility", "hidden");
    chart.dot.setAttribute("visibility", "hidden");
    chart.figure.classList.remove("pointed");
    if (chart.values) this.latest(chart);
  }
}

/// A counter at a moment, between the samples around it; what is counted one by one only by samples.
function counterAt(points, moment, { of, isBars }) {
  let low = 0;
  let high = points.length - 1;
  if (moment <= points[0].at) return of(points[0]);
  if (moment >= points[high].at) return of(points[high]);
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (points[middle].at <= moment) low = middle;
    else high = middle;
  }
  if (isBars) return of(points[low]);
  const share = (moment - points[low].at) / (points[high].at - points[low].at);
  return of(points[low]) + share * (of(points[high]) - of(points[low]));
}
