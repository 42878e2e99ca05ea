/* The launch sheet: filters that find the answer are added by choosing; the text box holds them. */
"use strict";

{
  const { $, $$ } = portal;
  const read = (text) => {
    const written = text.trim();
    if (!written.startsWith("[") && !written.startsWith("{")) return written.split("|").map((key) => key.trim()).filter(Boolean).map((key) => ({ filter: key }));
    try {
      return [JSON.parse(written)].flat();
    } catch {
      return null;
    }
  };
  const write = (steps) =>
    steps.every((step) => Object.keys(step).length === 1) ? steps.map((step) => step.filter).join(" | ") : JSON.stringify(steps);
  const parts = (chain) => ({ select: $("[data-chain-filter]", chain), text: $("[data-chain-text]", chain), area: $("textarea", chain) });

  const showSteps = (chain) => {
    const { select, area } = parts(chain);
    const steps = read(area.value);
    if (!steps) return;
    const words = steps.map((step) => {
      const option = [...select.options].find((each) => each.value === step.filter);
      const typed = option?.dataset.takes ? step[option.dataset.takes] ?? option.dataset.default : "";
      const item = document.createElement("li");
      item.textContent = (option?.textContent ?? step.filter) + (typed ? `: ${typed}` : "");
      return item;
    });
    $("ol", chain).replaceChildren(...words);
  };
  const showTaken = (chain) => {
    const { select, text } = parts(chain);
    const option = select.selectedOptions[0];
    text.hidden = !option.dataset.takes;
    text.value = option.dataset.default;
    text.setAttribute("aria-label", option.dataset.takes || "Its text");
    text.placeholder = option.dataset.takes;
  };
  const change = (chain, steps) => {
    const { area } = parts(chain);
    area.value = write(steps);
    showSteps(chain);
    area.dispatchEvent(new Event("change", { bubbles: true }));
  };

  // Recorded responses: one model and one judge, unless several are allowed.
  document.addEventListener("change", (event) => {
    const form = event.target.closest("form");
    if (!form?.elements.several || form.elements.responses.value !== "recorded" || form.elements.several.checked) return;
    for (const name of ["recorded", "judges"]) {
      const chosen = $$(`input[name=${name}]:checked`, form);
      const kept = chosen.includes(event.target) ? event.target : chosen[0];
      for (const each of chosen) each.checked = each === kept;
    }
  }, true);
  document.addEventListener("change", (event) => {
    const chain = event.target.closest("[data-chain]");
    if (!chain) return;
    if (event.target.matches("[data-chain-filter]")) showTaken(chain);
    if (event.target.matches("textarea")) showSteps(chain);
  });
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-chain-add], [data-chain-clear]");
    if (!button) return;
    const chain = button.closest("[data-chain]");
    const { select, text, area } = parts(chain);
    if ("chainClear" in button.dataset) return change(chain, []);
    const { takes, default: usual } = select.selectedOptions[0].dataset;
    const step = { filter: select.value };
    if (takes && text.value !== usual) step[takes] = text.value;
    change(chain, [...(read(area.value) ?? []), step]);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !event.target.matches("[data-chain-text]")) return;
    event.preventDefault();
    $("[data-chain-add]", event.target.closest("[data-chain]")).click();
  });
}
