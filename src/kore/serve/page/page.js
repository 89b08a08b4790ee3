// The page of the service. Whatever comes from a text is set as text, never as HTML.

const WORDS = {
  ko: {
    about: "한국어 문장에서 개체와 관계를 찾습니다.",
    text: "문장 또는 글",
    read: "관계 추출",
    hint: "Ctrl + Enter로도 실행됩니다.",
    examples: "예문:",
    entities: "개체",
    triples: "관계",
    threshold: "최소 확률",
    subject: "주체",
    relation: "관계",
    object: "대상",
    probability: "확률",
    emotions: "감정",
    graph: "그래프",
    drag: "점을 끌어 옮기거나, 점을 고른 뒤 화살표 키로 옮길 수 있습니다.",
    reading: "읽는 중…",
    empty: "글을 입력하세요.",
    none: "찾은 개체가 없습니다.",
    unreachable: "서비스가 응답하지 않습니다.",
    other: "English",
    count: (shown, all) => `${all}개 가운데 ${shown}개`,
    done: (entities, triples) => `개체 ${entities}개, 관계 ${triples}개를 찾았습니다.`,
    most: (shown) => `그래프에는 확률이 높은 ${shown}개만 그립니다.`,
  },
  en: {
    about: "Finds entities and relations in Korean text.",
    text: "Sentence or text",
    read: "Extract",
    hint: "Ctrl + Enter works too.",
    examples: "Examples:",
    entities: "Entities",
    triples: "Triples",
    threshold: "Least probability",
    subject: "Subject",
    relation: "Relation",
    object: "Object",
    probability: "Probability",
    emotions: "Emotions",
    graph: "Graph",
    drag: "Drag a node, or focus it and press an arrow key.",
    reading: "Reading…",
    empty: "Enter a text.",
    none: "No entity was found.",
    unreachable: "The service does not answer.",
    other: "한국어",
    count: (shown, all) => `${shown} of ${all}`,
    done: (entities, triples) => `${entities} entities and ${triples} triples found.`,
    most: (shown) => `The graph shows the ${shown} most probable ones.`,
  },
};
const EXAMPLES = [
  "이순신은 1545년 서울에서 태어났다.",
  "세종대왕은 조선의 제4대 국왕으로, 아버지는 태종이고 어머니는 원경왕후이다.",
  "비틀즈의 멤버 조지 해리슨은 1943년 영국 리버풀에서 태어났다.\n" +
    "네이버는 1999년 이해진이 설립한 대한민국의 기업으로 본사는 성남시에 있다.",
];
const SVG = "http://www.w3.org/2000/svg";
const MOST_EDGES = 60;
const MOST_LABELS = 12;
const MARGIN = { x: 55, y: 32 };

const $ = (id) => document.getElementById(id);
const state = { language: "ko", types: [], sentences: [], labels: [], hasEmotions: false, text: "", fault: "", places: new Map() };

const say = (key, ...values) => {
  const words = WORDS[state.language][key];
  return typeof words === "function" ? words(...values) : words;
};

function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  Object.assign(made, properties);
  made.append(...children);
  return made;
}

function drawn(name, attributes = {}, text = "") {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text) made.textContent = text;
  return made;
}

function colour(target, type) {
  const number = Math.max(0, state.types.indexOf(type)) % 8;
  target.style.setProperty("--type", `var(--t${number})`);
  return target;
}

const allTriples = () => state.sentences.flatMap((sentence) => sentence.triples);
const shownTriples = () =>
  allTriples()
    .filter((triple) => triple.probability >= Number($("threshold").value))
    .sort((one, other) => other.probability - one.probability);

// Texts. Offsets of the service count characters (code points), those of JavaScript UTF-16 units.

function showEntities() {
  const characters = Array.from(state.text);
  const pieces = [];
  let reached = 0;
  const entities = state.sentences.flatMap((sentence) => sentence.entities);
  for (const entity of entities) {
    pieces.push(characters.slice(reached, entity.start).join(""));
    const mark = element("mark", { title: `${entity.type} ${entity.score.toFixed(2)}` });
    mark.append(
      characters.slice(entity.start, entity.end).join(""),
      element("small", { textContent: entity.type }),
    );
    pieces.push(colour(mark, entity.type));
    reached = entity.end;
  }
  pieces.push(characters.slice(reached).join(""));
  $("marked").replaceChildren(...pieces);
  const types = [...new Set(entities.map((entity) => entity.type))].sort();
  $("legend").replaceChildren(
    ...types.map((type) =>
      element("li", {}, colour(element("mark", { textContent: type }), type))),
  );
}

function showEmotions() {
  $("emotion-section").hidden = state.labels.length === 0;
  const sorted = [...state.labels].sort((one, other) => other.probability - one.probability);
  $("emotions").replaceChildren(
    ...sorted.slice(0, MOST_LABELS).map((one) => {
      const meter = element("meter", { min: 0, max: 1, value: one.probability });
      meter.setAttribute("aria-hidden", "true");
      return element("li", { className: one.is_true ? "true" : "" },
        meter, `${one.label} ${one.probability.toFixed(2)}`);
    }),
  );
}

