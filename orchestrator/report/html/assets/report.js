// Draws the figures when they come into view, filters and pages the table of trials, opens a trial's part.
"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const dark = matchMedia("(prefers-color-scheme: dark)");
const drawn = new Map();

function theme(isDark) {
  const ink = isDark ? "#d5dae2" : "#333a45", rule = isDark ? "#3a424e" : "#dde1e7", faint = isDark ? "#8d96a3" : "#6b7480";
  const font = getComputedStyle(document.body).fontFamily;
  const axis = {
    axisLine: {show: true, lineStyle: {color: faint}}, axisTick: {lineStyle: {color: faint}},
    axisLabel: {color: ink, fontSize: 12}, splitLine: {lineStyle: {color: rule}}, nameTextStyle: {color: ink, fontSize: 12},
    minorTick: {show: false},
  };
  return {
    backgroundColor: "transparent", textStyle: {color: ink, fontFamily: font},
    color: ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"],
    valueAxis: axis, logAxis: axis, categoryAxis: {...axis, splitLine: {show: false}}, parallelAxis: axis,
    legend: {textStyle: {color: ink}, pageTextStyle: {color: ink}, pageIconColor: ink, inactiveColor: rule},
    tooltip: {backgroundColor: isDark ? "#2a313c" : "#fff", borderColor: faint, textStyle: {color: ink}},
  };
}

function draw(element, option) {
  const width = printing ? Math.min(element.clientWidth, PAPER) : undefined;
  const chart = echarts.init(element, theme(dark.matches && !printing), {renderer: "svg", width});
  chart.setOption(option);
  drawn.set(element, chart);
  return chart;
}

function drawFigure(element) {
  if (drawn.has(element)) return;
  const chart = draw(element, data.charts[element.dataset.chart].option);
  if (element.dataset.chart === "parallel") {
    chart.on("axisareaselected", () => {
      const series = chart.getModel().getSeriesByIndex(0), values = series.getData();
      const places = series.getRawIndicesByActiveState("active");
      const all = places.length === 0 || places.length === values.count();
      brushed = all ? null : new Set(places.map(place => values.getName(values.indexOfRawIndex(place))));
      filter();
    });
  }
  chart.on("click", event => event.name in data.curves && openTrial(event.name));
}

function redraw() {
  for (const [element, chart] of [...drawn]) {
    const option = chart.getOption();
    chart.dispose();
    drawn.delete(element);
    if (element.isConnected) draw(element, option);
  }
}

let printing = false;
const PAPER = 680;
const figures = [...document.querySelectorAll("[data-chart]")];
const seen = new IntersectionObserver(entries => {
  for (const entry of entries) if (entry.isIntersecting) drawFigure(entry.target);
}, {rootMargin: "300px"});
figures.forEach(figure => seen.observe(figure));
dark.addEventListener("change", redraw);
addEventListener("resize", () => drawn.forEach(chart => chart.resize()));
addEventListener("beforeprint", () => {
  printing = true;
  redraw();
  figures.forEach(drawFigure);
});
addEventListener("afterprint", () => { printing = false; redraw(); });

for (const button of document.querySelectorAll("[data-switch]")) {
  button.addEventListener("click", () => {
    const figure = button.closest("figure"), element = figure.querySelector("[data-chart]");
    drawFigure(element);
    drawn.get(element).setOption(data.charts[element.dataset.chart].switches[button.dataset.switch]);
    for (const other of figure.querySelectorAll("[data-switch]")) other.setAttribute("aria-pressed", other === button);
  });
}

// The table of trials
const table = document.getElementById("table"), PAGE = 200;
let brushed = null, many = PAGE;

