/* The status page asks for its figures by itself; when that fails, the top bar says so, not a toast each time. */
"use strict";

{
  const connection = portal.$("#connection");
  const show = (state) => (connection.dataset.state = state);
  show("live");
  connection.addEventListener("htmx:beforeRequest", (event) => document.hidden && event.preventDefault());
  for (const failure of ["htmx:responseError", "htmx:sendError", "htmx:timeout"]) {
    connection.addEventListener(failure, (event) => {
      event.stopPropagation();
      show("retrying");
    });
  }
  connection.addEventListener("htmx:afterOnLoad", () => show("live"));
}