function showTriples() {
  const triples = shownTriples();
  $("least").textContent = Number($("threshold").value).toFixed(2);
  $("count").textContent = say("count", triples.length, allTriples().length);
  $("rows").replaceChildren(
    ...triples.map((triple) => {
      const meter = element("meter", { min: 0, max: 1, value: triple.probability });
      meter.setAttribute("aria-hidden", "true");
      return element("tr", {},
        element("td", {}, colour(element("mark", { textContent: triple.subject.word }), triple.subject.type)),
        element("td", {}, element("code", { textContent: triple.relation })),
        element("td", {}, colour(element("mark", { textContent: triple.object.word }), triple.object.type)),
        element("td", { className: "number" }, triple.probability.toFixed(2), " ", meter));
    }),
  );
  showGraph(triples.slice(0, MOST_EDGES));
  const isCut = triples.length > MOST_EDGES;
  document.querySelector("[data-say=drag]").textContent =
    isCut ? `${say("drag")} ${say("most", MOST_EDGES)}` : say("drag");
}

// The graph: a node for each surface and type, an edge for each fact.

function graphOf(triples) {
  const nodes = new Map();
  const node = ({ word, type }) => {
    const key = JSON.stringify([word, type]);
    if (!nodes.has(key)) nodes.set(key, { key, word, type });
    return nodes.get(key);
  };
  const edges = new Map();
  for (const triple of triples) {
    const [from, to] = [node(triple.subject), node(triple.object)];
    const key = JSON.stringify([from.key, to.key]);
    if (!edges.has(key)) edges.set(key, { from, to, names: new Set() });
    edges.get(key).names.add(triple.relation);
  }
  return { nodes: [...nodes.values()], edges: [...edges.values()] };
}

// Springs along edges, repulsion between nodes (Fruchterman and Reingold 1991), from a circle;
// distances are in units of an edge.
function layOut({ nodes, edges }) {
  nodes.forEach((node, number) => {
    const angle = (2 * Math.PI * number) / nodes.length;
    [node.x, node.y] = [2 * Math.cos(angle), 2 * Math.sin(angle)];
  });
  const push = (one, other, strength) => {
    const [x, y] = [one.x - other.x, one.y - other.y];
    const distance = Math.max(0.01, Math.hypot(x, y));
    const force = strength(distance) / distance;
    one.dx += x * force; one.dy += y * force;
    other.dx -= x * force; other.dy -= y * force;
  };
  for (let heat = 0.3; heat > 0.002; heat *= 0.98) {
    // A pull to the middle keeps parts that no edge joins in the picture.
    for (const node of nodes) [node.dx, node.dy] = [-node.x * 0.4, -node.y * 0.4];
    nodes.forEach((one, number) => {
      // No further than three edges: parts that no edge joins need not flee each other.
      const apart = (distance) => (distance < 3 ? 1 / distance : 0);
      for (const other of nodes.slice(number + 1)) push(one, other, apart);
    });
    for (const { from, to } of edges) {
      if (from !== to) push(from, to, (distance) => -(distance ** 2));
    }
    for (const node of nodes) {
      const length = Math.hypot(node.dx, node.dy) || 1;
      const step = Math.min(length, heat) / length;
      node.x += node.dx * step;
      node.y += node.dy * step;
    }
  }
}

// Stretches a layout over the picture.
function fit(nodes) {
  for (const [axis, margin, size] of [["x", MARGIN.x, state.width], ["y", MARGIN.y, state.height]]) {
    const values = nodes.map((node) => node[axis]);
    const least = Math.min(...values);
    const range = Math.max(...values) - least;
    for (const node of nodes) {
      const share = range > 0.01 ? (node[axis] - least) / range : 0.5;
      node[axis] = margin + share * (size - 2 * margin);
    }
  }
}

function moveTo(node, x, y) {
  node.x = Math.min(state.width - MARGIN.x, Math.max(MARGIN.x, x));
  node.y = Math.min(state.height - MARGIN.y, Math.max(MARGIN.y, y));
}

function showGraph(triples) {
  const graph = graphOf(triples);
  state.width = Math.max(300, $("graph").clientWidth);
  state.height = Math.max(360, Math.round(state.width * 0.55));
  $("graph").setAttribute("viewBox", `0 0 ${state.width} ${state.height}`);
  layOut(graph);
  fit(graph.nodes);
  for (const node of graph.nodes) {  // a node that was dragged stays where it is
    const place = state.places.get(node.key);
    if (place) moveTo(node, ...place);
  }
  const defs = drawn("defs");
  const arrow = drawn("marker", {
    id: "arrow", viewBox: "0 0 10 10", refX: 10, refY: 5, markerWidth: 7, markerHeight: 7,
    orient: "auto-start-reverse",
  });
  arrow.append(drawn("path", { d: "M0 0 10 5 0 10z", class: "head" }));
  defs.append(arrow);
  for (const edge of graph.edges) {
    edge.line = drawn("path", { class: "edge", "marker-end": "url(#arrow)" });
    edge.label = drawn("text", { class: "edge-name" }, [...edge.names].join(", "));
  }
  for (const node of graph.nodes) {
    node.group = drawn("g", { class: "node", tabindex: 0, role: "img" });
    node.group.setAttribute("aria-label", `${node.word} ${node.type}`);
    node.group.append(
      drawn("circle", { r: 12 }), drawn("text", { class: "name", y: 28 }, node.word));
    colour(node.group, node.type);
    makeMovable(node, graph);
  }
  $("graph").replaceChildren(
    defs,
    ...graph.edges.map((edge) => edge.line),
    ...graph.edges.map((edge) => edge.label),
    ...graph.nodes.map((node) => node.group),
  );
  redraw(graph);
}

