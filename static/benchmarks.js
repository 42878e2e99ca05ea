/* A form that waits for a choice: its button becomes active with the first. */
"use strict";

{
  const { $$ } = portal;
  const check = () => {
    for (const form of $$("form[data-choose]")) {
      const button = form.querySelector("button[type=submit]");
      if (!button || "closed" in button.dataset) continue;
      button.disabled = !form.querySelector("input[type=radio]:checked");
    }
  };
  document.addEventListener("change", check);
  document.addEventListener("htmx:afterSettle", check);
  check();
}
