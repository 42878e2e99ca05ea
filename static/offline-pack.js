/* The form of a pack that is filled in without the portal. It is put into one file with the prompts, and
   sends nothing anywhere: answers stay in this browser until the response file is saved. */
"use strict";

const pack = JSON.parse(document.getElementById("pack").textContent);
const rows = pack.rows;
const key = `evalportal-pack:${pack.signature}`;
const $ = (id) => document.getElementById(id);
const done = () => rows.filter((row) => row.answer.trim()).length;
let at = -1;
let unsaved = false;

const remember = () => {
  try {
    const kept = rows.filter((row) => row.answer).map((row) => [row.number, row.answer]);
    localStorage.setItem(key, JSON.stringify({ answers: kept, unsaved }));
  } catch {
    /* A browser that keeps nothing for files: the response file does. */
  }
};

const take = (answers) => {
  const known = new Map(answers);
  let taken = 0;
  for (const row of rows) {
    const text = known.get(row.number);
    if (typeof text === "string" && text.trim() && !row.answer.trim()) {
      row.answer = text;
      taken += 1;
    }
  }
  return taken;
};

const say = (words) => {
  $("said").textContent = words;
};

const showProgress = () => {
  const count = done();
  $("count").textContent = `${count} of ${rows.length} answered`;
  $("fill").setAttribute("width", `${(100 * count) / rows.length}%`);
  $("bar").setAttribute("aria-label", `${count} of ${rows.length} prompts answered`);
  $("state").textContent = unsaved
    ? "Not yet in a response file."
    : count ? "The response file holds all of it." : "";
};

const show = (place) => {
  at = Math.max(0, Math.min(rows.length - 1, place));
  $("title").textContent = `Prompt ${at + 1} of ${rows.length}`;
  $("prompt").textContent = rows[at].prompt;
  $("answer").value = rows[at].answer;
  $("go").value = at + 1;
  $("previous").disabled = at === 0;
  $("next").disabled = at === rows.length - 1;
  showProgress();
};

const nextOpen = () => {
  const free = (row) => !row.answer.trim();
  const after = rows.findIndex((row, place) => place > at && free(row));
  return after >= 0 ? after : rows.findIndex(free);
};

$("answer").addEventListener("input", () => {
  rows[at].answer = $("answer").value;
  unsaved = true;
  remember();
  showProgress();
});
$("previous").addEventListener("click", () => show(at - 1));
$("next").addEventListener("click", () => show(at + 1));
$("go").addEventListener("change", () => show(Number($("go").value) - 1));
$("open").addEventListener("click", () => {
  const place = nextOpen();
  if (place < 0) say("All prompts are answered. Save the response file.");
  else {
    show(place);
    $("answer").focus();
  }
});

$("copy").addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText(rows[at].prompt);
    say("Copied.");
  } catch {
    getSelection().selectAllChildren($("prompt"));
    say("The prompt is selected: copy it with Ctrl C.");
  }
});

$("save").addEventListener("click", () => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([`${JSON.stringify(pack, null, 2)}\n`], { type: "application/json" }));
  link.download = `run-${pack.run}.pack.filled.json`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  unsaved = false;
  remember();
  showProgress();
  say(`Saved ${done()} of ${rows.length} answers. Import the file on the run's page.`);
});

$("load").addEventListener("change", async () => {
  const file = $("load").files[0];
  if (!file) return;
  try {
    const other = JSON.parse(await file.text());
    if (other.signature !== pack.signature) throw new Error("it belongs to another pack");
    const taken = take(other.rows.map((row) => [row.number, row.answer]));
    unsaved = unsaved || taken > 0;
    remember();
    show(at);
    say(`Took ${taken} answers to prompts that had none.`);
  } catch (error) {
    say(`That file cannot be taken: ${error.message}.`);
  }
  $("load").value = "";
});

addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) $("open").click();
});
addEventListener("beforeunload", (event) => {
  if (unsaved) event.preventDefault();
});

try {
  const kept = JSON.parse(localStorage.getItem(key) || "{}");
  if (take(kept.answers || []) > 0) {
    unsaved = Boolean(kept.unsaved);
    say("Answers that this browser kept are here again.");
  }
} catch {
  /* Nothing was kept. */
}
show(Math.max(0, nextOpen()));
