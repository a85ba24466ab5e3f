"use strict";
const $ = (id) => document.getElementById(id);
const make = (tag, text, parent) => {
  const node = document.createElement(tag);
  node.textContent = text;
  parent.append(node);
  return node;
};

// The order depends only on the test and the listener's name (FNV-1a, then mulberry32), so it is reproducible.
function seedOf(text) {
  let hash = 2166136261;
  for (const char of text) hash = Math.imul(hash ^ char.codePointAt(0), 16777619);
  return hash >>> 0;
}
function generator(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
function shuffled(items, random) {
  const out = [...items];
  for (let i = out.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [out[i], out[j]] = [out[j], out[i]];
  }
  return out;
}

// Questions in random order, one after the other; then ABX trials, each with X drawn at random.
function plan(random) {
  const ratings = shuffled(Object.keys(TEST.questions), random).flatMap((name) =>
    shuffled(TEST.trials.filter((trial) => trial.question === name), random).map((trial) => ({
      ...trial, stimuli: shuffled(trial.stimuli, random),
    })));
  const abx = shuffled(TEST.trials.filter((trial) => trial.kind === "abx"), random).map((trial) => {
    const [a, b] = shuffled([trial.a, trial.b], random);
    return { ...trial, a, b, x: random() < 0.5 ? "a" : "b" };
  });
  return [...ratings, ...abx];
}

let player = null;  // the sound that plays now
let trials = [], place = 0, heard = new Set(), answer = null, began = 0;
let result = null;

function play(file, button) {
  const at = player ? player.currentTime : 0;
  if (player) player.pause();
  document.querySelectorAll("button.now").forEach((other) => other.classList.remove("now"));
  if (player && player.button === button) {  // a second click stops it
    player = null;
    return;
  }
  player = new Audio(file);
  player.button = button;
  player.loop = true;
  player.currentTime = at;
  player.play().catch(() => {});
  button.classList.add("now");
}
function silence() {
  if (player) player.pause();
  player = null;
}
function soundButton(label, file, parent) {
  const button = make("button", label, parent);
  button.type = "button";
  button.onclick = () => {
    play(file, button);
    heard.add(button);
    ready();
  };
  return button;
}

function show() {
  const trial = trials[place];
  silence();
  heard = new Set();
  answer = null;
  began = Date.now();
  $("progress").textContent = `${place + 1} of ${trials.length}`;
  $("references").replaceChildren();
  $("stimuli").replaceChildren();
  (trial.kind === "abx" ? showAbx : showRating)(trial);
  ready();
}
function showRating(trial) {
  $("ask").textContent = trial.text;
  trial.references.forEach((file, i) =>
    soundButton(trial.references.length > 1 ? `Example ${i + 1}` : "Reference", file, $("references")));
  answer = trial.stimuli.map(() => null);
  const ends = make("div", "", $("stimuli"));
  ends.className = "ends";
  make("div", "", ends);
  const labels = make("span", "", ends);
  make("b", `0: ${trial.low}`, labels);
  make("b", `100: ${trial.high}`, labels);
  trial.stimuli.forEach((stimulus, i) => {
    const row = make("div", "", $("stimuli"));
    row.className = "row";
    soundButton(`Sound ${i + 1}`, stimulus.file, row);
    const slider = make("input", "", row);
    Object.assign(slider, { type: "range", min: 0, max: 100, value: 50, ariaLabel: `Score of sound ${i + 1}` });
    const shown = make("output", "-", row);
    slider.oninput = slider.onclick = () => {
      answer[i] = Number(slider.value);
      shown.textContent = slider.value;
      ready();
    };
  });
}
function showAbx(trial) {
  $("ask").textContent = "Is X the same as A or as B?";
  for (const [label, stimulus] of [["A", trial.a], ["B", trial.b], ["X", trial[trial.x]]])
    soundButton(label, stimulus.file, $("references"));
  for (const side of ["a", "b"]) {
    const choice = make("label", "", $("stimuli"));
    const button = make("input", "", choice);
    Object.assign(button, { type: "radio", name: "x", value: side });
    button.onchange = () => {
      answer = side;
      ready();
    };
    choice.append(` X is ${side.toUpperCase()} `);
  }
}
function ready() {
  const sounds = $("trial").querySelectorAll("#references button, #stimuli button").length;
  const open = Array.isArray(answer) ? answer.includes(null) : answer === null;
  $("next").disabled = heard.size < sounds || open;
  $("todo").textContent = heard.size < sounds ? `${sounds - heard.size} sounds not played yet` : open ? "answer everything to continue" : "";
}
function record() {
  const trial = trials[place];
  const common = { direction: trial.direction, item: trial.item, place, seconds: (Date.now() - began) / 1000 };
  if (trial.kind === "abx") {
    const [a, b] = [trial.a.system, trial.b.system];
    result.abx.push({ ...common, a, b, x: trial.x, answer });
  } else {
    trial.stimuli.forEach((stimulus, i) => result.ratings.push({
      ...common, question: trial.question, system: stimulus.system, position: i + 1, score: answer[i],
    }));
  }
}
function finish() {
  silence();
  result.finished = new Date().toISOString();
  $("answers").value = JSON.stringify(result, null, 1);
  $("trial").hidden = true;
  $("end").hidden = false;
}

$("minutes").textContent = Math.ceil(TEST.trials.reduce((sum, t) => sum + (t.kind === "abx" ? 20 : 75), 0) / 60);
$("check").onclick = () => play(TEST.trials[0].stimuli[0].file, $("check"));
$("listener").oninput = () => { $("begin").disabled = !$("listener").value.trim(); };
$("begin").onclick = () => {
  const listener = $("listener").value.trim();
  const seed = seedOf(`${TEST.test} ${listener}`);
  trials = plan(generator(seed));
  result = {
    format: TEST.format, test: TEST.test, listener, seed, started: new Date().toISOString(), runs: TEST.runs,
    questions: TEST.questions, ratings: [], abx: [],
  };
  $("start").hidden = true;
  $("trial").hidden = false;
  show();
};
$("next").onclick = () => {
  record();
  place += 1;
  if (place < trials.length) show();
  else finish();
};
$("save").onclick = () => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([$("answers").value], { type: "application/json" }));
  link.download = `${TEST.test}_${result.listener.replace(/[^\p{L}\p{N}-]+/gu, "_")}.json`;
  link.click();
};
window.onbeforeunload = () => (result && !result.finished ? true : undefined);