function filter() {
  const words = document.getElementById("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  const names = [...table.tHead.rows[0].cells].map(cell => cell.textContent.toLowerCase());
  let found = 0;
  for (const row of table.tBodies[0].rows) {
    const fits = words.every(word => {
      const [name, value] = word.split("="), place = value === undefined ? -1 : names.indexOf(name);
      return place < 0 ? row.textContent.toLowerCase().includes(word) : row.cells[place].textContent.toLowerCase() === value;
    }) && (!brushed || brushed.has(row.cells[0].textContent.trim()));
    row.classList.toggle("off", !fits);
    row.classList.toggle("later", fits && ++found > many);
  }
  const all = table.tBodies[0].rows.length;
  document.getElementById("shown").textContent = (found === all ? "" : `${found} of `) + `${all} trial${all === 1 ? "" : "s"}`;
  document.getElementById("pages").hidden = found <= many;
  document.getElementById("more").textContent = `Show ${Math.min(PAGE, found - many)} more`;
  document.getElementById("clear").hidden = found === all;
}

if (table) {
  Tablesort.extend("number", () => false, (a, b) => {
    const [x, y] = [parseFloat(a), parseFloat(b)].map(value => isNaN(value) ? -Infinity : value);
    return x === y ? 0 : y - x;
  });
  new Tablesort(table, {descending: true});
  table.addEventListener("afterSort", filter);
  document.getElementById("filter").addEventListener("input", filter);
  document.getElementById("more").addEventListener("click", () => { many += PAGE; filter(); });
  document.getElementById("clear").addEventListener("click", () => {
    document.getElementById("filter").value = "";
    brushed = null;
    const figure = document.querySelector('[data-chart="parallel"]');
    if (figure && drawn.has(figure)) { drawn.get(figure).dispose(); drawn.delete(figure); drawFigure(figure); }
    filter();
  });
  filter();
}

// A trial's own part: its row, turned, and its curves
let opened = null;

function openTrial(name) {
  const row = document.getElementById(`trial-${name}`), dialog = document.getElementById("trial");
  if (!row || !data.curves[name]) return;
  document.getElementById("trial-title").textContent = `Trial ${name}`;
  const facts = dialog.querySelector("dl"), heads = table.tHead.rows[0].cells;
  facts.replaceChildren();
  [...row.cells].slice(1).forEach((cell, place) => {
    if (!cell.textContent) return;
    const dt = document.createElement("dt"), dd = document.createElement("dd");
    dt.textContent = heads[place + 1].textContent;
    dd.textContent = cell.textContent;
    facts.append(dt, dd);
  });
  opened = row.id;
  if (!dialog.open) dialog.showModal();
  const element = dialog.querySelector(".chart"), {epochs, metrics} = data.curves[name];
  if (drawn.has(element)) drawn.get(element).dispose();
  element.hidden = epochs.length === 0;
  if (element.hidden) return;
  const names = Object.keys(metrics).filter(each => each !== "learning_rate"), isLoss = each => /loss|error|mae|mse/.test(each);
  element.setAttribute("aria-label", `Curves of trial ${name}: ${names.join(", ")}`);
  draw(element, {
    animation: false, tooltip: {trigger: "axis", renderMode: "richText", confine: true}, legend: {type: "scroll", top: 0},
    grid: {left: 12, right: 12, bottom: 30, top: 40, containLabel: true},
    xAxis: {type: "value", name: "epoch", nameLocation: "middle", nameGap: 26, min: "dataMin", max: "dataMax"},
    yAxis: [{type: "value", scale: true}, {type: "value", scale: true, splitLine: {show: false}}],
    series: names.map(each => ({
      type: "line", name: each, yAxisIndex: isLoss(each) ? 1 : 0, showSymbol: epochs.length < 30, symbolSize: 5,
      lineStyle: {type: each.startsWith("val_") ? "solid" : "dashed"}, data: metrics[each].map((value, i) => [epochs[i], value]),
    })),
  });
}

function fromAddress() {
  const match = /^#trial-(.+)$/.exec(decodeURIComponent(location.hash));
  if (match) openTrial(match[1]);
}
addEventListener("hashchange", fromAddress);
document.getElementById("trial").addEventListener("close", () => {
  history.replaceState(null, "", "#trials");
  document.getElementById(opened)?.querySelector("a").focus({preventScroll: true});
});
fromAddress();
