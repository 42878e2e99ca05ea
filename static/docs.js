/* The API's page follows the chosen theme, or the system's: its own styles know a dark one. */
{
  const chosen = localStorage.getItem("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const follow = () => {
    const dark = chosen === "dark" || (chosen !== "light" && system.matches);
    document.documentElement.classList.toggle("dark-mode", dark);
  };
  system.addEventListener("change", follow);
  follow();
}
