// The program of the page. Its data, written by Python, are the tokens, and for each kept layer the attention weights
// in 8 bits, laid out as HF's `attentions` (global keys, then the window) and `global_attentions` (global queries).
const MOST_CELLS = 512; // along a side of the map: more would be smaller than a pixel
const STRONGEST = 10; // rows of the table

const find = (id) => document.getElementById(id);
const data = JSON.parse(find("data").textContent);
const length = data.tokens.length;
const everything = Array.from({ length }, (_, position) => position);
const globalAt = new Int32Array(length).fill(-1); // the number of a global token, by its position
data.globals.forEach((position, number) => (globalAt[position] = number));

// What is shown: the numbers of layer and head among those kept (head 0 is the mean), the direction, the chosen token,
// and the other one of a pair, or null.
const state = { layer: data.layers.length - 1, head: 0, byQueries: false, token: 0, other: null };

// --- weights ---------------------------------------------------------------------------------------------------------

function bytes(base64) {
  const text = atob(base64);
  const found = new Uint8Array(text.length);
  for (let i = 0; i < found.length; i++) found[i] = text.charCodeAt(i);
  return found;
}

const decoded = []; // layers that were looked at

function layerNow() {
  const { local, global, ...about } = data.layers[state.layer];
  return (decoded[state.layer] ??= {
    ...about,
    local: { values: bytes(local.values), steps: new Float32Array(bytes(local.steps).buffer) },
    global: { values: bytes(global.values), steps: new Float32Array(bytes(global.steps).buffer) },
  });
}

// How much a query attends to a key within its reach, 0 to 1.
function weight(layer, query, key) {
  const globals = data.globals.length;
  if (globalAt[query] >= 0) {
    const row = state.head * globals + globalAt[query];
    return layer.global.values[row * length + key] * layer.global.steps[row];
  }
  const row = state.head * length + query;
  const column = globalAt[key] >= 0 ? globalAt[key] : globals + layer.reach + key - query;
  return layer.local.values[row * (globals + 2 * layer.reach + 1) + column] * layer.local.steps[row];
}

const isNear = (layer, one, other) => Math.abs(one - other) <= layer.reach;
const isSeen = (layer, query, key) => isNear(layer, query, key) || globalAt[query] >= 0 || globalAt[key] >= 0;

// The tokens that a token attends to, which are those that attend to it, in order.
function partners(layer, token) {
  if (globalAt[token] >= 0) return everything;
  const start = Math.max(0, token - layer.reach);
  const end = Math.min(length, token + layer.reach + 1);
  const globals = data.globals.filter((position) => !isNear(layer, token, position));
  return [...globals.filter((at) => at < start), ...everything.slice(start, end), ...globals.filter((at) => at >= end)];
}

const pairOf = (token, other) => (state.byQueries ? [other, token] : [token, other]); // query, key

// --- words -----------------------------------------------------------------------------------------------------------

const percent = (share) => `${(100 * share).toFixed(2)} %`;
const named = (position) => `${position} “${data.tokens[position][2]}”`;
const headName = (head) => (head ? `head ${data.heads[head - 1]}` : `mean of ${data.allHeads} heads`);

function element(kind, text) {
  const made = document.createElement(kind);
  made.textContent = text;
  return made;
}

function tableRow(cells) {
  const row = document.createElement("tr");
  row.append(...cells.map((cell) => (cell instanceof Node ? cell : element("td", cell))));
  return row;
}

// --- the text --------------------------------------------------------------------------------------------------------

const special = new Set(data.special);
find("text").replaceChildren(); // the word that it needs JavaScript
const spans = data.tokens.map(([before, shown], position) => {
  const span = element("span", shown);
  span.className = "token";
  span.dataset.position = position;
  span.classList.toggle("special", special.has(position));
  span.classList.toggle("blank", !shown.trim());
  span.classList.toggle("global", globalAt[position] >= 0);
  find("text").append(before, span);
  return span;
});
let shaded = []; // positions