function redraw({ nodes, edges }) {
  for (const { from, to, line, label } of edges) {
    const [x, y] = [to.x - from.x, to.y - from.y];
    const length = Math.hypot(x, y) || 1;
    // Bent to the left of its direction, so that the edges of both directions are apart.
    const [midX, midY] = [(from.x + to.x) / 2 + y * 0.12, (from.y + to.y) / 2 - x * 0.12];
    const [endX, endY] = [to.x - (x / length) * 14, to.y - (y / length) * 14];
    line.setAttribute("d", `M${from.x} ${from.y}Q${midX} ${midY} ${endX} ${endY}`);
    label.setAttribute("x", (from.x + to.x) / 4 + midX / 2);
    label.setAttribute("y", (from.y + to.y) / 4 + midY / 2);
  }
  for (const { x, y, group } of nodes) group.setAttribute("transform", `translate(${x} ${y})`);
}

function makeMovable(node, graph) {
  const move = (x, y) => {
    moveTo(node, x, y);
    state.places.set(node.key, [node.x, node.y]);
    redraw(graph);
  };
  node.group.addEventListener("pointerdown", (event) => {
    node.group.setPointerCapture(event.pointerId);
  });
  node.group.addEventListener("pointermove", (event) => {
    if (!node.group.hasPointerCapture(event.pointerId)) return;
    const place = new DOMPoint(event.clientX, event.clientY)
      .matrixTransform($("graph").getScreenCTM().inverse());
    move(place.x, place.y);
  });
  const steps = { ArrowLeft: [-10, 0], ArrowRight: [10, 0], ArrowUp: [0, -10], ArrowDown: [0, 10] };
  node.group.addEventListener("keydown", (event) => {
    if (!(event.key in steps)) return;
    event.preventDefault();
    const [x, y] = steps[event.key];
    move(node.x + x, node.y + y);
  });
}

// Asking.

async function ask(path, body) {
  const settings = body && {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  };
  let answer;
  try {
    answer = await fetch(path, settings);
  } catch {
    throw new Error(say("unreachable"));
  }
  const content = await answer.json().catch(() => ({ detail: answer.statusText }));
  if (!answer.ok) throw new Error(content.detail);
  return content;
}

async function read() {
  if ($("read").disabled) return;  // one answer at a time
  const text = $("text").value;
  if (!text.trim()) {
    showStatus(say("empty"), true);
    return;
  }
  $("read").disabled = true;
  showStatus(say("reading"));
  try {
    const { sentences } = await ask("/extract", { text, min_probability: 0 });
    Object.assign(state, { sentences, text, labels: [], places: new Map() });
    $("results").hidden = false;
    showAll();
    if (state.hasEmotions) {
      state.labels = (await ask("/emotion", { text })).labels;
      showEmotions();
    }
  } catch (error) {
    showStatus(error.message, true);
  } finally {
    $("read").disabled = false;
  }
}

function showStatus(message, isFault = false) {
  $("status").textContent = message;
  $("status").classList.toggle("fault", isFault);
}

function showAll() {
  showEntities();
  showEmotions();
  showTriples();
  const entities = state.sentences.flatMap((sentence) => sentence.entities).length;
  showStatus(entities ? say("done", entities, allTriples().length) : say("none"));
}

function speak(language) {
  state.language = language;
  document.documentElement.lang = language;
  for (const target of document.querySelectorAll("[data-say]")) {
    target.textContent = say(target.dataset.say);
  }
  $("language").textContent = say("other");
  $("language").lang = language === "ko" ? "en" : "ko";
  if (!$("results").hidden) showAll();
}

async function begin() {
  speak(navigator.language.startsWith("ko") ? "ko" : "en");
  $("language").addEventListener("click", () => speak(state.language === "ko" ? "en" : "ko"));
  $("examples").append(...EXAMPLES.map((text) => {
    const button = element("button", { type: "button", textContent: `${text.split(" ")[0]} …`, lang: "ko", title: text });
    button.addEventListener("click", () => {
      $("text").value = text;
      read();
    });
    return button;
  }));
  $("form").addEventListener("submit", (event) => {
    event.preventDefault();
    read();
  });
  $("text").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) read();
  });
  $("threshold").addEventListener("input", showTriples);
  try {
    const health = await ask("/health");
    state.types = health.entity_types;
    state.hasEmotions = health.emotions.length > 0;
    $("threshold").value = health.min_probability;
  } catch (error) {
    showStatus(error.message, true);
  }
}

begin();
