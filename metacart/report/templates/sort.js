"use strict";
for (const table of document.querySelectorAll("table[role=table]")) {
  const body = table.tBodies[0], first = Array.from(body.rows);
  if (first.length < 3) continue;
  const keyOf = (row, place) => {
    const cell = row.cells[place], small = cell && cell.querySelector("small");
    const own = !cell ? "" : small ? cell.textContent.replace(small.textContent, "") : cell.textContent;
    return own.trim();
  };
  const numberOf = (text) => {
    const found = text.replace(/(\d)[\u00a0\u202f ](?=\d{3}(?!\d))/g, "$1").replace(/\u2212/g, "-").match(/-?\d+(\.\d+)?/);
    return found ? Number(found[0]) : NaN;
  };
  Array.from(table.tHead.rows[0].cells).forEach((heading, place) => {
    if (!heading.textContent.trim()) return;
    const numbers = heading.classList.contains("number");
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sort";
    button.title = "Sort by this column";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const turns = { none: "ascending", ascending: "descending", descending: "none" };
      const order = turns[heading.getAttribute("aria-sort") || "none"];
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      if (order !== "none") heading.setAttribute("aria-sort", order);
      const sign = order === "descending" ? -1 : 1;
      const compare = (a, b) => {
        const one = keyOf(a, place), two = keyOf(b, place);
        if (!numbers) return sign * one.localeCompare(two, "en", { numeric: true });
        const left = numberOf(one), right = numberOf(two);
        // rows without a number come last in either order
        if (isNaN(left) || isNaN(right)) return isNaN(left) - isNaN(right);
        return sign * (left - right);
      };
      body.append(...(order === "none" ? first : first.slice().sort(compare)));
    });
  });
}
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const box of document.querySelectorAll(".zoom:checked")) box.checked = false;
});
addEventListener("beforeprint", () => {
  for (const box of document.querySelectorAll(".zoom:checked")) box.checked = false;
});