// Shade what belongs to a token, and list the strongest; it may be one that is pointed at, and not chosen.
function show(token) {
  const layer = layerNow();
  const other = token === state.token ? state.other : null;
  for (const position of shaded) {
    spans[position].classList.remove("near", "first", "last", "chosen", "other");
    spans[position].style.removeProperty("--weight");
  }
  shaded = partners(layer, token);
  const weights = shaded.map((position) => weight(layer, ...pairOf(token, position)));
  const largest = weights.reduce((one, other) => Math.max(one, other), 0);
  shaded.forEach((position, number) => {
    spans[position].classList.add("near");
    if (weights[number]) spans[position].style.setProperty("--weight", Math.sqrt(weights[number] / largest));
  });
  if (globalAt[token] < 0) {
    spans[Math.max(0, token - layer.reach)].classList.add("first");
    spans[Math.min(length - 1, token + layer.reach)].classList.add("last");
  }
  spans[token].classList.add("chosen");
  find("largest").textContent = percent(largest);
  list(layer, token, weights);
  if (other !== null && other !== token) {
    spans[other].classList.add("other");
    shaded.push(other);
  }
  cross(token, other);
}

function list(layer, token, weights) {
  const order = weights.map((_, number) => number).sort((one, other) => weights[other] - weights[one] || one - other);
  const rows = order.slice(0, STRONGEST).map((number) => {
    const position = shaded[number];
    const away = position - token;
    const distance = isNear(layer, token, position) ? `${away > 0 ? "+" : ""}${away}` : "global";
    return tableRow([data.tokens[position][2], `${position}`, distance, percent(weights[number])]);
  });
  const what = state.byQueries ? "Queries that attend most to" : "Strongest keys of";
  find("strongest").caption.textContent = `${what} ${named(token)}: layer ${layer.number}, ${headName(state.head)}`;
  find("strongest").tBodies[0].replaceChildren(...rows);
}

const positionOf = (event) => Number(event.target.closest?.("#text .token")?.dataset.position ?? NaN);

find("text").addEventListener("pointerover", (event) => {
  const position = positionOf(event);
  if (position >= 0 && event.pointerType !== "touch") show(position);
});
find("text").addEventListener("pointerleave", () => show(state.token));
find("text").addEventListener("click", (event) => {
  const position = positionOf(event);
  if (position >= 0) choose({ token: position, other: null });
});
find("text").addEventListener("keydown", (event) => {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!step) return;
  event.preventDefault();
  choose({ token: within(state.token + step), other: null });
});

// --- the map ---------------------------------------------------------------------------------------------------------

const map = find("map");
const cells = Math.min(length, MOST_CELLS);
const cellOf = (position) => Math.floor((position * cells) / length);
map.width = map.height = cells;

// Each cell has the largest weight in it, square root scale; what is in reach is tinted, at least.
function drawMap() {
  const layer = layerNow();
  const largest = new Float32Array(cells * cells).fill(-1);
  for (let query = 0; query < length; query++) {
    const row = cellOf(query) * cells;
    for (const key of partners(layer, query)) {
      const cell = row + cellOf(key);
      largest[cell] = Math.max(largest[cell], weight(layer, query, key));
    }
  }
  const most = largest.reduce((one, other) => Math.max(one, other), 0) || 1;
  const [red, green, blue] = getComputedStyle(document.documentElement).getPropertyValue("--shade").trim().split(" ");
  const image = new ImageData(cells, cells);
  largest.forEach((value, cell) => {
    if (value >= 0) image.data.set([red, green, blue, 56 + 199 * Math.sqrt(value / most)], 4 * cell);
  });
  map.getContext("2d").putImageData(image, 0, 0);
  const name = `Map of ${length} queries by ${length} keys, layer ${layer.number}; arrow keys move the place`;
  map.setAttribute("aria-label", name);
}

const sized = (position) => [`${(100 * position) / length}%`, `${100 / length}%`];

