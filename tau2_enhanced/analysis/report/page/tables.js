// Tables that a click on a heading sorts.

const TEXT_KINDS = new Set(["text", "label", "outcome"]);
// Words of labels, and the colours that they share with events.
const LABEL_COLOURS = {
  model: "llm_call", agent: "llm_call", expert: "expert_call", "user simulator": "user_sim", user: "user_sim",
  judge: "evaluator", tools: "tool_call", framework: "other", idle: "idle", "retry wait": "wait",
  "unfinished call": "unfinished",
};

function sortKey(column, value) {
  if (!known(value)) return null;
  return column.kind === "range" ? value[1] : column.kind === "interval" ? value[0] : value;
}

// What is unknown comes last, in both directions.
function compareKeys(one, other, direction) {
  if (one === null || other === null) return (one === null) - (other === null);
  if (typeof one === "string" || typeof other === "string") return direction * COLLATOR.compare(one, other);
  return direction * (one - other);
}

// The head of a table; `sort(place, direction)` is called when a heading is chosen.
function sortableHead(columns, sort) {
  const cells = columns.map((column, place) => {
    const button = make("button", { type: "button" }, column.name);
    button.addEventListener("click", () => choose(place));
    return make("th", { scope: "col", class: alignment(column) }, button);
  });
  function choose(place) {
    const first = TEXT_KINDS.has(columns[place].kind) ? "ascending" : "descending";
    const second = first === "ascending" ? "descending" : "ascending";
    const chosen = cells[place].getAttribute("aria-sort") === first ? second : first;
    cells.forEach((cell) => cell.removeAttribute("aria-sort"));
    cells[place].setAttribute("aria-sort", chosen);
    sort(place, chosen === "ascending" ? 1 : -1);
  }
  return make("thead", {}, make("tr", {}, ...cells));
}

function alignment(column) {
  return TEXT_KINDS.has(column.kind) || column.kind === "range" || column.kind === "interval" ? undefined : "number";
}

function tableSection(table) {
  const paint = cellPainter(table);
  const body = make("tbody", {}, ...table.rows.map((row) => tableRow(row, paint)));
  const rows = [...body.rows];
  const order = table.rows.map((_, place) => place);
  const head = sortableHead(table.columns, (place, direction) => {
    const keys = table.rows.map((row) => sortKey(table.columns[place], row[place]));
    order.sort((one, other) => compareKeys(keys[one], keys[other], direction));
    body.append(...order.map((row) => rows[row]));
  });
  const element = make("table", { "aria-labelledby": `${table.id}-title` }, head, body);
  if (table.total) element.append(make("tfoot", {}, tableRow(table.total, paint)));
  const section = make("section", { id: table.id }, make("h2", { id: `${table.id}-title` }, table.title));
  section.append(make("div", { class: "wide", tabindex: "0", role: "group", "aria-label": table.title }, element));
  if (table.note) section.append(make("p", { class: "note" }, table.note));
  return section;
}

function tableRow(row, paint) {
  return make("tr", {}, ...row.map((value, place) => paint(value, place, row)));
}

// Paints a table's cells; numbers of a column stand with their points below each other.
function cellPainter(table) {
  const decimals = table.columns.map((column, place) =>
    column.kind === "number" ? Math.max(0, ...table.rows.map((row) => decimalsOf(numberText(row[place])))) : 0,
  );
  const span = rangeSpan(table);
  return (value, place, row) => {
    const kind = table.columns[place].kind;
    if (kind === "number") return numberCell(numberText(value), decimals[place]);
    if (kind === "count") return make("td", { class: "number" }, countText(value));
    if (kind === "usd") return make("td", { class: "number" }, usdText(value));
    if (kind === "share") return shareCell(value, labelColour(row[0]));
    if (kind === "interval") return intervalCell(value);
    if (kind === "range") return rangeCell(value, span, labelColour(row[0]));
    if (kind === "label") return labelCell(value);
    return textCell(value);
  };
}

function decimalsOf(text) {
  return text.includes(".") ? text.length - text.indexOf(".") - 1 : 0;
}

function numberCell(text, decimals) {
  const own = decimalsOf(text);
  const missing = decimals - own;
  const padding = missing > 0 && text !== UNKNOWN ? (own ? "" : ".") + "0".repeat(missing) : undefined;
  return make("td", { class: "number", "data-padding": padding }, text);
}

function textCell(value) {
  const text = known(value) ? String(value) : UNKNOWN;
  return make("td", { class: "text", title: text.length > 30 ? text : undefined }, text);
}

function labelColour(label) {
  const word = String(label).split(" ")[0];
  const name = LABEL_COLOURS[label] ?? (CALL_NAMES[word] ? word : null);
  return name && `var(--${name})`;
}

function labelCell(value) {
  return make("td", { class: "text" }, swatch(labelColour(value), value === "retry wait"), String(value ?? UNKNOWN));
}

function swatch(colour, hatched = false) {
  const mark = make("i", { class: hatched ? "swatch hatched" : "swatch" });
  if (colour && !hatched) mark.style.background = colour;
  if (!colour && !hatched) mark.style.visibility = "hidden";
  return mark;
}

function shareCell(value, colour) {
  const bar = make("i", { class: "bar" });
  bar.style.width = `${100 * Math.min(1, Math.max(0, value ?? 0))}%`;
  bar.style.background = colour ?? "var(--mark)";
  return make("td", { class: "number share" }, shareText(value), make("span", { class: "track" }, bar));
}

function intervalCell(value) {
  if (!value) return make("td", {}, UNKNOWN);
  const [share, low, high] = value;
  const line = make("i", { class: "line" });
  const dot = make("i", { class: "dot" });
  placed(line, low, high - low);
  placed(dot, share);
  const words = make("span", { class: "words" }, `${decimalText(100 * low, 1)} – ${decimalText(100 * high, 1)}`);
  return make("td", {}, make("span", { class: "scale" }, line, dot), words);
}

function placed(element, from, width) {
  element.style.left = `${100 * from}%`;
  if (width !== undefined) element.style.width = `${100 * Math.max(0, width)}%`;
}

// The logarithmic axis that all ranges of a table share.
function rangeSpan(table) {
  const place = table.columns.findIndex((column) => column.kind === "range");
  const values = place < 0 ? [] : table.rows.flatMap((row) => row[place] ?? []).filter((value) => value > 0);
  if (!values.length) return { low: 0, length: 1 };
  const low = Math.log10(Math.min(...values));
  return { low, length: Math.log10(Math.max(...values)) - low || 1 };
}

function rangeCell(value, span, colour) {
  if (!value) return make("td", {}, UNKNOWN);
  const [least, p50, p90, p99, most] = value.map((one) =>
    Math.min(1, Math.max(0, one > 0 ? (Math.log10(one) - span.low) / span.length : 0)),
  );
  const parts = ["line", "box", "tick", "tick"].map((name) => make("i", { class: name }));
  placed(parts[0], least, most - least);
  placed(parts[1], p50, p90 - p50);
  parts[1].style.background = colour ?? "var(--mark)";
  placed(parts[2], p50);
  placed(parts[3], p99);
  return make("td", {}, make("span", { class: "range" }, ...parts));
}

function showTables() {
  const left = new Map(DATA.tables.map((table) => [table.id, table]));
  for (const place of document.querySelectorAll(".tables")) {
    for (const id of place.dataset.tables.split(" ")) {
      if (left.has(id)) place.append(tableSection(left.get(id)));
      left.delete(id);
    }
  }
}