// Lines at the row of a query and the column of a key, as wide as a token; without another token there is one line.
function cross(token, other) {
  const [query, key] = pairOf(token, other);
  const [top, height] = sized(query ?? 0);
  const [left, width] = sized(key ?? 0);
  Object.assign(find("query-line").style, { top, height });
  Object.assign(find("key-line").style, { left, width });
  find("query-line").hidden = query === null;
  find("key-line").hidden = key === null;
}

// Marks at the edges, where the rows and columns of global tokens are.
for (const position of data.globals) {
  const [start, size] = sized(position);
  for (const style of [{ top: start, height: size }, { left: start, width: size }]) {
    const mark = element("div", "");
    mark.className = "top" in style ? "row mark" : "column mark";
    Object.assign(mark.style, style);
    map.parentElement.append(mark);
  }
}

const choosePlace = (query, key) =>
  choose(state.byQueries ? { token: key, other: query } : { token: query, other: key });

map.addEventListener("click", (event) => {
  const box = map.getBoundingClientRect();
  const query = within(Math.floor(((event.clientY - box.top) / box.height) * length));
  choosePlace(query, within(Math.floor(((event.clientX - box.left) / box.width) * length)));
});
map.addEventListener("keydown", (event) => {
  const [down, right] = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key] ?? [];
  if (down === undefined) return;
  event.preventDefault();
  const [query, key] = pairOf(state.token, state.other ?? state.token);
  choosePlace(within(query + down), within(key + right));
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawMap);

// --- choosing --------------------------------------------------------------------------------------------------------

const within = (position) => Math.min(length - 1, Math.max(0, position));

// Change what is shown, and say it everywhere.
function choose(change) {
  Object.assign(state, change);
  const layer = layerNow();
  if ("layer" in change || "head" in change) drawMap();
  show(state.token);
  reveal(spans[state.token]);
  tell("token", state.token, named(state.token));
  tell("layer", state.layer, `${layer.number} (window ${layer.window})`);
  tell("head", state.head, headName(state.head));
  let said = "";
  if (state.other !== null) {
    const [query, key] = pairOf(state.token, state.other);
    const attends = isSeen(layer, query, key) ? `: ${percent(weight(layer, query, key))}` : ": out of reach";
    said = `${named(query)} → ${named(key)}${attends}`;
  }
  find("pair").textContent = said;
  const rows = [...find("strongest").tBodies[0].rows].slice(0, 3);
  const strongest = rows.map((row) => [...row.cells].map((cell) => cell.textContent).join(" ")).join("; ");
  find("said").textContent = said || `${find("strongest").caption.textContent}: ${strongest}`;
}

// Scroll the text, and only the text, to a token.
function reveal(span) {
  const box = find("text");
  const below = span.offsetTop - box.scrollTop;
  if (below < 0 || below + span.offsetHeight > box.clientHeight) box.scrollTop += below - box.clientHeight / 3;
}

function tell(name, value, words) {
  find(name).value = value;
  find(name).setAttribute("aria-valuetext", words);
  find(`${name}-name`).textContent = words;
}

const ends = { token: length - 1, layer: data.layers.length - 1, head: data.heads.length };
for (const [name, end] of Object.entries(ends)) {
  find(name).max = end;
  const others = name === "token" ? { other: null } : {};
  find(name).addEventListener("input", (event) => choose({ [name]: Number(event.target.value), ...others }));
}
for (const radio of document.querySelectorAll("input[name=direction]")) {
  radio.addEventListener("change", () => choose({ byQueries: radio.value === "queries", other: null }));
}

for (const { position, words } of data.predictions) {
  const button = element("button", `${position}`);
  button.addEventListener("click", () => choose({ token: position, other: null }));
  const cell = document.createElement("td");
  cell.append(button);
  const said = words.map(([word, probability]) => `${word.trim() || JSON.stringify(word)} ${percent(probability)}`);
  find("predictions").tBodies[0].append(tableRow([cell, said.join(", ")]));
}
find("predictions").hidden = !data.predictions.length;

choose({ ...state, token: data.predictions[0]?.position ?? within(1) });
